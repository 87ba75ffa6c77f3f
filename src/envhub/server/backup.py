"""A copy of a hub that is whole, taken while the hub goes on; and a hub made from such a copy.

The order makes it whole. First the database, which says which repos there are; then each repo, its
refs before its objects, since whatever a ref leads to was there before it; then, once more, which
blobs the repos hold, since commits may have come in between; and the blobs last. What was in the
hub when the backup began is in it, and nothing in it refers to something that is not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from envhub.errors import ArgumentError
from envhub.server.checking import check
from envhub.server.database import Database
from envhub.server.hub import Hub
from envhub.server.repos import Repo

_DATABASE = "hub.sqlite3"


def back_up(hub: Hub, target: Path) -> int:
    """Copy a hub into a new folder; returns the number of repos.

    Blobs never change, so on the same file system they are hard links and take no space; those in a
    bucket stay there.

    Raises:
        ArgumentError: the folder is there already, and not empty.
    """
    _refuse_full(target)
    aside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True, mode=0o700)
    hub.database.copy(aside / _DATABASE)
    for name in ("secret", "hub.toml"):
        if (hub.folder / name).is_file():
            shutil.copy2(hub.folder / name, aside / name)
    copy = Hub(aside, hub.config)
    repos = copy.repos.select("1")
    for repo in repos:
        _copy_repo(hub, copy, repo)
    blobs = [] if hub.config.bucket else copy.database.all("SELECT sha256 FROM blobs")
    for row in blobs:
        _copy_blob(hub, aside, row["sha256"])
    _settle(copy)
    copy.close()
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rmdir()
    aside.replace(target)
    return len(repos)


def restore(source: Path, folder: Path) -> Iterator[str]:
    """Make a hub's folder from a backup, which stays; yields what is wrong with it, if anything.

    Raises:
        ArgumentError: the folder is there already, and not empty; or the backup is none.
    """
    if not (source / _DATABASE).is_file():
        raise ArgumentError(f"{source} is no backup of a hub", hint="envhub hub backup FOLDER")
    _refuse_full(folder)
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source, aside, copy_function=shutil.copy2)
    if folder.exists():
        folder.rmdir()
    aside.replace(folder)
    hub = Hub(folder)
    yield from check(hub)
    hub.close()


def _refuse_full(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArgumentError(f"{folder} is not empty", hint="name a folder that does not exist")


def _copy_repo(hub: Hub, copy: Hub, repo: Repo) -> None:
    """Copy a repo, and take over which blobs it holds by now; a deleted one goes from the copy."""
    source, target = hub.repos.folder(repo), copy.repos.folder(repo)
    with hub.repos.lock(repo):
        if not source.is_dir():
            copy.database.change("DELETE FROM repos WHERE id = ?", repo.id)
            return
        for part in ("HEAD", "config", "packed-refs", "refs", "objects"):
            _copy_tree(source / part, target / part)
    held = hub.database.all(
        "SELECT sha256, size, since FROM holdings JOIN blobs USING (sha256) WHERE repo = ?", repo.id
    )
    with copy.database.write() as connection:
        for row in held:
            sha256, size, since = row
            connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (sha256, size))
            connection.execute(
                "INSERT OR IGNORE INTO holdings VALUES (?, ?, ?)", (repo.id, sha256, since)
            )


def _copy_tree(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    elif source.is_dir():
        ignored = shutil.ignore_patterns("*.lock", "tmp_*", "incoming-*")
        shutil.copytree(source, target, ignore=ignored)


def _copy_blob(hub: Hub, folder: Path, sha256: str) -> None:
    target = folder / "blobs" / sha256[:2] / sha256[2:4] / sha256
    target.parent.mkdir(parents=True, exist_ok=True)
    with hub.blobs.open(sha256) as source:
        try:
            os.link(source.name, target)
        except OSError:  # another file system, or none at all
            with target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)


def _settle(copy: Hub) -> None:
    """Bring the copy's own records up to what was copied."""
    database: Database = copy.database
    with database.write() as connection:
        connection.execute("DELETE FROM runs")
        connection.execute("DELETE FROM xorbs")
        connection.execute("UPDATE repos SET cas = lower(hex(randomblob(16)))")
    for repo in copy.repos.select("1"):
        copy.index.update(repo)
    with database.read() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
