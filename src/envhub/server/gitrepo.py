"""One bare git repo, read through libgit2: revisions, trees, files, history, refs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from pygit2.enums import FileMode, ObjectType, RepositoryOpenFlag, SortMode

from envhub.hubs.lfs import MAX_POINTER, Pointer
from envhub.server.recent import Recent
from envhub.server.refusals import Refusal, entry_not_found, revision_not_found

KEEP = "refs/keep/"
PULLS = "refs/pr/"
SHOWN = ("refs/heads/", "refs/tags/", PULLS)

_ENTRIES, _FILES, _OPEN = 400_000, 100_000, 32
_FLAGS = RepositoryOpenFlag.BARE | RepositoryOpenFlag.NO_SEARCH
_HEX = frozenset("0123456789abcdef")
MAX_TEXT, MAX_DATA = 5_000_000, 100_000_000
"""Bytes of a file in git that is read as text, and of one that is read at all."""

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "gc.auto": "0",
    "http.receivepack": "true",
    "receive.autogc": "false",
    "receive.fsckObjects": "true",
    "receive.fsck.gitmodulesUrl": "error",
    "transfer.fsckObjects": "true",
    "transfer.hideRefs": KEEP.rstrip("/"),
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of a tree.

    Attributes:
        path: where it is in the repo.
        kind: `file` or `directory`.
        oid: git's hash.
        size: bytes of the file; for an LFS file of what the pointer stands for.
        lfs: the pointer, if this is an LFS file.
    """

    path: str
    kind: str
    oid: str
    size: int = 0
    lfs: Pointer | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A commit, as a history shows it."""

    id: str
    title: str
    message: str
    author: str
    date: datetime


# By git's hash of what they are made from, so they hold for every repo and for ever.
_trees: Recent[str, tuple[Entry, ...]] = Recent(_ENTRIES, lambda entries: len(entries) + 1)
_files: Recent[str, tuple[int, Pointer | None]] = Recent(_FILES)


class _Opened(threading.local):
    """The repos that a thread has open; libgit2 sees by itself what others change in them."""

    def __init__(self) -> None:
        self.repos: Recent[Path, pygit2.Repository] = Recent(_OPEN)


_opened = _Opened()


class GitRepo:
    """A bare repo that is open; cheap to open, and used by one thread.

    Args:
        folder: the git directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = _opened.repos.get(folder, lambda: pygit2.Repository(str(folder), _FLAGS))

    @classmethod
    def create(cls, folder: Path) -> GitRepo:
        """Make an empty repo that refuses malformed objects and runs no hooks."""
        made = pygit2.init_repository(str(folder), bare=True, initial_head="main")
        for name, value in _CONFIG.items():
            made.config[name] = value
        return cls(folder)

    def find(self, revision: str) -> str | None:
        """The commit that a branch, tag, full ref or full hash means."""
        if len(revision) == 40 and _HEX.issuperset(revision):
            found = self.git.get(revision)
            if found is not None:
                return _peeled(found)
        if revision.startswith(SHOWN):
            return self._target(revision)
        return self._target(f"refs/heads/{revision}") or self._target(f"refs/tags/{revision}")

    def commit(self, revision: str) -> str:
        """As `find`.

        Raises:
            Refusal: 404, there is no such revision.
        """
        commit = self.find(revision)
        if commit is None:
            raise revision_not_found(revision)
        return commit

    def entry(self, commit: str, path: str) -> Entry | None:
        """The file or folder at a path."""
        try:
            found = self._tree(commit) / path
        except (KeyError, ValueError):
            return None
        return self._entry(path, found)

    def file(self, commit: str, path: str) -> Entry:
        """The file at a path.

        Raises:
            Refusal: 404, there is none.
        """
        entry = self.entry(commit, path)
        if entry is None or entry.kind != "file":
            raise entry_not_found(path, commit)
        return entry

    def entries(self, commit: str, folder: str = "") -> tuple[Entry, ...]:
        """All files and folders below a folder, in git's order.

        Raises:
            Refusal: 404, there is no such folder.
        """
        tree: pygit2.Object = self._tree(commit)
        if folder:
            try:
                tree = self._tree(commit) / folder
            except (KeyError, ValueError) as error:
                raise entry_not_found(folder, commit) from error
        if not isinstance(tree, pygit2.Tree):
            raise entry_not_found(folder, commit)
        inside = self._below(tree)
        if not folder:
            return inside
        return tuple(replace(entry, path=f"{folder}/{entry.path}") for entry in inside)

    def data(self, oid: str) -> bytes:
        """The bytes that git keeps for a file.

        Raises:
            Refusal: 413, a small push can hold a file that would fill the memory; git can fetch it.
        """
        _, size = self.git.odb.read_header(oid)
        if size > MAX_DATA:
            raise Refusal(
                413, f"{size} bytes in git itself can only be cloned: keep them by git-lfs"
            )
        found = self.git[oid]
        assert isinstance(found, pygit2.Blob)  # noqa: S101 - only files have an `Entry`
        return found.data

    def text(self, commit: str, path: str) -> str:
        """A file as text; empty if there is none, it is too long, or it is kept outside git."""
        entry = self.entry(commit, path)
        if entry is None or entry.kind != "file" or entry.lfs or entry.size > MAX_TEXT:
            return ""
        return self.data(entry.oid).decode(errors="replace")

    def refs(self) -> dict[str, str]:
        """Branches, tags and pull requests → commits."""
        names = (name for name in self.git.references if name.startswith(SHOWN))
        found = ((name, self._target(name)) for name in names)
        return {name: commit for name, commit in found if commit}

    def log(self, commit: str, skip: int = 0, limit: int | None = None) -> Iterator[LogEntry]:
        """The history of a commit, newest first."""
        walk = self.git.walk(pygit2.Oid(hex=commit), SortMode.TOPOLOGICAL | SortMode.TIME)
        end = None if limit is None else skip + limit
        return (_log_entry(each) for each in itertools.islice(walk, skip, end))

    def parents(self, commit: str) -> list[str]:
        """The commits that a commit came from, the one that it changed first."""
        return [str(parent.id) for parent in self.git[commit].peel(pygit2.Commit).parents]

    def pointers(self) -> set[Pointer]:
        """The LFS files of all commits that a ref leads to, also those that were pinned once."""
        found: set[Pointer] = set()
        heads = {head for head in map(self._target, self.git.references) if head}
        if not heads:
            return found
        first, *others = (pygit2.Oid(hex=head) for head in heads)
        walk = self.git.walk(first)
        for head in others:
            walk.push(head)
        for commit in walk:
            found |= {each.lfs for each in self._below(commit.tree) if each.lfs}
        return found

    def last_changes(self, commit: str, paths: set[str], depth: int = 500) -> dict[str, LogEntry]:
        """The commit that last changed each path, looked for in the last `depth` ones."""
        missing, found = set(paths), dict[str, LogEntry]()
        last: LogEntry | None = None
        walk = self.git.walk(pygit2.Oid(hex=commit), SortMode.TOPOLOGICAL | SortMode.TIME)
        for each in itertools.islice(walk, depth):
            if not missing:
                break
            last = _log_entry(each)
            changed = self._changed(each) & missing
            found |= dict.fromkeys(changed, last)
            missing -= changed
        return found | (dict.fromkeys(missing, last) if last else {})

    def contains(self, commit: str, older: str) -> bool:
        """Whether `older` is in the history of `commit`."""
        return commit == older or self.git.descendant_of(commit, older)

    def keep(self, commit: str) -> None:
        """Hold on to a commit that a ref is about to leave: somebody may have pinned it."""
        self.git.references.create(f"{KEEP}{commit}", pygit2.Oid(hex=commit), force=True)

    def _changed(self, commit: pygit2.Commit) -> set[str]:
        """The files that a commit changed, and the folders above them."""
        tree = commit.tree
        parents = commit.parents
        diff = tree.diff_to_tree(parents[0].tree) if parents else tree.diff_to_tree()
        paths = {file.path for delta in diff.deltas for file in (delta.old_file, delta.new_file)}
        above = {str(up) for path in paths for up in list(Path(path).parents)[:-1]}
        return paths | above

    def _tree(self, commit: str) -> pygit2.Tree:
        return self.git[commit].peel(pygit2.Tree)

    def _below(self, tree: pygit2.Tree) -> tuple[Entry, ...]:
        return _trees.get(str(tree.id), lambda: tuple(self._walk(tree)))

    def _walk(self, tree: pygit2.Tree) -> Iterator[Entry]:
        for each in tree:
            entry = self._entry(each.name or "", each)
            if entry:
                yield entry
            if isinstance(each, pygit2.Tree):
                for below in self._below(each):
                    yield replace(below, path=f"{each.name}/{below.path}")

    def _entry(self, path: str, found: pygit2.Object) -> Entry | None:
        oid = str(found.id)
        if isinstance(found, pygit2.Tree):
            return Entry(path, "directory", oid)
        if not isinstance(found, pygit2.Blob):
            return None  # another repo, which is not here
        size, lfs = _files.get(oid, lambda: self._measured(found))
        if found.filemode == FileMode.LINK:
            lfs = None
        return Entry(path, "file", oid, lfs.size if lfs else size, lfs)

    def _measured(self, blob: pygit2.Blob) -> tuple[int, Pointer | None]:
        # By the header: to ask the blob for its size would read all of it.
        _, size = self.git.odb.read_header(blob.id)
        return size, Pointer.parse(blob.data) if size <= MAX_POINTER else None

    def _target(self, name: str) -> str | None:
        try:
            target = self.git.references[name].resolve().target
        except (KeyError, ValueError, pygit2.GitError):
            return None
        found = self.git.get(target)
        return _peeled(found) if found is not None else None


def _peeled(found: pygit2.Object) -> str | None:
    try:
        return str(found.peel(ObjectType.COMMIT).id)
    except (ValueError, pygit2.GitError):
        return None


def _log_entry(commit: pygit2.Commit) -> LogEntry:
    title, _, rest = commit.message.partition("\n")
    date = datetime.fromtimestamp(commit.commit_time, UTC)
    return LogEntry(str(commit.id), title, rest.strip("\n"), commit.author.name, date)
