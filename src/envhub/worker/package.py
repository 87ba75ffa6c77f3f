"""What names mean in the code of one repo: its own files first, as modules of a private package."""

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
from types import ModuleType
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import files, standins

PREFIX = f"{__package__}.repos."
LEROBOT = "lerobot"
STAND_IN = f"{__package__}.{LEROBOT}"
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
        bytecode: a folder for compiled files, or `""`.
    """

    root: str
    entry: str
    repo: str
    repo_type: str
    hub: str
    version: str
    bytecode: str = ""

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
        outside: folders below the root that are the user's: they were on `sys.path` before.
    """

    place: Place
    finder: Any
    folders: List[str] = field(default_factory=list)
    modules: Dict[str, ModuleType] = field(default_factory=dict)
    specs: Dict[str, Any] = field(default_factory=dict)
    views: Dict[str, ModuleType] = field(default_factory=dict)
    _resolved: Dict[Tuple[Any, ...], Optional[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.package = PREFIX + self.place.key
        self.entry = f"{self.package}.{files.module_parts(self.place.entry)}"
        self.entry_file = os.path.join(self.place.root, *self.place.entry.split("/"))
        on_path = [real(entry) for entry in sys.path if entry]
        self.outside = [p for p in on_path if files.is_below(p, self.place.root, strictly=True)]
        self._paths: Tuple[str, ...] = ()
        self._folders: Tuple[str, ...] = ()
        self.builtins = {**vars(builtins), "__import__": self._import}

    def __reduce__(self) -> Tuple[Any, ...]:
        return importlib.import_module(PREFIX[:-1]).open_repo, (self.place,)

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
        return [path for path in paths if self.owns(path)]

    def owns(self, path: str) -> bool:
        """Whether a file or folder is the repo's own; a `.venv` below the root is not."""
        inside = files.is_below(path, self.place.root)
        return inside and not any(files.is_below(path, folder) for folder in self.outside)

    def keep_path(self, folder: str) -> None:
        """Go on looking in a folder that the repo's code had put on `sys.path`."""
        if folder not in self.folders:
            self.folders.append(folder)
            self._paths = ()

    def is_installed(self, top: str) -> bool:
        """Whether a module of this name is found outside the repo."""
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            spec = find_spec(top, None) if find_spec and finder is not self.finder else None
            if spec and spec.origin and not self.owns(spec.origin):
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


@functools.lru_cache(maxsize=None)
def real(path: str) -> str:
    """`os.path.realpath`, remembered, since it is asked for all of `sys.path` again and again."""
    return os.path.realpath(path)


def is_standard(top: str) -> bool:
    """Whether the standard library has a module of this name."""
    return top in _STANDARD


def declined() -> Tuple[str, ...]:
    """The names that a repo's own code is importing from outside, in this thread."""
    names: Tuple[str, ...] = _thread.__dict__.get("declined", ())
    return names


@contextlib.contextmanager
def _declining(top: str) -> Iterator[None]:
    """Let `import top` go past the repo, whose own code asked for it and means something else."""
    before = declined()
    _thread.declined = (*before, top)
    try:
        yield
    finally:
        _thread.declined = before


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
_thread = threading.local()
