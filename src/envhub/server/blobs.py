"""Large files by the SHA-256 of their bytes, outside git: taken in, verified, given out."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from io import BufferedReader
from pathlib import Path
from typing import Protocol, Self

from envhub.server.refusals import Refusal, bad

SHA256 = re.compile(r"[0-9a-f]{64}")
ADDRESS_SECONDS = 6 * 3600.0
"""How long an address that carries its own pass is good for."""

_STRETCH = 32 << 20  # bytes that are worth sending on to the disk before the rest is here
_HASHING = ThreadPoolExecutor(2, "hashing")
_AT_DISK = ThreadPoolExecutor(4, "disk")


class BlobStore(Protocol):
    """Where large files are kept; a folder here, an object store elsewhere."""

    def size(self, sha256: str) -> int | None:
        """Bytes of a blob, `None` if it is not there."""
        ...

    def since(self, sha256: str) -> float:
        """When a blob was put here last, in seconds since 1970; now if it is not here."""
        ...

    def open(self, sha256: str) -> BufferedReader:
        """A blob, for reading from any offset."""
        ...

    def put(self, sha256: str, file: Path) -> None:
        """Take a file whose bytes were verified; the file is gone afterwards."""
        ...

    def delete(self, sha256: str) -> None:
        """Forget a blob."""
        ...

    def address(self, sha256: str) -> str | None:
        """Where clients can fetch a blob without us, signed and for a while; `None` for nowhere."""
        ...

    def __iter__(self) -> Iterator[str]:
        """All blobs."""
        ...


class FolderBlobs:
    """Blobs in a folder of this machine, written whole or not at all.

    Args:
        folder: where they are: `ab/cd/<sha256>`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, sha256: str) -> int | None:
        """Bytes of a blob, `None` if it is not there."""
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def since(self, sha256: str) -> float:
        """When a blob was put here last, in seconds since 1970; now if it is not here."""
        try:
            return self._path(sha256).stat().st_mtime
        except FileNotFoundError:
            return time.time()

    def open(self, sha256: str) -> BufferedReader:
        """A blob, for reading from any offset."""
        return self._path(sha256).open("rb")

    def put(self, sha256: str, file: Path) -> None:
        """Move a verified file here; it must be on the same file system."""
        path = self._path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.chmod(0o444)
        file.replace(path)

    def delete(self, sha256: str) -> None:
        """Forget a blob."""
        self._path(sha256).unlink(missing_ok=True)

    def address(self, sha256: str) -> str | None:  # noqa: ARG002 - an object store needs it
        """Nowhere: a folder has no address."""
        return None

    def __iter__(self) -> Iterator[str]:
        paths = self._folder.glob("??/??/*")
        return (path.name for path in paths if SHA256.fullmatch(path.name))

    def _path(self, sha256: str) -> Path:
        return self._folder / name_of(sha256)


def name_of(sha256: str) -> str:
    """Where a blob is in a store.

    Raises:
        Refusal: 400, this is no hash.
    """
    if not SHA256.fullmatch(sha256):
        raise bad(f"{sha256!r} is no SHA-256")
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


class Spool:
    """A file that is just arriving: written aside, and gone when its block ends.

    Args:
        folder: where it is written.
        limit: bytes after which the rest is refused.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self.path = folder / secrets.token_hex(16)
        self.size = 0
        self._limit = limit
        self._file = self.path.open("xb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            Refusal: 413, there are more than allowed.
        """
        self.size += len(data)
        if self.size > self._limit:
            raise Refusal(413, f"larger than the {self._limit} bytes that are allowed")
        rest = memoryview(data)
        while rest:  # a write may take less than all
            rest = rest[self._file.write(rest) :]

    def written(self) -> Path:
        """The whole file; whoever keeps it moves it away before the block ends."""
        self._file.close()
        return self.path


class Intake(Spool):
    """A file that is to be kept: hashed on the way, and put into the store only if it is right.

    Args:
        folder: where it is written; on the same file system as the store.
        limit: bytes after which the rest is refused.
        durable: wait for the disk before it counts as written.
    """

    def __init__(self, folder: Path, *, limit: int, durable: bool) -> None:
        super().__init__(folder, limit=limit)
        self._durable = durable
        self._hash = hashlib.sha256()
        self._syncing: Future[None] | None = None
        self._synced = 0

    def __exit__(self, *error: object) -> None:
        self._settle()
        super().__exit__(*error)

    def write(self, data: bytes | memoryview) -> None:
        """As a spool does; bytes are hashed, and go on to the disk, while others are written."""
        hashing = _HASHING.submit(self._hash.update, data)
        try:
            super().write(data)
        finally:
            wait([hashing])
        if self._durable and self.size - self._synced >= _STRETCH:
            self._settle()
            self._synced = self.size
            self._syncing = _AT_DISK.submit(os.fdatasync, self._file.fileno())

    def written(self) -> Path:
        """The whole file, on disk."""
        self._settle()
        if self._durable:
            os.fsync(self._file.fileno())
        return super().written()

    def _settle(self) -> None:
        """Wait until nobody else uses the file."""
        if self._syncing:
            wait([self._syncing])

    def keep(self, store: BlobStore, sha256: str, size: int | None = None) -> None:
        """Put it into the store if it is what it was said to be.

        Raises:
            Refusal: 400, other bytes arrived.
        """
        found = self._hash.hexdigest()
        if found != sha256 or size not in {None, self.size}:
            raise bad(f"the bytes are not those of {sha256}: {self.size} bytes, SHA-256 {found}")
        store.put(sha256, self.written())
