"""Whether a hub's folder is whole: database, repos, blobs, and what they say of each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pygit2

from envhub.hubs.gitprogram import git
from envhub.server.hub import Hub
from envhub.server.repos import Repo


def check(hub: Hub, *, deep: bool = False) -> Iterator[str]:
    """Look for what is wrong, beside a running hub; yields a line for each thing.

    Args:
        hub: to look at.
        deep: read every blob, and compare it with its name.
    """
    yield from (f"database: {line}" for line in hub.database.check())
    for repo in hub.repos.select("1"):
        yield from (f"{repo.full_name} ({repo.kind}): {line}" for line in _repo(hub, repo))
    for row in hub.database.all("SELECT sha256, size FROM blobs"):
        yield from (f"blob {row['sha256']}: {line}" for line in _blob(hub, *row, deep=deep))


def _repo(hub: Hub, repo: Repo) -> Iterator[str]:
    folder = hub.repos.folder(repo)
    if not folder.is_dir():
        yield "its folder is gone"
        return
    with hub.repos.lock(repo):
        done = git("fsck", "--strict", "--no-dangling", "--no-progress", folder=folder, check=False)
    if done.returncode:
        yield from (done.stderr + done.stdout).decode(errors="replace").splitlines()
        return
    try:
        pointers = hub.repos.git(repo).pointers()
    except (pygit2.GitError, KeyError) as error:
        yield str(error)
        return
    for pointer in sorted(pointers, key=lambda each: each.oid):
        if hub.holdings.size(repo, pointer.oid) is None:
            yield f"a commit names the LFS file {pointer.oid}, which was never uploaded"


def _blob(hub: Hub, sha256: str, size: int, *, deep: bool) -> Iterator[str]:
    found = hub.blobs.size(sha256)
    if found is None:
        yield "its file is gone"
    elif found != size:
        yield f"it has {found} bytes, not {size}"
    elif deep:
        with hub.blobs.open(sha256) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                yield "its bytes are others"
