"""What every kind of hub can do, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from envhub.errors import HubError
from envhub.pins import File
from envhub.refs import Ref

Progress = Callable[[int], None]
"""Called with the number of bytes that have arrived since the last call."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of one repo on one hub.

    Attributes:
        hub: address of the hub, git URL, or `file://` and a folder.
        repo: `owner/name`, the last part of the URL or folder, or the name of a package.
        repo_type: `model`, `space`, `dataset`, `git`, `local` or `package`.
        id: the full 40-hex hash, the version of a package, or `None` for a folder.
        entry: the entry file, if the hub knows which one is meant; empty if the ref says it.
    """

    hub: str
    repo: str
    repo_type: str
    id: str | None
    entry: str = ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit of a repo's history.

    Attributes:
        id: the full hash.
        title: the first line of its message.
        author: who made it, as they say.
        date: when, as they say.
    """

    id: str
    title: str
    author: str
    date: datetime


def below(folder: Path, path: str) -> Path:
    """Where a hub's file is written below `folder`.

    Listings are checked before anything is downloaded; this is the second lock on that door.

    Raises:
        HubError: the path leaves the folder.
    """
    if path.startswith("/") or ".." in path.split("/"):
        raise HubError(f"the file {path!r} does not lie inside the repo")
    return folder / path


class Hub(Protocol):
    """A place where repos live. Implementations are small and keep no state but a connection."""

    @property
    def address(self) -> str:
        """What names this hub, in pins and in the cache; never a token in it."""
        ...

    @property
    def live(self) -> bool:
        """Whether the files are used where they are: true for a folder on this machine."""
        ...

    def resolve(self, ref: Ref) -> Commit:
        """Turn a ref into a full commit.

        Raises:
            RepoNotFoundError: no such repo, or the token does not open it.
            RevisionNotFoundError: no such branch, tag or commit.
            GatedRepoError: the owner must let you in first.
            HubUnreachableError: no answer.
        """
        ...

    def files(self, ref: Ref, commit: Commit) -> tuple[File, ...]:
        """All files of a commit, without downloading them."""
        ...

    def date(self, ref: Ref, commit: Commit) -> datetime | None:
        """When a commit was made; `None` if it has no date, as a folder has none."""
        ...

    def log(self, ref: Ref, commit: Commit, most: int) -> tuple[LogEntry, ...]:
        """A commit and those before it, the newest first; empty where nobody keeps a history."""
        ...

    def download(
        self, ref: Ref, commit: Commit, files: Sequence[File], into: Path, progress: Progress
    ) -> None:
        """Write `files` below the folder `into`, as real files.

        What is already there in part is continued where the hub can do that. The caller verifies
        the bytes.
        """
        ...
