"""What nobody needs any more: found, and removed once it is old enough."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from envhub.server import tidying
from envhub.server.hub import Hub
from envhub.server.repos import Repo

DAY = 86400.0


@dataclass(slots=True)
class Cleaned:
    """What was removed.

    Attributes:
        folders: of repos that were deleted, or never finished.
        links: from repos to blobs that no commit of theirs names.
        blobs: that no repo holds.
        bytes: of those.
        uploads: that were never finished.
        packed: repos that are in one pack now.
    """

    folders: int = 0
    links: int = 0
    blobs: int = 0
    bytes: int = 0
    uploads: int = 0
    packed: int = 0


def clean(hub: Hub, grace: float = DAY) -> Cleaned:
    """Remove what nobody needs, beside a running hub.

    Commits and what they name always stay, also those that no branch leads to any more.

    Args:
        hub: to clean.
        grace: seconds; what is younger may be of an upload that is under way.
    """
    done = Cleaned()
    before = time.time() - grace
    known = {hub.repos.folder(repo) for repo in hub.repos.select("1")}
    for folder in hub.repos.folders():
        if folder not in known and folder.stat().st_mtime < before:
            shutil.rmtree(folder)
            done.folders += 1
    for repo in hub.repos.select("1"):
        with hub.repos.lock(repo):
            done.links += _unlink(hub, repo, before)
            done.uploads += _drop_xorbs(hub, repo, before)
        done.packed += tidying.pack_if_scattered(hub.repos, repo)
    done.uploads += _drop_unfinished(hub, before)
    _drop_blobs(hub, before, done)
    return done


def _unlink(hub: Hub, repo: Repo, before: float) -> int:
    """Forget blobs that were uploaded to a repo and never committed."""
    named = {pointer.oid for pointer in hub.repos.git(repo).pointers()}
    held = hub.database.all(
        "SELECT sha256 FROM holdings WHERE repo = ? AND since < ?", repo.id, before
    )
    loose = [row["sha256"] for row in held if row["sha256"] not in named]
    with hub.database.write() as connection:
        for sha256 in loose:
            connection.execute(
                "DELETE FROM holdings WHERE repo = ? AND sha256 = ? AND since < ?",
                (repo.id, sha256, before),
            )
    marks = ", ".join("?" * len(loose[:500]))
    found = f"SELECT 1 FROM runs WHERE cas = ? AND blob IN ({marks})"  # noqa: S608 - question marks
    if hub.database.one(found, repo.cas, *loose[:500]) or len(loose) > 500:
        _forget_xet(hub, repo)  # chunks that clients believe to be here were in those
    return len(loose)


def _drop_xorbs(hub: Hub, repo: Repo, before: float) -> int:
    """Remove packs of chunks from which no file was ever made."""
    old = [path for path in (hub.folder / "xet" / repo.cas).glob("*") if _older(path, before)]
    if old:
        _forget_xet(hub, repo)
    return len(old)


def _forget_xet(hub: Hub, repo: Repo) -> None:
    hub.repos.renew_cas(repo)
    shutil.rmtree(hub.folder / "xet" / repo.cas, ignore_errors=True)


def _drop_unfinished(hub: Hub, before: float) -> int:
    """Remove what an upload or a repo left behind when the hub was killed, or the repo deleted."""
    old = [path for path in (hub.folder / "tmp").iterdir() if _older(path, before)]
    for path in old:
        path.unlink(missing_ok=True)
    stores = {repo.cas for repo in hub.repos.select("1")}
    for folder in (hub.folder / "xet").iterdir():
        if folder.name not in stores and _older(folder, before):
            shutil.rmtree(folder, ignore_errors=True)
    keys = {repo.key for repo in hub.repos.select("1")}
    for path in (hub.folder / "locks").glob("*.lock"):
        if path.stem not in keys and _older(path, before):
            path.unlink(missing_ok=True)
    return len(old)


def _drop_blobs(hub: Hub, before: float, done: Cleaned) -> None:
    for sha256 in hub.blobs:
        with hub.database.write() as connection:  # so that nobody links it meanwhile
            held = connection.execute("SELECT 1 FROM holdings WHERE sha256 = ?", (sha256,))
            if held.fetchone() or hub.blobs.since(sha256) >= before:
                continue
            connection.execute("DELETE FROM blobs WHERE sha256 = ?", (sha256,))
            done.bytes += hub.blobs.size(sha256) or 0
            done.blobs += 1
            hub.blobs.delete(sha256)
    hub.database.change(
        "DELETE FROM blobs WHERE NOT EXISTS"
        " (SELECT 1 FROM holdings WHERE holdings.sha256 = blobs.sha256)"
    )


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False
