"""The repos of a hub: their names and rules in the database, their content in folders."""

from __future__ import annotations

import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from envhub.server import commits
from envhub.server.attributes import DEFAULT
from envhub.server.commits import ATTRIBUTES, Author, Draft, Write
from envhub.server.database import Database
from envhub.server.gitrepo import GitRepo
from envhub.server.names import check_name
from envhub.server.refusals import Refusal

_COLUMNS = "SELECT repos.*, owners.name AS owner_name FROM repos JOIN owners ON owners.id = owner"
_POLL = 0.005  # seconds between two looks at another process's lock


@dataclass(frozen=True, slots=True)
class Repo:
    """What the database has of a repo.

    Attributes:
        id: in the database.
        key: names its folder; stays when the repo is renamed.
        kind: `model`, `dataset`, `space` or `kernel`.
        owner: name of the user or organisation.
        owner_id: of the same.
        name: within the owner's.
        visibility: `public` or `private`.
        gated: `auto` or `manual` if the owner lets people in one by one, else empty.
        sdk: of a space.
        cas: names the store of its Xet uploads; a new one makes clients forget what they sent.
        head: the commit of `main` that the index knows.
        card: the front matter of that commit's README, as JSON.
        created: seconds since 1970.
        modified: the same.
        downloads: how often an entry file was downloaded.
        likes: always 0 for now, since nothing gives any.
        git_bytes: what was written into git so far.
        serial: grows with every change in the hub; the repo that changed last has the greatest.
        n_tasks: of the env at `head`; 0 if it is none, or nobody knows.
    """

    id: int
    key: str
    kind: str
    owner: str
    owner_id: int
    name: str
    visibility: str
    gated: str
    sdk: str | None
    cas: str
    head: str
    card: str
    created: float
    modified: float
    downloads: int
    likes: int
    git_bytes: int
    serial: int
    n_tasks: int

    @classmethod
    def of(cls, row: sqlite3.Row) -> Repo:
        """The repo of a row that has the owner's name, too."""
        fields: dict[str, Any] = dict(row)
        fields["owner_id"] = fields.pop("owner")
        fields["owner"] = fields.pop("owner_name")
        return cls(**{name: fields[name] for name in cls.__slots__})

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    @property
    def page(self) -> str:
        """The path of its page."""
        return f"/{self.full_name}" if self.kind == "model" else f"/{self.kind}s/{self.full_name}"


class Repos:
    """All repos of a hub.

    Args:
        database: their names and rules.
        folder: their content, `ab/<key>.git`.
        locks: files that processes lock while they change a repo.
    """

    def __init__(self, database: Database, folder: Path, locks: Path) -> None:
        self._database = database
        self._folder = folder
        self._locks = locks

    def find(self, kind: str, name: str) -> Repo | None:
        """The repo that has, or once had, that full name."""
        owner, _, short = name.partition("/")
        row = self._database.one(
            f"{_COLUMNS} WHERE repos.kind = ? AND owners.name = ? AND repos.name = ?",
            kind,
            owner,
            short,
        )
        row = row or self._database.one(
            f"{_COLUMNS} JOIN former_names ON former_names.repo = repos.id"
            " WHERE former_names.kind = ? AND former_names.name = ?",
            *(kind, name),
        )
        return Repo.of(row) if row else None

    def by_key(self, key: str) -> Repo | None:
        """The repo whose folder has that name."""
        row = self._database.one(f"{_COLUMNS} WHERE key = ?", key)
        return Repo.of(row) if row else None

    def select(self, where: str, *args: Any) -> list[Repo]:
        """The repos for which an SQL condition holds."""
        return [Repo.of(row) for row in self._database.all(f"{_COLUMNS} WHERE {where}", *args)]

    def create(
        self,
        kind: str,
        owner: sqlite3.Row,
        name: str,
        *,
        private: bool,
        sdk: str | None,
        author: Author,
    ) -> Repo:
        """Make a repo with one commit, which has `.gitattributes`.

        Raises:
            Refusal: 400 for a name that cannot be; 409 if it is taken.
        """
        key = uuid.uuid4().hex
        check_name(name)
        begun = Draft("initial commit", changes=[Write(ATTRIBUTES, DEFAULT.encode())])
        folder = self._path(key)
        folder.parent.mkdir(exist_ok=True)
        try:
            head = commits.commit(GitRepo.create(folder), "main", begun, author)
            now = time.time()
            self._database.change(
                "INSERT INTO repos (key, kind, owner, name, visibility, sdk, cas, head, created,"
                " modified, serial)"
                " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(max(serial), 0) + 1 FROM repos",
                *(key, kind, owner["id"], name, "private" if private else "public", sdk),
                *(uuid.uuid4().hex, head, now, now),
            )
        except sqlite3.IntegrityError as error:
            shutil.rmtree(folder)
            raise Refusal(409, "You already created this repo") from error
        made = self.by_key(key)
        assert made is not None  # noqa: S101 - it was made above
        return made

    def delete(self, repo: Repo) -> None:
        """Remove a repo for good; a crash on the way leaves what `gc` finds."""
        with self.lock(repo), self._database.write() as connection:
            for table in ("runs", "xorbs"):
                connection.execute(f"DELETE FROM {table} WHERE cas = ?", (repo.cas,))  # noqa: S608 - as above
            connection.execute("DELETE FROM repos WHERE id = ?", (repo.id,))
        shutil.rmtree(self._path(repo.key), ignore_errors=True)

    def move(self, repo: Repo, owner: sqlite3.Row, name: str) -> None:
        """Give a repo another name; the old one leads to it until another repo takes it.

        Raises:
            Refusal: 400 for a name that cannot be; 409 if it is taken.
        """
        check_name(name)
        try:
            with self._database.write() as connection:
                connection.execute(
                    "UPDATE repos SET owner = ?, name = ? WHERE id = ?",
                    (owner["id"], name, repo.id),
                )
                connection.execute(
                    "INSERT OR REPLACE INTO former_names VALUES (?, ?, ?)",
                    (repo.kind, repo.full_name, repo.id),
                )
        except sqlite3.IntegrityError as error:
            raise Refusal(409, f"{owner['name']}/{name} exists already") from error

    def change(self, repo: Repo, **fields: str) -> None:
        """Change columns of a repo."""
        names = ", ".join(f"{name} = ?" for name in fields)
        self._database.change(
            f"UPDATE repos SET {names} WHERE id = ?",  # noqa: S608 - names of ours
            *fields.values(),
            repo.id,
        )

    def renew_cas(self, repo: Repo) -> None:
        """Forget all Xet uploads, and make clients forget that they made them."""
        with self._database.write() as connection:
            for table in ("runs", "xorbs"):
                connection.execute(f"DELETE FROM {table} WHERE cas = ?", (repo.cas,))  # noqa: S608 - a name of ours
            connection.execute(
                "UPDATE repos SET cas = ? WHERE id = ? AND cas = ?",
                (uuid.uuid4().hex, repo.id, repo.cas),
            )

    def git(self, repo: Repo) -> GitRepo:
        """The repo's content."""
        return GitRepo(self.folder(repo))

    def folder(self, repo: Repo) -> Path:
        """The repo's git directory."""
        return self._path(repo.key)

    def folders(self) -> Iterator[Path]:
        """The git directories that there are, also those that no repo owns."""
        return self._folder.glob("??/*.git")

    @contextmanager
    def lock(self, repo: Repo) -> Iterator[None]:
        """Be the only one who changes the repo, in any process, for as long as the block runs."""
        with FileLock(self._locks / f"{repo.key}.lock", poll_interval=_POLL):
            yield

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.git"
