"""Private packages: the files of one pin are the package `<this module>.<key>`.

Nothing of a repo gets a name outside its package, so two commits of a repo, or two repos with
equally named files, never meet. A process that knows nothing can import these names as soon as it
has the `Place`: multiprocessing hands it to every child, before the child unpickles anything else.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import hashlib
import importlib
import os
import re
import sys
import threading
from dataclasses import dataclass, field
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing import process
from types import CodeType, ModuleType
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import files, standins

__path__: List[str] = []
PREFIX = __name__ + "."
TRAVELLER = "envhub"
LEROBOT = "lerobot"
STAND_IN = f"{__name__.rpartition('.')[0]}.{LEROBOT}"
"""What `import lerobot` means in a repo's code where LeRobot is not installed."""


@dataclass(frozen=True)
class Place:
    """Where the files of a pin are, and whose they are: plain text, so that it can travel.

    Attributes:
        root: absolute path of the folder with the files.
        entry: the entry file below it.
        repo: `owner/name`.
        repo_type: `model`, `space`, `dataset`, `git` or `local`.
        hub: address of the hub.
        version: the commit, or the digest of a folder whose files may change.
    """

    root: str
    entry: str
    repo: str
    repo_type: str
    hub: str
    version: str

    @property
    def key(self) -> str:
        """The name of the package: readable, and different for every pin."""
        text = "\0".join((self.root, self.entry, self.repo, self.repo_type, self.hub, self.version))
        slug = re.sub(r"\W+", "_", self.repo)
        return f"r_{slug}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(eq=False)
class Repo:
    """A place that this process has opened.

    Attributes:
        place: where it is.
        folders: folders below the root that the repo's code put on `sys.path`.
        modules: modules that the repo's code put into `sys.modules` by itself.
        specs: the Gymnasium ids that the repo's code registered.
        views: modules that the repo's code sees in another form, see `standins`.
    """

    place: Place
    folders: List[str] = field(default_factory=list)
    modules: Dict[str, ModuleType] = field(default_factory=dict)
    specs: Dict[str, Any] = field(default_factory=dict)
    views: Dict[str, ModuleType] = field(default_factory=dict)
    _resolved: Dict[Tuple[Any, ...], Optional[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.package = PREFIX + self.place.key
        self.entry = f"{self.package}.{files.module_parts(self.place.entry)}"
        self.entry_file = os.path.join(self.place.root, *self.place.entry.split("/"))
        self._paths: Tuple[str, ...] = ()
        self._folders: Tuple[str, ...] = ()
        self.builtins = {**vars(builtins), "__import__": self._import}

    def name_of(self, file: str) -> str:
        """The private name of a file or folder below the root."""
        parts = files.module_parts(os.path.relpath(file, self.place.root))
        return f"{self.package}.{parts}" if parts else self.package

    def resolve(self, top: str, asking: str = "") -> Optional[str]:
        """What `import top` means in the repo's code: a private name, or `None` for outside.

        The standard library comes first, then folders that the repo put on `sys.path`, the
        entry's folder and the root; a file never gets itself, and a folder without `__init__.py`
        only counts if nothing else has that name.
        """
        if not top or is_standard(top):
            return None
        paths = tuple(sys.path)
        if paths != self._paths:
            self._paths, self._folders = paths, self._search_path()
        folders = self._folders
        question = (top, asking, folders)
        if question not in self._resolved:
            self._resolved[question] = self._look(top, asking, folders)
        return self._resolved[question]

    def _look(self, top: str, asking: str, folders: Tuple[str, ...]) -> Optional[str]:
        for folder in folders:
            file = files.find(folder, top)
            if file is None or (os.path.isdir(file) and self.is_installed(top)):
                continue
            name = self.name_of(file)
            if name != asking or files.is_package(file):
                return name
        absent = top == LEROBOT and top not in sys.modules and not self.is_installed(top)
        return STAND_IN if absent else None

    def _search_path(self) -> Tuple[str, ...]:
        entry_folder = os.path.dirname(self.entry_file)
        found = [*self.added_paths(), *self.folders, entry_folder, self.place.root]
        return tuple(dict.fromkeys(found))

    def added_paths(self) -> List[str]:
        """The folders below the root that are on `sys.path` now."""
        paths = [real(entry) for entry in sys.path if isinstance(entry, str) and entry]
        return [path for path in paths if files.is_below(path, self.place.root)]

    def keep_path(self, folder: str) -> None:
        """Go on looking in a folder that the repo's code had put on `sys.path`."""
        if folder not in self.folders:
            self.folders.append(folder)
            self._paths = ()

    def is_installed(self, top: str) -> bool:
        """Whether a module of this name is found outside the repo."""
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            spec = find_spec(top, None) if find_spec and finder is not Finder else None
            if spec and spec.origin and not files.is_below(spec.origin, self.place.root):
                return True
        return False

    def _import(
        self,
        name: str,
        globals: Optional[Dict[str, Any]] = None,
        locals: Any = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        """`__import__` for the repo's code."""
        top = name.partition(".")[0]
        if level == 0 and name in self.modules:
            return self.modules[name if fromlist else top]
        asking = (globals or {}).get("__name__", "")
        private = self.resolve(top, asking) if level == 0 else None
        if private is None:
            with _AT_EASE if top in sys.modules else _declining(top):
                module = builtins.__import__(name, globals, locals, fromlist, level)
            return standins.stand_in(self, module)
        full = private + name[len(top) :]
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        importlib.import_module(full)
        return sys.modules[private]


class Loader(SourceFileLoader):
    """Runs a file of a repo with the repo's own `import`, and never from bytecode in its tree.

    Bytecode is in no digest, and the tree belongs to the store.
    """

    def __init__(self, fullname: str, path: str, repo: Repo) -> None:
        super().__init__(fullname, path)
        self.repo = repo

    def get_code(self, fullname: str) -> Optional[CodeType]:
        """The code of the source, compiled now."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
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
        _open[place.key] = Repo(place)
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


@functools.lru_cache(maxsize=None)
def real(path: str) -> str:
    """`os.path.realpath`, remembered, since every import asks for all of `sys.path`."""
    return os.path.realpath(path)


def is_standard(top: str) -> bool:
    """Whether the standard library has a module of this name."""
    return top in _STANDARD


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
    elif at_work() and fullname not in _thread.__dict__.get("declined", ()):
        repo = at_work()[-1]
        private = None if repo.is_installed(fullname) else repo.resolve(fullname)
    else:
        private = None
    if private is None or not private.startswith(PREFIX):
        return None
    return ModuleSpec(fullname, AliasLoader(private))  # type: ignore[arg-type]  # a duck


@contextlib.contextmanager
def _declining(top: str) -> Iterator[None]:
    """Let `import top` go past the repo, whose own code asked for it and means something else."""
    before = _thread.__dict__.get("declined", ())
    _thread.declined = (*before, top)
    try:
        yield
    finally:
        _thread.declined = before


class _Traveller:
    """Rides along with every process that multiprocessing starts, ahead of its target."""

    def __reduce__(self) -> Tuple[Any, ...]:
        return _arrive, (tuple(repo.place for repo in _open.values()),)


def _arrive(places: Tuple[Place, ...]) -> _Traveller:
    for place in places:
        open_repo(place)
    return _Traveller()


def _list_standard() -> frozenset[str]:
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return frozenset(names)
    folders = [os.path.dirname(os.__file__)]
    folders.append(os.path.join(folders[0], "lib-dynload"))
    found = [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    return frozenset(sys.builtin_module_names) | {name.partition(".")[0] for name in found}


_AT_EASE = contextlib.nullcontext()
_STANDARD = _list_standard()
_open: Dict[str, Repo] = {}
_thread = threading.local()

sys.meta_path.insert(0, Finder)
# A process copies this table from the one that starts it, and it is pickled before the target.
process.current_process()._config[TRAVELLER] = _Traveller()  # type: ignore[attr-defined]  # not in typeshed
