"""A folder on this machine: its files are used where they are, and pinned by their bytes."""

from __future__ import annotations

import difflib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from envhub.errors import HubError, RefError, RepoNotFoundError
from envhub.hubs.base import Commit, LogEntry, Progress
from envhub.pins import File, blob_id
from envhub.refs import Ref
from envhub.tree import Stamp, folder_address, hash_file, stamp

_TICK = 100_000_000
"""Nanoseconds within which a file may be written twice with the same time."""

IGNORED = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "__pycache__",
        "node_modules",
        ".tox",
        ".nox",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
        ".idea",
        ".vscode",
        ".DS_Store",
        "envhub.lock",
    }
)
"""Names that are no part of an env repo, wherever they lie; nothing of them is published."""


class LocalFolder:
    """The hub of one folder.

    Args:
        folder: the folder, `~` allowed, relative to the working folder.
    """

    live = True

    def __init__(self, folder: str | Path) -> None:
        self.address = folder_address(folder)
        self.folder = Path(self.address.removeprefix("file://"))

    def resolve(self, ref: Ref) -> Commit:
        """A commit without an id: the files may change.

        Raises:
            RepoNotFoundError: there is no such folder.
        """
        if not self.folder.is_dir():
            what = "is a file, not a folder" if self.folder.exists() else "does not exist"
            raise RepoNotFoundError(f"the folder {self.folder} {what}", hint=_hint(self.folder))
        return Commit(self.address, self.folder.name or "/", "local", None)

    def files(self, ref: Ref, commit: Commit) -> tuple[File, ...]:
        """All files that would be published, hashed as git would.

        Raises:
            RefError: a link in the folder leaves it.
            HubError: a file cannot be read.
        """
        try:
            return tuple(sorted(_files(self.folder)))
        except OSError as error:
            raise HubError(
                f"{error.filename} cannot be read",
                why=str(error.strerror),
                hint=f"chmod -R u+rX {self.folder}",
            ) from error

    def date(self, ref: Ref, commit: Commit) -> datetime | None:
        """None: a folder is of today."""
        return None

    def log(self, ref: Ref, commit: Commit, most: int) -> tuple[LogEntry, ...]:
        """Nothing: what a folder was before is not known."""
        return ()

    def download(
        self, ref: Ref, commit: Commit, files: Sequence[File], into: Path, progress: Progress
    ) -> None:
        """Copy files; loading does not need it, since the folder is live."""
        for file in files:
            target = into / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / file.path, target)
            progress(file.size)


def _hint(folder: Path) -> str:
    if folder.is_file():
        return f"{folder.parent}:{folder.name} if it is the entry file"
    near: list[str] = []
    if folder.parent.is_dir():
        near = difflib.get_close_matches(folder.name, [p.name for p in folder.parent.iterdir()])
    return f"did you mean {folder.parent / near[0]}?" if near else "check the spelling"


def _oid(path: str, status: os.stat_result) -> str:
    """The hash of a file; one that was hashed before is only looked at.

    A file that has just been written may be written again within the clock's tick, so that nothing
    would show it.
    """
    if time.time_ns() - status.st_ctime_ns < _TICK:
        return hash_file(Path(path))
    return _known(path, stamp(status))


@lru_cache(maxsize=65_536)
def _known(path: str, _stamp: Stamp) -> str:
    return hash_file(Path(path))


def _files(root: Path) -> Iterator[File]:
    folders = [("", os.fspath(root))]
    while folders:
        prefix, folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in IGNORED or entry.name.endswith(".pyc"):
                    continue
                name = prefix + entry.name
                if entry.is_symlink():
                    yield _link(root, name)
                elif entry.is_dir():
                    folders.append((f"{name}/", entry.path))
                elif entry.is_file():
                    status = entry.stat()
                    yield File(name, _oid(entry.path, status), status.st_size)


def _link(root: Path, name: str) -> File:
    """A link to a file counts as a copy of it; any other one is pinned by where it leads to."""
    path = root / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise RefError(
            f"the link {name!r} in {root} leaves the folder",
            why="a pin covers the files of the folder, and nothing outside of it",
            hint=f"put a copy of {path.readlink()} there instead",
        )
    if path.is_file():
        return File(name, hash_file(path), path.stat().st_size)
    target = os.fsencode(path.readlink())
    return File(name, blob_id(target), len(target))
