"""Git LFS without the git-lfs program: what a pointer says, and the bytes that it stands for."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envhub.errors import EntryNotFoundError, HubError
from envhub.hubs.base import Progress
from envhub.hubs.gitremote import Remote

MAX_POINTER = 1024
"""Bytes: a larger file is no pointer, says the specification."""

_POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\n"
    rb"(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """What git keeps of an LFS file.

    Attributes:
        oid: the SHA-256 of the bytes, 64 hex digits.
        size: bytes.
    """

    oid: str
    size: int

    @staticmethod
    def parse(data: bytes) -> Pointer | None:
        """Read a pointer; `None` if these bytes are none."""
        found = _POINTER.fullmatch(data) if len(data) <= MAX_POINTER else None
        return Pointer(found.group(1).decode(), int(found.group(2))) if found else None

    def __bytes__(self) -> bytes:
        text = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n"
        )
        return text.encode()

    def below(self, folder: Path) -> Path:
        """Where the bytes lie in a git directory."""
        return folder / "lfs" / "objects" / self.oid[:2] / self.oid[2:4] / self.oid


@dataclass(frozen=True, slots=True)
class Wanted:
    """An LFS file to be written.

    Attributes:
        pointer: what.
        target: where to.
    """

    pointer: Pointer
    target: Path

    def check(self) -> None:
        """Compare the file with the pointer; a wrong one is removed, so that it is not continued.

        Raises:
            HubError: other bytes arrived.
        """
        with self.target.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.pointer.oid:
            self.target.unlink()
            raise HubError(
                f"the LFS file {self.target.name} arrived with other bytes",
                why=f"its SHA-256 is {found}, the pointer says {self.pointer.oid}",
                hint="load it again",
            )


def missing(wanted: Wanted, remote: Remote) -> EntryNotFoundError:
    """The error for a pointer whose bytes the remote does not have."""
    return EntryNotFoundError(
        f"{remote.url} lacks the bytes of the LFS file {wanted.target.name}",
        why=f"it has the pointer {wanted.pointer.oid}, but not what it stands for",
        hint="the owner of the repo must run: git lfs push --all origin",
    )


def copy(remote: Remote, folder: Path, files: Sequence[Wanted], progress: Progress) -> None:
    """Write LFS files of a repo on this machine, whose git directory is `folder`.

    Raises:
        EntryNotFoundError: the repo lacks the bytes of a pointer.
        HubError: it has other bytes.
    """
    for wanted in files:
        source = wanted.pointer.below(folder)
        if not source.is_file():
            raise missing(wanted, remote)
        if source.stat().st_size != wanted.pointer.size:
            raise HubError(
                f"the LFS file {wanted.target.name} is not as large as its pointer says",
                why=f"{source.stat().st_size} bytes instead of {wanted.pointer.size}",
                hint="the owner of the repo must run: git lfs push --all origin",
            )
        shutil.copyfile(source, wanted.target)
        wanted.check()
        progress(wanted.pointer.size)
