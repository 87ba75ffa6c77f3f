"""Private packages: the files of one pin are the package `<this module>.<key>`.

Nothing of a repo gets a name outside its package, so two commits of a repo, or two repos with
equally named files, never meet. A process that knows nothing can import these names as soon as it
has the `Place`: multiprocessing hands it to every child, before the child unpickles anything else.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing import process
from types import CodeType, ModuleType
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import bytecode, files, package
from .package import PREFIX, Place, Repo

__all__ = ["PREFIX", "Place", "Repo", "at_work", "open_repo", "others"]
__path__: List[str] = []
TRAVELLER = "envhub"


class Loader(SourceFileLoader):
    """Runs a file of a repo with the repo's own `import`, and never from bytecode in its tree.

    Its bytecode is kept elsewhere, see `bytecode`.
    """

    def __init__(self, fullname: str, path: str, repo: Repo) -> None:
        super().__init__(fullname, path)
        self.repo = repo

    def get_code(self, fullname: str) -> Optional[CodeType]:
        """The code of the source, compiled now or kept from the last time."""
        path = self.get_filename(fullname)
        source, folder = self.get_data(path), self.repo.place.bytecode
        name = bytecode.name_of(path, source)
        code: Optional[CodeType] = bytecode.read(folder, name) if folder else None
        if code is None:
            code = self.source_to_code(source, path)
            if folder:
                bytecode.write(folder, name, code)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Run it with the repo's `__import__`."""
        module.__dict__["__builtins__"] = self.repo.builtins
        super().exec_module(module)


class AliasLoader:
    """Gives an outsider's `import helpers` the private module that it means."""

    def __init__(self, private: str) -> None:
        self.private = private

    def create_module(self, spec: ModuleSpec) -> None:
        """Nothing of its own."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the private module in the place of the new one."""
        sys.modules[module.__name__] = importlib.import_module(self.private)


class Finder:
    """Finds private names, and for code outside a repo that is at work, the repo's own names."""

    @staticmethod
    def find_spec(
        fullname: str, path: Optional[Sequence[str]] = None, _target: Any = None
    ) -> Optional[ModuleSpec]:
        """The spec of a private name, see `importlib.abc.MetaPathFinder`."""
        if not fullname.startswith(PREFIX):
            return _find_alias(fullname)
        key, _, rest = fullname[len(PREFIX) :].partition(".")
        repo = _open.get(key)
        if repo is None:
            return None
        if not rest:
            return _spec(repo, fullname, _package_file(repo.place.root))
        if fullname == repo.entry:
            return _spec(repo, fullname, repo.entry_file)
        file = files.find(path[0], rest.rpartition(".")[2]) if path else None
        return _spec(repo, fullname, file) if file else None


def open_repo(place: Place) -> Repo:
    """The repo at `place`, the same object every time, with its private names importable."""
    if place.key not in _open:
        _open[place.key] = Repo(place, Finder)
        # A process copies this table from the one that starts it, and pickles it ahead of its
        # target.
        process.current_process()._config[TRAVELLER] = _Traveller()  # type: ignore[attr-defined]  # not in typeshed
    return _open[place.key]


def others(repo: Repo) -> List[Repo]:
    """The other versions and entries of the same repo that are open."""
    mine = repo.place
    return [
        other
        for other in _open.values()
        if other is not repo and (other.place.hub, other.place.repo) == (mine.hub, mine.repo)
    ]


def at_work() -> List[Repo]:
    """The repos whose code this thread is running, the innermost last."""
    stack: List[Repo] = _thread.__dict__.setdefault("stack", [])
    return stack


def _package_file(root: str) -> str:
    init = os.path.join(root, files.INIT)
    return init if os.path.isfile(init) else root


def _spec(repo: Repo, fullname: str, file: str) -> Optional[ModuleSpec]:
    if os.path.isdir(file):
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [file]
        return spec
    if not file.endswith(".py"):
        return spec_from_file_location(fullname, file, loader=ExtensionFileLoader(fullname, file))
    folders = [os.path.dirname(file)] if files.is_package(file) else None
    loader = Loader(fullname, file, repo)
    return spec_from_file_location(
        fullname, file, loader=loader, submodule_search_locations=folders
    )


def _find_alias(fullname: str) -> Optional[ModuleSpec]:
    """What an outsider, such as a string entry point of Gymnasium, means by a repo's own name."""
    parent, _, part = fullname.rpartition(".")
    if parent:
        owner = getattr(sys.modules.get(parent), "__name__", "")
        private = f"{owner}.{part}" if owner.startswith(PREFIX) else None
    elif at_work() and fullname not in package.declined():
        repo = at_work()[-1]
        private = None if repo.is_installed(fullname) else repo.resolve(fullname)
    else:
        private = None
    if private is None or not private.startswith(PREFIX):
        return None
    return ModuleSpec(fullname, AliasLoader(private))  # type: ignore[arg-type]  # a duck


class _Traveller:
    """Rides along with every process that multiprocessing starts, ahead of its target."""

    def __reduce__(self) -> Tuple[Any, ...]:
        places = tuple(repo.place for repo in _open.values())
        if __package__ == "envhub.worker":
            return _arrive, (places,)
        # Started by path, this package has a name that nobody else can import.
        known = [tuple(vars(place).values()) for place in places]
        return exec, (_BOOT.format(main=_MAIN, places=known), {})


def arrive(places: Sequence[Tuple[str, ...]]) -> None:
    """Open repos in a process that an env's process has started."""
    _arrive(tuple(Place(*place) for place in places))


def _arrive(places: Tuple[Place, ...]) -> _Traveller:
    for place in places:
        open_repo(place)
    return _Traveller()


_MAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
_BOOT = """
import runpy
runpy.run_path({main!r})["become_package"]()
from envhub_worker.repos import arrive
arrive({places!r})
"""
_open: Dict[str, Repo] = {}
_thread = threading.local()

sys.meta_path.insert(0, Finder)
