"""Everything that one package registers with Gymnasium, as tasks.

envhub puts this file beside a `requirements.txt` that names the package. An id is given as
`env_id`, as it was registered, without its namespace, or without its version; where what makes it
needs one more argument, that follows a slash: `MT1/reach-v3`. Without an id all of them are tasks.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import gymnasium
from gymnasium.envs import registration

_HEADLESS = {"MUJOCO_GL": "egl", "SDL_VIDEODRIVER": "offscreen", "PYGLET_HEADLESS": "true"}
"""How to draw without a screen: what packages read when they are imported."""
_NOT_MODULES = {"test", "tests", "docs", "doc", "examples", "scripts", "benchmarks", "build"}


def make_env(
    n_envs: int = 1, use_async_envs: bool = False, env_id: Optional[str] = None, **options: Any
) -> Dict[str, Dict[str, Any]]:
    """Make `n_envs` envs of an id, or of each id: `{namespace: {name: VectorEnv}}`.

    Args:
        n_envs: how many of each.
        use_async_envs: one process per env.
        env_id: the id; all that the package registers, if there is none.
        **options: for `gymnasium.make`: the env's own and, say, `max_episode_steps`.

    Raises:
        gymnasium.error.UnregisteredEnv: the package registers no such id.
    """
    if sys.platform == "linux" and "DISPLAY" not in os.environ:  # noqa: TID251 - of the env's process
        for variable, value in _HEADLESS.items():
            os.environ.setdefault(variable, value)  # noqa: TID251 - as above
    name = _package()
    makers = _registered(name, options)
    if env_id is not None:
        makers = _chosen(name, makers, env_id)
    kinds = gymnasium.vector
    vector = kinds.AsyncVectorEnv if use_async_envs else kinds.SyncVectorEnv
    tasks: Dict[str, Dict[str, Any]] = {}
    for (suite, task), maker in makers.items():
        env = maker.vector if maker.is_vector else vector([maker.single] * n_envs)
        tasks.setdefault(suite or name, {})[task] = env
    return tasks


class Maker(NamedTuple):
    """What makes the envs of one id."""

    gym: Any
    spec: Any
    options: Dict[str, Any]

    @property
    def is_vector(self) -> bool:
        """Whether the id can only be made as a whole vector env."""
        return self.spec.entry_point is None

    def single(self) -> Any:
        """One env, made to be filmed if it can be."""
        film = {"render_mode": "rgb_array"} if "rgb_array" in self.render_modes() else {}
        # By its spec, since an id that is not the newest comes with a warning.
        what = self.spec if self.gym is gymnasium else self.spec.id
        return self.gym.make(what, **{"disable_env_checker": True, **film, **self.options})

    def vector(self, n_envs: int) -> Any:
        """A vector env of the package's own, which may have its own idea of how many envs."""
        how = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
        return gymnasium.make_vec(self.spec.id, n_envs, vectorization_mode=how, **self.options)

    def creator(self) -> Callable[..., Any]:
        """The class or function behind the id."""
        entry = self.spec.entry_point or self.spec.vector_entry_point
        if callable(entry):
            return entry  # type: ignore[no-any-return]  # whatever it makes
        module, _, name = entry.partition(":")
        found: Any = importlib.import_module(module)
        return functools.reduce(getattr, name.split("."), found)  # type: ignore[no-any-return]  # as above

    def render_modes(self) -> List[str]:
        """How the env says that it can be shown; a function behind an id says nothing."""
        metadata = getattr(self.creator(), "metadata", None) or {}
        return list(metadata.get("render_modes", ()))


Makers = Dict[Tuple[str, str], Maker]
"""By namespace and name; the first is empty for an id without a namespace."""


def _package() -> str:
    """The package's name: that of the first requirement."""
    lines = Path(__file__).with_name("requirements.txt").read_text(encoding="utf-8")
    return re.split(r"[^A-Za-z0-9._-]", lines, maxsplit=1)[0]


def _registered(name: str, options: Dict[str, Any]) -> Makers:
    files = importlib.metadata.files(name) or []
    paths = [str(path).replace("\\", "/") for path in files]
    tops = sorted({_top(path) for path in paths} - {""})
    before = {id(spec) for _, spec in _specs()}
    failure = _import_all(tops)
    if not _found(tops, before, options):
        # Some packages register their ids in a part of theirs that must be imported by name.
        failure = _import_all(_registering(name, paths)) or failure
    found = _found(tops, before, options)
    if not found:
        why = f": {type(failure).__name__}: {failure}" if failure else ""
        raise gymnasium.error.UnregisteredEnv(f"{name} registers no ids with Gymnasium{why}")
    return found


def _top(path: str) -> str:
    """The module that a file makes importable, or nothing."""
    parts = path.split("/")
    if not re.search(r"\.(py|so|pyd)$", path) or len(parts) > 2 or ".." in parts:
        return ""
    if len(parts) == 2 and parts[1] != "__init__.py":
        return ""
    name = parts[0].partition(".")[0]
    return name if name.isidentifier() and name not in _NOT_MODULES and name[0] != "_" else ""


def _registering(name: str, paths: List[str]) -> List[str]:
    """Parts of a package whose own text calls `register`."""
    inner = [path for path in paths if path.endswith("/__init__.py") and path.count("/") > 1]
    found = []
    for path in sorted(inner, key=lambda each: each.count("/")):
        text = Path(str(importlib.metadata.distribution(name).locate_file(path)))
        if re.search(r"\bregister(_envs)?\(", text.read_text(encoding="utf-8", errors="replace")):
            found.append(path[: -len("/__init__.py")].replace("/", "."))
    return found


def _import_all(names: List[str]) -> Optional[Exception]:
    """Import modules; the first failure, since any of them may be the one that matters."""
    failures = [failure for failure in map(_import, names) if failure]
    return failures[0] if failures else None


def _import(name: str) -> Optional[Exception]:
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a package may ship a module for somebody else
        return error
    return None


def _specs() -> Iterator[Tuple[Any, Any]]:
    """All registered ids, Gymnasium's and, where a package still uses it, gym's."""
    yield from ((gymnasium, spec) for spec in list(registration.registry.values()))
    gym = sys.modules.get("gym")
    if gym is not None and gym is not gymnasium:
        registry = gym.envs.registration.registry
        yield from ((gym, spec) for spec in list(getattr(registry, "env_specs", registry).values()))


def _found(tops: List[str], before: Any, options: Dict[str, Any]) -> Makers:
    found = {}
    for gym, spec in _specs():
        if id(spec) not in before or _module(spec).partition(".")[0] in tops:
            namespace, _, name = spec.id.rpartition("/")
            found[namespace, name] = Maker(gym, spec, options)
    return found


def _module(spec: Any) -> str:
    """Where what makes an id comes from."""
    entry = spec.entry_point or getattr(spec, "vector_entry_point", None) or ""
    return entry if isinstance(entry, str) else str(getattr(entry, "__module__", ""))


def _chosen(package: str, makers: Makers, env_id: str) -> Makers:
    """The one id that is meant."""
    key = _match(makers, env_id)
    if key is not None:
        return {key: makers[key]}
    head, slash, value = env_id.rpartition("/")
    key = _match(makers, head) if slash else None
    parameter = _needed(makers[key]) if key is not None else None
    if key is not None and parameter:
        maker = makers[key]
        return {(key[1], value): maker._replace(options={parameter: value, **maker.options})}
    raise gymnasium.error.UnregisteredEnv(
        f"{package} registers no id {env_id!r}; {_near(makers, env_id)}"
    )


def _near(makers: Makers, env_id: str) -> str:
    """Ids like this one, or else some that there are."""
    ids = {key[1]: _join(key) for key in makers if key[0]}
    ids.update({_join(key): _join(key) for key in makers})
    found = [ids[each] for each in difflib.get_close_matches(env_id, ids, 5, 0.5)]
    if found:
        return f"did you mean {' or '.join(list(dict.fromkeys(found))[:3])}?"
    some = sorted(_join(key) for key in makers)
    return f"it registers {len(some)}: {', '.join(some[:5])}{', …' if len(some) > 5 else ''}"


def _match(makers: Makers, env_id: str) -> Optional[Tuple[str, str]]:
    """The key that is meant: by the id, else by its newest version, else without its namespace."""
    forms: List[Callable[[Tuple[str, str]], str]] = [
        _join,
        lambda key: _join((key[0], _split(key)[0])),
        lambda key: key[1],
        lambda key: _split(key)[0],
    ]
    for form in forms:
        found = [key for key in makers if form(key) == env_id]
        if found and len({key[0] for key in found}) == 1:
            return max(found, key=lambda key: _split(key)[1])
    return None


def _split(key: Tuple[str, str]) -> Tuple[str, int]:
    """The name of an id and its version."""
    name, _, version = key[1].rpartition("-v")
    return (name, int(version)) if name and version.isdigit() else (key[1], -1)


def _needed(maker: Maker) -> Optional[str]:
    """The first argument without which the id cannot be made."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for name, parameter in inspect.signature(maker.creator()).parameters.items():
        if parameter.kind in kinds and parameter.default is parameter.empty:
            return None if name in maker.spec.kwargs else name
    return None


def _join(key: Tuple[str, str]) -> str:
    return "/".join(filter(None, key))
