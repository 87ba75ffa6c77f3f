"""A bundle on this machine as a hub: its repos, without any network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from envhub.bundles import Bundle, Packed
from envhub.hubs.base import Commit, LogEntry, Progress
from envhub.pins import File
from envhub.refs import Ref
from envhub.tree import folder_address

BUNDLE = "bundle"
"""The repo type of what comes from one."""


class BundleFile:
    """The hub of one `.envhub` file.

    What a repo in it is called, and where it is said to come from, nobody can check. So consent is
    for the file and its contents: a commit is a hash over all that a repo there consists of.

    Args:
        path: the file, `~` allowed, relative to the working folder.
    """

    live = False

    def __init__(self, path: str | Path) -> None:
        self.address = folder_address(path)
        self.bundle = Bundle(Path(self.address.removeprefix("file://")))

    def resolve(self, ref: Ref) -> Commit:
        """The repo that a ref names; the only one if it names none.

        Raises:
            RepoNotFoundError: there is no such repo.
            HubError: the file is no bundle.
        """
        repo, entry = self.bundle.find(ref.path)
        return Commit(self.address, repo.repo, BUNDLE, self.bundle.commit(repo), entry)

    def files(self, ref: Ref, commit: Commit) -> tuple[File, ...]:
        """All files of a repo."""
        return self._repo(ref).files

    def date(self, ref: Ref, commit: Commit) -> datetime | None:
        """None: what belongs to a bundle is in it."""
        return None

    def log(self, ref: Ref, commit: Commit, most: int) -> tuple[LogEntry, ...]:
        """Nothing: a bundle has one commit."""
        return ()

    def download(
        self, ref: Ref, commit: Commit, files: Sequence[File], into: Path, progress: Progress
    ) -> None:
        """Write `files` below `into`.

        Raises:
            CorruptSourceError: the bundle has other bytes for one.
        """
        wanted = {file.path for file in files}
        self.bundle.copy_files(self._repo(ref).files, into, wanted)
        progress(sum(file.size for file in files))

    def _repo(self, ref: Ref) -> Packed:
        return self.bundle.find(ref.path)[0]
