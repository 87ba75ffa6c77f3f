"""A hub: one data folder, and all that knows what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pygit2

from envhub.errors import MissingExtraError
from envhub.server.abouts import Abouts
from envhub.server.access import Access
from envhub.server.accounts import Accounts
from envhub.server.blobs import BlobStore, FolderBlobs, Intake, Spool
from envhub.server.config import Config
from envhub.server.database import Database
from envhub.server.downloads import Downloads
from envhub.server.holdings import Holdings
from envhub.server.index import Index
from envhub.server.jobs import Jobs
from envhub.server.limits import Limit
from envhub.server.metrics import Metrics
from envhub.server.repos import Repo, Repos
from envhub.server.sessions import Sessions
from envhub.server.signing import Signer
from envhub.server.xet import XetStore

if TYPE_CHECKING:
    from envhub.server.mirror import Mirror

FOLDERS = ("repos", "blobs", "xet", "tmp", "locks")


class Hub:
    """Everything that a hub consists of; several processes may have the same folder open.

    Args:
        folder: the data folder; it is made if it does not exist.
        config: rules; `hub.toml` of the folder if not given.
    """

    def __init__(self, folder: Path, config: Config | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        self.folder = folder
        self.config = config or Config.read(folder)
        self.signer = Signer(folder / "secret")
        self.database = Database(folder / "hub.sqlite3", durable=self.config.durable)
        self.accounts = Accounts(self.database)
        self.sessions = Sessions(self.database, self.accounts)
        self.repos = Repos(self.database, folder / "repos", folder / "locks")
        self.blobs = self._blobs()
        open_to_all = self.config.public_repos
        self.access = Access(self.database, open_to_all=open_to_all)
        self.abouts = Abouts(self.database)
        self.index = Index(self.database, self.repos, self.abouts, open_to_all=open_to_all)
        self.jobs = Jobs(self)
        self.holdings = Holdings(
            self.database, self.blobs, self.repos, self.access, quota=self.config.quota
        )
        self.requests = Limit(self.config.requests_per_minute)
        self.failures = Limit(self.config.failures_per_minute)
        self.metrics = Metrics()
        self.downloads = Downloads(self.database)
        self.mirror = self._mirror()
        pygit2.settings.enable_fsync_gitdir(self.config.durable)
        pygit2.settings.owner_validation = False  # the folder may be another user's, as a backup is

    def intake(self, limit: int | None = None) -> Intake:
        """A file that is to be kept."""
        return Intake(
            self.folder / "tmp",
            limit=self.config.max_file if limit is None else limit,
            durable=self.config.durable,
        )

    def spool(self, limit: int) -> Spool:
        """A file that is needed for a while."""
        return Spool(self.folder / "tmp", limit=limit)

    def xet(self, repo: Repo) -> XetStore:
        """What Xet clients sent to a repo."""
        return XetStore(self.database, self.blobs, self.folder / "xet", repo.cas)

    def _blobs(self) -> BlobStore:
        if self.config.bucket is None:
            return FolderBlobs(self.folder / "blobs")
        try:
            # Here, since it needs an optional extra.
            from envhub.server.objects import connect
        except ImportError as error:
            raise MissingExtraError(
                "a bucket needs a package that is not installed",
                why=str(error),
                hint='pip install "gym-envhub[hub,s3]"',
            ) from error
        return connect(self.config.bucket)

    def _mirror(self) -> Mirror | None:
        if self.config.mirror is None:
            return None
        # Here, since it loads a client of hubs, which others do not need.
        from envhub.server.mirror import Mirror

        return Mirror(self, self.config.mirror)

    def close(self) -> None:
        """Write down what was counted, and close the database."""
        if self.mirror:
            self.mirror.close()
        self.downloads.flush()
        self.database.close()
