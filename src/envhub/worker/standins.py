"""What a repo's code gets when it imports huggingface_hub: calls for its own repo keep to the pin.

Without this, `snapshot_download("me/my-env")` in the `env.py` of v1 fetches main. Only the repo's
own view is replaced; the library that everybody else sees is untouched.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

if TYPE_CHECKING:
    from .package import Repo

LIBRARY = "huggingface_hub"
DYNAMIC = "importlib"


class StandIn(ModuleType):
    """A module with some names replaced, when they are asked for; the others are the real one's."""

    def __init__(self, repo: Repo, real: ModuleType) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(__repo__=repo, __real__=real)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["__real__"], name)
        replaced = _replaced(self.__dict__["__repo__"], name, found)
        if replaced is not found:
            self.__dict__[name] = replaced
        return replaced

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["__real__"], name, value)

    def __dir__(self) -> Any:
        return dir(self.__dict__["__real__"])


def stand_in(repo: Repo, module: Any) -> Any:
    """`module` as the code of `repo` shall see it."""
    name = getattr(module, "__name__", "")
    if name != DYNAMIC and name.partition(".")[0] != LIBRARY:
        return module
    if name not in repo.views:
        repo.views[name] = StandIn(repo, module)
    return repo.views[name]


def _replaced(repo: Repo, name: str, found: Any) -> Any:
    """What the code of `repo` gets for a name of a module that has a stand-in."""
    if isinstance(found, ModuleType):
        return stand_in(repo, found)
    if name == "import_module":
        return functools.partial(_import_module, repo)
    if name in _CALLS:
        return _pinned(repo, name, found)
    if name == "HfApi":
        return type(name, (found,), {call: _method(repo, found, call) for call in _CALLS})
    return found


def _import_module(repo: Repo, name: str, package: Optional[str] = None) -> ModuleType:
    """`importlib.import_module` for the code of `repo`."""
    top = name.partition(".")[0]
    private = repo.resolve(top)
    if private:
        return importlib.import_module(private + name[len(top) :])
    found: ModuleType = stand_in(repo, importlib.import_module(name, package))
    return found


def _pinned(repo: Repo, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the library that keeps to the pin if it is asked for the repo itself."""

    @functools.wraps(real)
    def call(repo_id: str, *args: Any, **options: Any) -> Any:
        if not _is_own(repo, repo_id, options):
            return real(repo_id, *args, **options)
        if name in _FROM_DISK:
            return _FROM_DISK[name](repo, *args, **options)
        pin = {"repo_type": repo.place.repo_type, "revision": repo.place.version}
        return real(repo_id, *args, **{**options, **pin})

    return call


def _method(repo: Repo, kind: type, name: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **options: Any) -> Any:
        real = functools.partial(getattr(kind, name), self)
        return _pinned(repo, name, real)(*args, **options)

    return call


def _is_own(repo: Repo, repo_id: str, options: Dict[str, Any]) -> bool:
    """Whether a call means the repo itself, at the commit that is pinned."""
    place = repo.place
    return (
        repo_id == place.repo
        and options.get("revision") in (None, place.version)
        and options.get("repo_type") in (None, place.repo_type)
    )


def _file(
    repo: Repo,
    filename: str,
    *,
    subfolder: Optional[str] = None,
    local_dir: Any = None,
    **_options: Any,
) -> str:
    """`hf_hub_download` for the repo itself."""
    path = f"{subfolder}/{filename}" if subfolder else filename
    root = repo.place.root
    file = os.path.realpath(os.path.join(root, path))
    if not os.path.isfile(file) or os.path.relpath(file, root).startswith(os.pardir):
        error = importlib.import_module(LIBRARY + ".utils").LocalEntryNotFoundError
        raise error(f"{path!r} is not in {repo.place.repo} at {repo.place.version}")
    if local_dir is None:
        return file
    target = os.path.join(local_dir, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(file, target)
    return target


def _snapshot(repo: Repo, *, local_dir: Any = None, **_options: Any) -> str:
    """`snapshot_download` for the repo itself."""
    if local_dir is None:
        return repo.place.root
    shutil.copytree(repo.place.root, local_dir, dirs_exist_ok=True)
    return str(local_dir)


_FROM_DISK: Dict[str, Callable[..., str]] = {
    "hf_hub_download": _file,
    "snapshot_download": _snapshot,
}
_CALLS = (*_FROM_DISK, "file_exists", "list_repo_files", "list_repo_tree", "repo_info")
