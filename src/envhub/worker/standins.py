"""What a repo's code gets when it imports huggingface_hub: calls for its own repo keep to the pin.

Without this, `snapshot_download("me/my-env")` in the `env.py` of v1 fetches main. Only the repo's
own view is replaced; the library that everybody else sees is untouched.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

if TYPE_CHECKING:
    from .package import Repo

LIBRARY = "huggingface_hub"


class StandIn(ModuleType):
    """A module with some names replaced; everything else is the real one's."""

    def __init__(self, repo: Repo, real: ModuleType, replaced: Dict[str, Any]) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(replaced, __repo__=repo, __real__=real)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__dict__["__real__"], name)
        return stand_in(self.__repo__, value) if isinstance(value, ModuleType) else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["__real__"], name, value)

    def __dir__(self) -> Any:
        return dir(self.__dict__["__real__"])


def stand_in(repo: Repo, module: Any) -> Any:
    """`module` as the code of `repo` shall see it."""
    name = getattr(module, "__name__", "")
    if name != "importlib" and name.partition(".")[0] != LIBRARY:
        return module
    if name not in repo.views:
        replaced = _dynamic(repo) if name == "importlib" else _pinned(repo, module)
        repo.views[name] = StandIn(repo, module, replaced)
    return repo.views[name]


def _dynamic(repo: Repo) -> Dict[str, Any]:
    def import_module(name: str, package: Optional[str] = None) -> Any:
        top = name.partition(".")[0]
        private = repo.resolve(top)
        return importlib.import_module(private + name[len(top) :] if private else name, package)

    return {"import_module": import_module}


def _pinned(repo: Repo, module: ModuleType) -> Dict[str, Any]:
    """The names of a module of the library that are replaced for `repo`."""
    library = sys.modules[LIBRARY]
    functions = {name: _function(repo, name, getattr(library, name)) for name in _CALLS}
    methods = {name: _method(repo, name, getattr(library.HfApi, name)) for name in _CALLS}
    replaced = {**functions, "HfApi": type("HfApi", (library.HfApi,), methods)}
    if module is library:
        return replaced
    return {name: value for name, value in replaced.items() if name in vars(module)}


def _function(repo: Repo, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(repo_id: str, *args: Any, **options: Any) -> Any:
        if not _is_own(repo, repo_id, options):
            return real(repo_id, *args, **options)
        if name in _FROM_DISK:
            return _FROM_DISK[name](repo, *args, **options)
        pin = {"repo_type": repo.place.repo_type, "revision": repo.place.version}
        return real(repo_id, *args, **{**options, **pin})

    return call


def _method(repo: Repo, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(self: Any, repo_id: str, *args: Any, **options: Any) -> Any:
        return _function(repo, name, functools.partial(real, self))(repo_id, *args, **options)

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
        error = importlib.import_module(LIBRARY + ".errors").LocalEntryNotFoundError
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
