"""The logbook: which code ran when, where and with which permissions; one line of JSON each."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from filelock import FileLock

from envhub.trust import Allowed

logger = logging.getLogger("envhub")

MAX_BYTES: Final = 1 << 20
"""A file that has grown to this is put aside, in place of the one before it: two are kept."""


class Entry(msgspec.Struct, frozen=True):
    """One load of a repo.

    Attributes:
        time: when, in UTC.
        ref: as typed.
        hub: where the repo lives.
        repo: its name there.
        commit: the full commit; `None` for a folder.
        digest: that of all files.
        path: the entry file.
        level: the isolation level that was reached; empty if the repo's code failed.
        sandbox: the one around it.
        by: who consented: `grant` or `argument`.
        permissions: what it got beyond its own files, in words.
    """

    time: datetime
    ref: str
    hub: str
    repo: str
    commit: str | None
    digest: str
    path: str
    level: str = ""
    sandbox: str = ""
    by: str = ""
    permissions: tuple[str, ...] = ()

    @staticmethod
    def of(allowed: Allowed, level: str, sandbox: str) -> Entry:
        """A load now."""
        pin = allowed.pin
        return Entry(
            datetime.now(UTC).replace(microsecond=0),
            str(pin.ref),
            pin.hub,
            pin.repo,
            pin.commit,
            pin.digest,
            pin.path,
            level=level,
            sandbox=sandbox,
            by=allowed.by,
            permissions=allowed.permissions.words,
        )


class Logbook:
    """Two files in the cache folder that hold what ran last.

    Where they cannot be written nothing is noted, so that a read-only cache can still be used.

    Args:
        path: the file that is written; the one before it lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.older = path.with_suffix(f".1{path.suffix}")

    def add(self, entry: Entry) -> None:
        """Note a load."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"), self.path.open("ab") as file:
                if file.tell() >= MAX_BYTES:
                    self.path.replace(self.older)
                    self.path.write_bytes(msgspec.json.encode(entry) + b"\n")
                else:
                    file.write(msgspec.json.encode(entry) + b"\n")
        except OSError as error:
            logger.debug("not noted in the logbook: %s", error)

    @contextmanager
    def failing(self, allowed: Allowed) -> Iterator[None]:
        """Run a repo's code; if it fails, that is noted: it ran, too."""
        try:
            yield
        except BaseException:
            self.add(Entry.of(allowed, "", ""))
            raise

    def last(self, count: int) -> list[Entry]:
        """The last entries, the newest first."""
        return list(deque(self._entries(), maxlen=count))[::-1]

    def _entries(self) -> Iterator[Entry]:
        for path in (self.older, self.path):
            try:
                lines = path.read_bytes().splitlines()
            except OSError:
                continue
            for line in lines:
                try:
                    yield msgspec.json.decode(line, type=Entry)
                except msgspec.DecodeError:  # a process was killed while it wrote the line
                    continue
