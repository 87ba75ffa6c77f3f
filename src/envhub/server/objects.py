"""Large files in an object store (S3, and what speaks like it) instead of a folder."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from envhub.server.blobs import ADDRESS_SECONDS, SHA256, name_of
from envhub.server.config import Bucket
from envhub.server.refusals import Refusal

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PART = 4 << 20
"""Bytes of one request; each takes a while to begin, however few they are."""


def connect(bucket: Bucket) -> ObjectBlobs:
    """The blobs of a bucket; its keys are where AWS's tools look for them, too."""
    options = {"endpoint": bucket.endpoint} if bucket.endpoint else {}
    store = S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        region=bucket.region,
        client_options={"allow_http": bucket.endpoint.startswith("http://")},
        **options,  # type: ignore[arg-type]  # one optional string
    )
    return ObjectBlobs(store, redirect=bucket.redirect)


class ObjectBlobs:
    """Blobs in an object store: `ab/cd/<sha256>`; an object is there whole or not at all.

    Args:
        store: of obstore.
        redirect: whether clients fetch files from there themselves, if it can sign addresses.
    """

    def __init__(self, store: ObjectStore, *, redirect: bool = True) -> None:
        self._store = store
        self._redirect = redirect

    def size(self, sha256: str) -> int | None:
        """Bytes of a blob, `None` if it is not there."""
        with suppress(FileNotFoundError), _answering():
            return obstore.head(self._store, name_of(sha256))["size"]
        return None

    def since(self, sha256: str) -> float:
        """When a blob was put here last, in seconds since 1970; now if it is not here."""
        with suppress(FileNotFoundError), _answering():
            return obstore.head(self._store, name_of(sha256))["last_modified"].timestamp()
        return time.time()

    def open(self, sha256: str) -> io.BufferedReader:
        """A blob, for reading from any offset."""
        size = self.size(sha256)
        if size is None:
            raise FileNotFoundError(sha256)
        return io.BufferedReader(_Object(self._store, name_of(sha256), size), PART)

    def put(self, sha256: str, file: Path) -> None:
        """Upload a verified file, in parts if it is large."""
        with _answering():
            obstore.put(self._store, name_of(sha256), file)
        file.unlink()

    def delete(self, sha256: str) -> None:
        """Forget a blob."""
        with suppress(FileNotFoundError), _answering():
            obstore.delete(self._store, name_of(sha256))

    def address(self, sha256: str) -> str | None:
        """Where clients can fetch a blob from the store itself; `None` if they are not to."""
        if not self._redirect or not isinstance(self._store, (S3Store, GCSStore, AzureStore)):
            return None
        seconds = timedelta(seconds=ADDRESS_SECONDS)
        return obstore.sign(self._store, "GET", name_of(sha256), seconds)

    def __iter__(self) -> Iterator[str]:
        with _answering():
            for page in obstore.list(self._store):
                names = (found["path"].rpartition("/")[2] for found in page)
                yield from (name for name in names if SHA256.fullmatch(name))


class _Object(io.RawIOBase):
    """An object as a file: each read is a request."""

    name = ""  # there is no such file, which those who would link it see

    def __init__(self, store: ObjectStore, path: str, size: int) -> None:
        self._store = store
        self._path = path
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size - self._position)
        if length <= 0:
            return 0
        with _answering():
            found = obstore.get_range(self._store, self._path, start=self._position, length=length)
        view[: len(found)] = memoryview(found)
        self._position += len(found)
        return len(found)


@contextmanager
def _answering() -> Iterator[None]:
    """Say in words that the store does not answer, or does not let us in."""
    try:
        yield
    except BaseError as error:
        reason = str(error).partition("\n")[0]
        raise Refusal(503, f"the store of large files does not answer: {reason}") from error
