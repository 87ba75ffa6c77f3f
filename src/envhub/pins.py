"""What is fixed: the files of one commit, their digest, and the pin that names them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from envhub.refs import Ref

ENTRY = "env.py"
PACKAGE = "package"
"""The repo type of a package from a package index; its commits are its versions."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.!+_-]{0,99}")


@dataclass(frozen=True, slots=True, order=True)
class File:
    """One file of a commit, as the hub lists it.

    Attributes:
        path: where it is in the repo, with `/`.
        oid: the hash of its bytes: `sha1:<git blob id>`, or `sha256:<hash>` if it is an LFS file.
        size: bytes.
    """

    path: str
    oid: str
    size: int

    @property
    def is_lfs(self) -> bool:
        """Whether the hub keeps the bytes outside git."""
        return self.oid.startswith("sha256:")


def tree_digest(files: Iterable[File]) -> str:
    """The digest of a tree: `sha256:` over the sorted `path NUL oid NUL size LF` lines.

    Hubs list these fields without sending the files, so the digest is known before any download.
    It does not depend on the order of `files`.
    """
    lines = sorted(f"{file.path}\0{file.oid}\0{file.size}\n".encode() for file in files)
    return "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()


def blob_id(data: bytes) -> str:
    """The oid that git gives to a file with these bytes."""
    header = b"blob %d\0" % len(data)
    return "sha1:" + hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


def is_commit(text: str, repo_type: str) -> bool:
    """Whether this names a commit for good: the full hash, or of a package the version."""
    return bool((_VERSION if repo_type == PACKAGE else _COMMIT).fullmatch(text))


@dataclass(frozen=True, slots=True)
class Pin:
    """A ref resolved to something that cannot move.

    Attributes:
        ref: the ref that was resolved, with the revision as typed.
        hub: where the repo lives: the address of a hub, a git URL, or `file://` and a folder.
        repo: `owner/name`, the last part of the git URL or folder, or the name of a package.
        repo_type: `model`, `space`, `dataset`, `git`, `local` or `package`.
        commit: the full 40-hex hash, the version of a package, or `None` for a folder, whose
            files may change ("dirty").
        path: the entry file inside the repo.
        digest: the tree digest, see `tree_digest`.
    """

    ref: Ref
    hub: str
    repo: str
    repo_type: str
    commit: str | None
    path: str
    digest: str

    @property
    def dirty(self) -> bool:
        """Whether the files may change under the pin: true for a folder on this machine."""
        return self.commit is None

    @property
    def version(self) -> str:
        """The commit, or for a folder the digest."""
        return self.commit or self.digest

    @property
    def pinned_ref(self) -> str:
        """The ref that names exactly this: the line to put in a paper."""
        fixed = self.dirty or self.ref.kind == "local"  # the name of a file has no revision
        return str(self.ref if fixed else self.ref.at(self.commit))

    def __str__(self) -> str:
        return f"{self.repo}@{self.version[:12]}:{self.path}"
