"""What changed between two commits, as far as a page can show it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import DeltaStatus

from envhub.server.gitrepo import Entry, GitRepo

FILES, LINES, WIDTH = 100, 3000, 500
MAX_SIZE = 400_000
_RENAMES = 200
_TOO_MUCH = "There is more than a page can show."
_KINDS = {
    DeltaStatus.ADDED: "added",
    DeltaStatus.DELETED: "deleted",
    DeltaStatus.MODIFIED: "changed",
    DeltaStatus.RENAMED: "renamed",
    DeltaStatus.COPIED: "copied",
    DeltaStatus.TYPECHANGE: "changed",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a change.

    Attributes:
        kind: `+`, `-`, a space for one that is the same, `@` for where a part begins.
        old: its number before, if it was there.
        new: its number now, if it is there.
        text: without the line break.
    """

    kind: str
    old: int | None
    new: int | None
    text: str


@dataclass(slots=True)
class Change:
    """What became of a file.

    Attributes:
        path: now, or before if it is gone.
        before: its former path, if it was renamed.
        kind: `added`, `deleted`, `changed`, `renamed`.
        lines: what changed, as far as there was room.
        note: why there are no lines, or not all.
    """

    path: str
    before: str
    kind: str
    lines: list[Line] = field(default_factory=list)
    note: str = ""

    @property
    def added(self) -> int:
        """How many lines are new, of those shown."""
        return sum(line.kind == "+" for line in self.lines)

    @property
    def removed(self) -> int:
        """How many lines are gone, of those shown."""
        return sum(line.kind == "-" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed.

    Attributes:
        files: file by file.
        more: how many other files changed.
    """

    files: list[Change]
    more: int


def between(git: GitRepo, before: str, after: str) -> Changes:
    """What changed from one commit to another.

    Args:
        git: the repo.
        before: a commit, or nothing to see all that `after` has.
        after: a commit.
    """
    old, new = (_files(git, commit) for commit in (before, after))
    tree = git.git[after].peel(pygit2.Tree)
    if before:
        found = git.git[before].peel(pygit2.Tree).diff_to_tree(tree)
    else:
        found = tree.diff_to_tree(swap=True)
    sizes = [entry.size for entry in (*old.values(), *new.values()) if not entry.lfs]
    if len(found) <= _RENAMES and max(sizes, default=0) <= MAX_SIZE:  # it reads all that changed
        found.find_similar()
    files, left = [], LINES
    for number, delta in enumerate(itertools.islice(found.deltas, FILES)):
        change = _change(delta)
        versions = old.get(change.before or change.path), new.get(change.path)
        change.note = _why_not([entry for entry in versions if entry], left)
        if not change.note:
            _fill(change, found[number], left)
        left -= len(change.lines)
        files.append(change)
    return Changes(files, max(len(found) - FILES, 0))


def _files(git: GitRepo, commit: str) -> dict[str, Entry]:
    entries = git.entries(commit) if commit else ()
    return {entry.path: entry for entry in entries if entry.kind == "file"}


def _change(delta: pygit2.DiffDelta) -> Change:
    kind = _KINDS.get(delta.status, "changed")
    old, new = delta.old_file.path, delta.new_file.path
    return Change(
        old if kind == "deleted" else new, old if kind in {"renamed", "copied"} else "", kind
    )


def _why_not(versions: list[Entry], left: int) -> str:
    """Why the lines of a file are not looked at, or nothing."""
    if any(entry.lfs for entry in versions):
        return "It is kept outside git."
    if any(entry.size > MAX_SIZE for entry in versions):
        return "It is too large to be compared here."
    return "" if left > 0 else _TOO_MUCH


def _fill(change: Change, patch: pygit2.Patch | None, left: int) -> None:
    if patch is None or patch.delta.is_binary:
        change.note = "It is no text."
        return
    lines = list(_lines(patch, left + 1))
    change.lines = lines[:left]
    if len(lines) > left:
        change.note = _TOO_MUCH


def _lines(patch: pygit2.Patch, most: int) -> Iterator[Line]:
    for hunk in patch.hunks:
        for line in (Line("@", None, None, hunk.header.rstrip("\n")), *map(_line, hunk.lines)):
            if most <= 0:
                return
            most -= 1
            yield line


def _line(line: pygit2.DiffLine) -> Line:
    text = line.content.strip("\r\n")
    cut = text[:WIDTH] + " …" if len(text) > WIDTH else text
    kind = line.origin if line.origin in "+- " else "@"
    known = [None if number < 0 else number for number in (line.old_lineno, line.new_lineno)]
    return Line(kind, known[0], known[1], cut)
