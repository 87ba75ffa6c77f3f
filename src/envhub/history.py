"""What ran last: per moving ref the pin that it meant, so that a move is noticed."""

from __future__ import annotations

from pathlib import Path

import msgspec
from filelock import FileLock

from envhub import disk
from envhub.pins import Pin


class Run(msgspec.Struct, frozen=True):
    """The pin that a ref meant when it last ran."""

    commit: str
    digest: str


class History:
    """A small file in the cache folder: moving ref → what it last ran as.

    It is a convenience: where it cannot be read or written, nothing moved as far as it knows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self, pin: Pin) -> Run | None:
        """What the ref of `pin` last ran as; `None` if never, or if it cannot move."""
        if pin.dirty or pin.ref.is_pinned:
            return None
        return self._read().get(_key(pin))

    def remember(self, pin: Pin) -> None:
        """Note that the ref of `pin` ran as `pin`."""
        if pin.commit is None or pin.ref.is_pinned:
            return
        run = Run(pin.commit, pin.digest)
        if self._read().get(_key(pin)) == run:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                runs = {**self._read(), _key(pin): run}
                disk.write(self.path, msgspec.json.format(msgspec.json.encode(runs)))
        except OSError:
            # A read-only cache must still load what it holds.
            return

    def _read(self) -> dict[str, Run]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Run])
        except (OSError, msgspec.DecodeError):
            return {}


def _key(pin: Pin) -> str:
    return f"{pin.hub} {pin.repo_type} {pin.repo}@{pin.ref.revision or ''}:{pin.path}"
