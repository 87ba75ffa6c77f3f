"""Many blobs as one git pack, so that a large commit is one file and appears all at once."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

import pygit2

from envhub.errors import CommandError
from envhub.hubs.gitprogram import git
from envhub.server.gitrepo import GitRepo

_BLOB = 3
_LEVEL = 1


def write(repo: GitRepo, contents: Sequence[bytes]) -> list[pygit2.Oid]:
    """Add blobs to a repo; where the git program is missing, one file each."""
    unique = list(dict.fromkeys(contents))
    try:
        git("index-pack", "--stdin", "--strict", folder=repo.folder, stdin=_pack(unique))
    except CommandError:
        return [repo.git.create_blob(content) for content in contents]
    return [_hashed(content) for content in contents]


def _pack(contents: Sequence[bytes]) -> bytes:
    """A pack without deltas (gitformat-pack(5), version 2)."""
    parts = [b"PACK" + (2).to_bytes(4, "big") + len(contents).to_bytes(4, "big")]
    for content in contents:
        parts += [_head(len(content)), zlib.compress(content, _LEVEL)]
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _head(size: int) -> bytes:
    """Kind and size of an object: four bits, then seven a byte, lowest first."""
    head = bytearray([_BLOB << 4 | size & 15])
    size >>= 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head)


def _hashed(content: bytes) -> pygit2.Oid:
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return pygit2.Oid(hex=digest.hexdigest())
