"""LeRobot's EnvHub functions, by the names and signatures that LeRobot gives them.

They are thin: refs, consent, download, loading and calling are envhub's own. `install()` puts them
where programs and env repos import them from, LeRobot installed or not:

```python
from envhub.adapters import lerobot

lerobot.install()
from lerobot.envs.factory import make_env
```
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from gymnasium.vector import SyncVectorEnv

from envhub.client import Client
from envhub.errors import EntryNotFoundError, NoFactoryError
from envhub.fetch import Source
from envhub.isolation import inline
from envhub.isolation.base import Tasks, translating
from envhub.make import check_counts, make
from envhub.refs import parse
from envhub.trust import Allowed
from envhub.worker import call, lerobot, load, repos
from envhub.worker.collect import Collector, replacing
from envhub.worker.lerobot.envs import (
    check_env_attributes_and_types,
    close_envs,
    env_to_policy_features,
    make_env_config,
    make_env_pre_post_processors,
    preprocess_observation,
)
from envhub.worker.lerobot.envs.configs import EnvConfig, HubEnvConfig
from envhub.worker.lerobot.envs.utils import (
    NEW_ROLLOUT_OPTION,
    FreezeAfterEpisodeEnd,
    freeze_after_episode_end,
)
from envhub.worker.normalise import Maker

__all__ = [
    "NEW_ROLLOUT_OPTION",
    "EnvConfig",
    "FreezeAfterEpisodeEnd",
    "HubEnvConfig",
    "check_env_attributes_and_types",
    "close_envs",
    "env_to_policy_features",
    "freeze_after_episode_end",
    "install",
    "make_env",
    "make_env_config",
    "make_env_pre_post_processors",
    "preprocess_observation",
    "uninstall",
]

LEROBOT = "lerobot"

_downloaded: dict[str, tuple[Source, Allowed]] = {}
"""Entry files that were downloaded with consent, with what LeRobot's signatures have no room for:
the repo that a file belongs to."""


def make_env(
    cfg: Any,
    n_envs: int = 1,
    use_async_envs: bool = False,
    hub_cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
) -> Mapping[str, Mapping[Any, Any]]:
    """Make the envs of a ref, or of an env config.

    They run in this process, as LeRobot's do: `.envs[0].unwrapped` is the env itself.

    Args:
        cfg: a ref, or a config: one with a `hub_path` is loaded from there and handed to the
            repo's `make_env` if that takes a `cfg`; any other makes its envs by itself.
        n_envs: envs in each vector env, at least 1.
        use_async_envs: run them in processes of their own.
        hub_cache_dir: folder of the cache.
        trust_remote_code: consent to run the repo's code, for this call.

    Returns:
        `{suite: {task: VectorEnv}}`; an `EnvDict` if a repo made it.

    Raises:
        UntrustedError: nobody consented to run the repo's code.
        EnvHubError: see `envhub.make_env`.
    """
    check_counts(n_envs, use_async_envs)
    ref = cfg if isinstance(cfg, str) else getattr(cfg, "hub_path", None)
    if ref is None:
        envs: Tasks = cfg.create_envs(n_envs=n_envs, use_async_envs=use_async_envs)
        return envs
    repo, _, file, _ = _download_hub_file(ref, trust_remote_code, hub_cache_dir)
    config = None if isinstance(cfg, str) else cfg
    if file not in _downloaded:  # a test has put its own function in the place of ours
        module = _import_hub_module(file, repo)
        return _normalize_hub_result(_call_make_env(module, n_envs, use_async_envs, config))
    source, allowed = _downloaded[file]
    made = make(
        source,
        allowed,
        n_envs=n_envs,
        use_async_envs=use_async_envs,
        isolation="inline",
        cfg=config,
    )
    Client(cache=hub_cache_dir).note(allowed, made.level, str(made.sandbox))
    return made


def _parse_hub_url(hub_uri: str) -> tuple[str, str | None, str]:
    """Repo, revision and path of a ref.

    Raises:
        RefError: it is none.
    """
    ref = parse(hub_uri)
    return ref.location, ref.revision, ref.path or "env.py"


def _download_hub_file(
    cfg_str: str,
    trust_remote_code: bool = False,
    hub_cache_dir: str | Path | None = None,
) -> tuple[str, str, str, str]:
    """Have the files of a ref on disk, if running them is consented to.

    Returns:
        Repo, path of the entry file in it, the file on disk, and the full commit.
    """
    client = Client(cache=hub_cache_dir)
    source, allowed = client.prepare(cfg_str, trust_remote_code=trust_remote_code)
    pin, file = source.pin, str(source.entry)
    _downloaded[file] = source, allowed
    return pin.repo, pin.path, file, pin.version


def _load_module_from_path(path: str | Path, module_name: str | None = None) -> ModuleType:
    """Import a file of an env repo; what lies beside it can be imported by it.

    Raises:
        EntryNotFoundError: there is no such file.
        LoadError: it cannot be imported.
    """
    return _import_hub_module(path, module_name or Path(path).stem)


def _import_hub_module(local_file: str | Path, repo_id: str) -> ModuleType:
    """Import the entry file of a repo, as a module of the repo if that was downloaded."""
    held = _downloaded.get(str(local_file))
    place = inline.place_of(held[0]) if held else _place(Path(local_file).absolute(), repo_id)
    with translating(), replacing():
        return load.entry(repos.open_repo(place))


def _place(file: Path, name: str) -> repos.Place:
    """A file that belongs to no repo that we know: its folder stands for one."""
    if not file.is_file():
        raise EntryNotFoundError(f"there is no file {str(file)!r}")
    content = hashlib.sha256(file.read_bytes()).hexdigest()  # an edited file is another module
    return repos.Place(str(file.parent.resolve()), file.name, name, "local", "", content)


def _call_make_env(module: Any, n_envs: int, use_async_envs: bool, cfg: Any = None) -> Any:
    """Call a module's `make_env` once; it gets `cfg` only if it takes one by keyword.

    Raises:
        NoFactoryError: the module has none.
        SignatureError: it does not take `n_envs` and `use_async_envs`.
    """
    request = call.Request(check_counts(n_envs, use_async_envs), use_async_envs, cfg)
    repo = getattr(getattr(getattr(module, "__spec__", None), "loader", None), "repo", None)
    with translating():
        if isinstance(repo, repos.Repo):
            return Maker(Collector(repo, inline.ASYNCHRONOUS, translating), request).call()
        make_env = getattr(module, load.FACTORY, None)
        if make_env is None:
            raise NoFactoryError(
                f"{getattr(module, '__name__', module)} has no function make_env",
                hint=load.RIGHT_FORM,
            )
        return make_env(**call.arguments(make_env, request))


def _normalize_hub_result(result: Any) -> Tasks:
    """What a `make_env` returned as `{suite: {task: VectorEnv}}`.

    Raises:
        ResultError: it holds something that is no env.
    """
    with translating():
        return _AsItIs().shape(result)


class _AsItIs(Maker):
    """Gives a result the one shape; how many envs were asked for is not known any more."""

    def __init__(self) -> None:
        self.request = call.Request()

    def counted(self, env: Any, where: str) -> Any:
        del where
        return env

    def several(self, first: Any, again: Callable[[], Any]) -> Any:
        del again
        return SyncVectorEnv([lambda: first])

    def later(self, make: Callable[..., Any], where: str) -> Any:
        return self.vector(make(**call.accepted(make, self.request)), where, ())


_HUB = (_download_hub_file, _import_hub_module, _call_make_env, _normalize_hub_result)
_OURS: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "lerobot.envs.utils": (*_HUB, _parse_hub_url, _load_module_from_path, close_envs),
    "lerobot.envs.factory": (*_HUB, make_env),
    "lerobot.envs": (make_env, close_envs),
}
_undo: list[Callable[[], None]] = []


def install() -> None:
    """Make `lerobot.envs` load envs through envhub; twice is once.

    Where LeRobot is installed, its functions for env repos are replaced by ours, also where they
    were imported already. Where it is not, modules stand in for it under its name.
    """
    if not _undo:
        if not _is_installed():
            _stand_in()
        _replace_copies(_replace())


def uninstall() -> None:
    """Take back what `install` did."""
    while _undo:
        _undo.pop()()


def _is_installed() -> bool:
    """Whether LeRobot is; a mere folder of that name, such as a clone, is not it."""
    spec = importlib.util.find_spec(LEROBOT)
    return spec is not None and spec.origin is not None


def _stand_in() -> None:
    for name, module in lerobot.modules().items():
        _set(sys.modules, name, module)
    # `make_env` is of this module, and tests replace what it calls by lerobot.envs.factory's names.
    factory = "lerobot.envs.factory"
    _set(vars(sys.modules["lerobot.envs"]), "factory", sys.modules[__name__])
    _set(sys.modules, factory, sys.modules[__name__])


def _replace() -> dict[int, Callable[..., Any]]:
    """Put our functions where LeRobot has its own; ours by the identity of what they replaced."""
    replaced = {}
    for home, functions in _OURS.items():
        module = importlib.import_module(home)
        for function in functions:
            replaced[id(getattr(module, function.__name__, function))] = function
            _set(vars(module), function.__name__, function)
    return replaced


def _replace_copies(replaced: Mapping[int, Callable[..., Any]]) -> None:
    """Replace what other modules of LeRobot had imported by then."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == LEROBOT:
            for attribute, value in list(vars(module).items()):
                if id(value) in replaced:
                    _set(vars(module), attribute, replaced[id(value)])


def _set(table: dict[str, Any], name: str, value: Any) -> None:
    """Set an entry, to be taken back by `uninstall`."""
    if name in table:
        before = table[name]
        _undo.append(lambda: table.__setitem__(name, before))
    else:
        _undo.append(lambda: table.pop(name, None))
    table[name] = value
