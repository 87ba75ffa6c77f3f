"""What the hub knows of the envs at their commits, kept in its database."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from envhub.server.about import About
from envhub.server.database import Database
from envhub.server.dates import iso
from envhub.server.repos import Repo

VIDEOS = {"mp4": "video/mp4", "webm": "video/webm"}


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture of an env.

    Attributes:
        type: its media type.
        data: its bytes.
    """

    type: str
    data: bytes


class Abouts:
    """The blocks, by repo and commit.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def block(self, repo: Repo, commit: str) -> dict[str, Any] | None:
        """The block `env` of the info JSON; `None` if there is no env, or nobody will look."""
        row = self._database.one(
            "SELECT block, examined, previews.type FROM abouts LEFT JOIN previews USING (repo, sha)"
            " WHERE abouts.repo = ? AND abouts.sha = ?",
            *(repo.id, commit),
        )
        if row is None:
            waiting = "SELECT 1 FROM jobs WHERE repo = ? AND sha = ?"
            is_waiting = self._database.value(waiting, repo.id, commit)
            return {"state": "waiting", "commit": commit} if is_waiting else None
        if not row["block"]:
            return None
        block: dict[str, Any] = json.loads(row["block"])
        address, kind = _preview(repo, commit, block["preview"], row["type"])
        return {
            **block,
            "commit": commit,
            "examined": iso(row["examined"]),
            "preview": address,
            "preview_type": kind,
        }

    def find(self, repo: int, commit: str) -> About | None:
        """What is known of a commit; `None` if nothing is, or there is no env."""
        block = self._database.value(
            "SELECT block FROM abouts WHERE repo = ? AND sha = ?", repo, commit
        )
        return msgspec.json.decode(block, type=About) if block else None

    def is_known(self, repo: int, commit: str, *, ran: bool) -> bool:
        """Whether a commit was looked at, and if `ran`, run, too."""
        found = self._database.value(
            "SELECT ran FROM abouts WHERE repo = ? AND sha = ?", repo, commit
        )
        return found is not None and found >= ran

    def preview(self, repo: Repo, commit: str) -> Preview | None:
        """The picture that the hub took of an env."""
        row = self._database.one(
            "SELECT type, data FROM previews WHERE repo = ? AND sha = ?", repo.id, commit
        )
        return Preview(*row) if row else None

    def put(
        self, repo: int, commit: str, about: About | None, preview: Preview | None, *, ran: bool
    ) -> None:
        """Keep what was found, and strike the job off the list; at once or not at all."""
        block = msgspec.json.encode(about).decode() if about else ""
        with self._database.write() as connection:
            connection.execute("DELETE FROM jobs WHERE repo = ? AND sha = ?", (repo, commit))
            if connection.execute("SELECT 1 FROM repos WHERE id = ?", (repo,)).fetchone() is None:
                return  # it was deleted meanwhile
            connection.execute("DELETE FROM abouts WHERE repo = ? AND sha = ?", (repo, commit))
            connection.execute(
                "INSERT INTO abouts VALUES (?, ?, ?, ?, ?)",
                (repo, commit, block, ran, time.time()),
            )
            if preview:
                connection.execute(
                    "INSERT INTO previews VALUES (?, ?, ?, ?)",
                    (repo, commit, preview.type, preview.data),
                )


def _preview(repo: Repo, commit: str, path: str, taken: str | None) -> tuple[str, str]:
    """Where a picture is, and its media type: the author's, or else the hub's own."""
    if path:
        suffix = path.rpartition(".")[2].lower()
        return f"{repo.page}/resolve/{commit}/{path}", VIDEOS.get(suffix, f"image/{suffix}")
    if taken:
        return f"/api/{repo.kind}s/{repo.full_name}/preview/{commit}", taken
    return "", ""
