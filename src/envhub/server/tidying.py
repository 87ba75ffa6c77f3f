"""What keeps a repo small and quick: few packs, large files beside git."""

from __future__ import annotations

import hashlib
import logging

from envhub.errors import CommandError
from envhub.hubs.gitprogram import git
from envhub.hubs.lfs import Pointer
from envhub.server.hub import Hub
from envhub.server.repos import Repo, Repos

logger = logging.getLogger("envhub.server")

_LOOSE, _PACKS = 8, 50  # loose objects in one of 256 folders, and packs


def store(hub: Hub, repo: Repo, content: bytes) -> Pointer:
    """Put bytes into the blobs, and link them to a repo."""
    pointer = Pointer(hashlib.sha256(content).hexdigest(), len(content))
    with hub.intake() as intake:
        intake.write(content)
        intake.keep(hub.blobs, pointer.oid)
    hub.holdings.add(repo, pointer.oid, pointer.size)
    return pointer


def pack_if_scattered(repos: Repos, repo: Repo) -> bool:
    """Pack a repo's objects if they lie in many files, which is slow; whether it was done."""
    objects = repos.folder(repo) / "objects"
    loose = sum(1 for _ in (objects / "17").glob("*"))
    packs = sum(1 for _ in (objects / "pack").glob("*.pack"))
    return (loose > _LOOSE or packs > _PACKS) and pack(repos, repo)


def pack(repos: Repos, repo: Repo) -> bool:
    """Put all of a repo into one pack. Nothing is thrown away, not even what no ref leads to."""
    words = ("repack", "-a", "-d", "-k", "-q", "--write-bitmap-index")
    folder = repos.folder(repo)
    try:
        with repos.lock(repo):
            if not any((folder / "objects" / "pack").glob("*.pack")):
                # Only where there is a pack does git's -k take in what no ref leads to.
                git("repack", "-d", "-q", folder=folder)
            git(*words, folder=folder)
    except CommandError as error:  # the repo is as good as before
        logger.warning("%s was not packed: %s", repo.full_name, error)
        return False
    return True
