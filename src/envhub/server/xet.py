"""Xet uploads: chunks come in once, files are put together, verified, and kept as plain blobs.

Each repo has a store of its own, so that no hash of a chunk ever opens another repo's. After a file
was put together its chunks are not kept a second time: a *run* says where in a blob they are.
"""

from __future__ import annotations

import array
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from envhub.server.blobs import BlobStore, Intake, Spool
from envhub.server.database import Database
from envhub.server.refusals import bad
from envhub.server.xetformat import Segment, Unpacker, XetFile

_PIECE = 1 << 20


class Arriving:
    """A xorb on its way in: unpacked into a file while it comes.

    Args:
        spool: the file.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._unpacker = Unpacker()
        self._bounds = array.array("I", [0])

    def feed(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refusal: 400 or 413, it is malformed or too large.
        """
        for chunk in self._unpacker.feed(piece):
            self.spool.write(chunk)
            self._bounds.append(self.spool.size)

    def end(self) -> array.array[int]:
        """Where each chunk begins, and the last one ends.

        Raises:
            Refusal: 400, it ended too early.
        """
        self._unpacker.end()
        return self._bounds


class XetStore:
    """What Xet clients sent to one repo.

    Args:
        database: knows the bounds of chunks in xorbs, and the runs.
        blobs: where files end up.
        folder: xorbs that are still needed, unpacked: `<cas>/<hash>`.
        cas: the name of this repo's store.
    """

    def __init__(self, database: Database, blobs: BlobStore, folder: Path, cas: str) -> None:
        self._database = database
        self._blobs = blobs
        self._folder = folder / cas
        self._cas = cas

    def add(self, xorb: str, arrived: Arriving) -> bool:
        """Take a xorb that has arrived; whether it was new.

        The name is not compared with the bytes: a wrong one harms only this repo's own uploads, and
        what counts is the SHA-256 of the files. Nor does it wait for the disk: chunks that a power
        cut took are missed when a file is put together, and asked for again.

        Raises:
            Refusal: 400, it ended too early.
        """
        bounds = arrived.end()
        if self._row(xorb) is not None:
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        arrived.spool.written().replace(self._folder / xorb)
        self._database.change(
            "INSERT OR IGNORE INTO xorbs VALUES (?, ?, ?, 1)", self._cas, xorb, bounds.tobytes()
        )
        return True

    def is_settled(self, file: XetFile) -> bool:
        """Whether no chunk of a file, which is a blob already, is kept beside it."""
        return not any((self._folder / segment.xorb).exists() for segment in file.segments)

    def build(self, file: XetFile, intake: Intake) -> None:
        """Put a file together, verify it, put it into the blobs, and note where its chunks are.

        Raises:
            Refusal: 400, a chunk is not here, or the file is not what it was said to be.
        """
        for segment in file.segments:
            for piece in self._pieces(segment):
                intake.write(piece)
        intake.keep(self._blobs, file.sha256)

    def settle(self, file: XetFile) -> None:
        """Note where the chunks of a file are, now that it is a blob; drop what is there twice."""
        with self._database.write() as connection:
            offset = 0
            for segment in file.segments:
                connection.execute(
                    "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?)",
                    (self._cas, segment.xorb, segment.low, segment.high, file.sha256, offset),
                )
                offset += segment.size
        for xorb in {segment.xorb for segment in file.segments}:
            self._drop(xorb)

    def _pieces(self, segment: Segment) -> Iterator[bytes]:
        """The bytes of a segment, a few million at a time."""
        bounds = self._bounds(segment.xorb)
        if not 0 <= segment.low < segment.high < len(bounds):
            raise bad(f"xorb {segment.xorb} has no chunks {segment.low} to {segment.high}")
        if bounds[segment.high] - bounds[segment.low] != segment.size:
            raise bad(f"a segment of xorb {segment.xorb} is not of {segment.size} bytes")
        try:
            file = (self._folder / segment.xorb).open("rb")
        except FileNotFoundError:
            yield from self._from_blobs(segment, bounds)
            return
        with file:
            yield from _read(file, bounds[segment.low], segment.size)

    def _from_blobs(self, segment: Segment, bounds: array.array[int]) -> Iterator[bytes]:
        low = segment.low
        for run in self._runs(segment.xorb):
            if run["low"] <= low < run["high"]:
                high = min(run["high"], segment.high)
                begin = run["offset"] + bounds[low] - bounds[run["low"]]
                with self._blobs.open(run["blob"]) as file:
                    yield from _read(file, begin, bounds[high] - bounds[low])
                low = high
            if low >= segment.high:
                return
        raise bad(f"chunk {low} of xorb {segment.xorb} is not here any more")

    def _drop(self, xorb: str) -> None:
        """Delete an unpacked xorb if runs cover it."""
        reached = 0
        for run in self._runs(xorb):
            if run["low"] <= reached:
                reached = max(reached, run["high"])
        if reached >= len(self._bounds(xorb)) - 1:
            (self._folder / xorb).unlink(missing_ok=True)

    def _bounds(self, xorb: str) -> array.array[int]:
        row = self._row(xorb)
        if row is None:
            raise bad(f"xorb {xorb} was not uploaded to this repo")
        return array.array("I", row["bounds"])

    def _runs(self, xorb: str) -> list[sqlite3.Row]:
        return self._database.all(
            "SELECT * FROM runs WHERE cas = ? AND xorb = ? ORDER BY low, high DESC", self._cas, xorb
        )

    def _row(self, xorb: str) -> sqlite3.Row | None:
        return self._database.one("SELECT * FROM xorbs WHERE cas = ? AND hash = ?", self._cas, xorb)


def _read(file: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    file.seek(offset)
    while size > 0:
        piece = file.read(min(size, _PIECE))
        if not piece:
            raise bad("a chunk is shorter than it was")
        size -= len(piece)
        yield piece
