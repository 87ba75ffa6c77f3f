"""Which repo holds which blob: the only way from a hash to bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable

from envhub.server.access import READ, Access
from envhub.server.accounts import Caller
from envhub.server.blobs import BlobStore
from envhub.server.database import Database
from envhub.server.refusals import Refusal
from envhub.server.repos import Repo, Repos


class Holdings:
    """The links between repos and blobs.

    A blob is linked to the repo that its bytes were uploaded to. Another repo gets it without an
    upload only if whoever asks may read one that has it; to all others the hash means nothing.

    Args:
        database: the links.
        blobs: the bytes.
        repos: the repos.
        access: who may read them.
        quota: bytes that one owner's repos may hold together; 0 is no limit.
    """

    def __init__(
        self, database: Database, blobs: BlobStore, repos: Repos, access: Access, *, quota: int = 0
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._repos = repos
        self._access = access
        self._quota = quota

    def size(self, repo: Repo, sha256: str) -> int | None:
        """Bytes of a blob, `None` if the repo does not hold it."""
        size: int | None = self._database.value(
            "SELECT size FROM holdings JOIN blobs USING (sha256) WHERE repo = ? AND sha256 = ?",
            repo.id,
            sha256,
        )
        return size

    def add(self, repo: Repo, sha256: str, size: int) -> None:
        """Link a blob whose bytes are in the store.

        Raises:
            Refusal: 503, a clean-up took the bytes away just now.
        """
        with self._database.write() as connection:  # which a clean-up holds while it deletes
            if self._blobs.size(sha256) != size:
                raise Refusal(503, "the bytes are not here any more; send them again")
            connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (sha256, size))
            connection.execute(
                "INSERT INTO holdings VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET since = excluded.since",
                (repo.id, sha256, time.time()),
            )

    def claim(self, caller: Caller | None, repo: Repo, sha256: str) -> int | None:
        """Link a blob that the caller can read somewhere; its size, `None` if there is none such.

        The link is as if it was made now, so that no clean-up takes it before it is committed.
        """
        size = self.size(repo, sha256)
        if size is None:
            size = self._elsewhere(caller, repo, sha256)
        if size is None or self._blobs.size(sha256) != size:
            return None
        self.add(repo, sha256, size)
        return size

    def used(self, repos: Iterable[Repo]) -> int:
        """Bytes that repos hold."""
        return sum(repo.git_bytes + self._held(repo) for repo in repos)

    def check_quota(self, repo: Repo, more: int) -> None:
        """Make sure that the owner's repos may hold so many more bytes.

        Raises:
            Refusal: 413, they may not.
        """
        if not self._quota:
            return
        used = self.used(self._repos.select("repos.owner = ?", repo.owner_id))
        if used + more > self._quota:
            raise Refusal(
                413, f"{repo.owner} has {used} of {self._quota} bytes; {more} more do not fit"
            )

    def _held(self, repo: Repo) -> int:
        found = self._database.value(
            "SELECT sum(size) FROM holdings JOIN blobs USING (sha256) WHERE repo = ?", repo.id
        )
        return found or 0

    def _elsewhere(self, caller: Caller | None, repo: Repo, sha256: str) -> int | None:
        others = self._repos.select(
            "repos.id IN (SELECT repo FROM holdings WHERE sha256 = ? AND repo != ?)",
            sha256,
            repo.id,
        )
        for other in others:
            readable = self._access.level(caller, other) >= READ
            if readable and self._access.may_download(caller, other):
                return self.size(other, sha256)
        return None
