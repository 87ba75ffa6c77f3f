"""What a worker printed last, and the stack of its crash, kept where its death cannot take it.

A file without a name holds the last 64 KiB of what Python printed, and behind them what
`faulthandler` writes when native code crashes. Printing still goes where it went before.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import Any, List

SIZE = 1 << 16
HEAD = 8
CRASH = HEAD + SIZE

# Of what was printed, and of a crash's stack.
LINES = 20


class Tee:
    """A text stream that also remembers; everything but writing is the stream's own.

    Args:
        stream: where text goes.
        fd: the file that remembers.
    """

    def __init__(self, stream: Any, fd: int) -> None:
        self._stream = stream
        self._fd = fd

    def write(self, text: str) -> Any:
        """Write and remember."""
        remember(self._fd, text.encode("utf-8", "replace"))
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def begin(fd: int) -> None:
    """Remember from now on what this process prints and how it crashes."""
    if sys.stdout is not None:
        sys.stdout = Tee(sys.stdout, fd)
    if sys.stderr is not None:
        sys.stderr = Tee(sys.stderr, fd)
    watch_crashes(fd)


def watch_crashes(fd: int) -> None:
    """Let the stack of a crash be written behind what was printed."""
    os.lseek(fd, CRASH, os.SEEK_SET)
    faulthandler.enable(fd)


def remember(fd: int, data: bytes) -> None:
    """Add text to what is remembered; of too much only the end."""
    data = data[-SIZE:]
    count = _count(fd)
    at = count % SIZE
    os.pwrite(fd, data[: SIZE - at], HEAD + at)
    os.pwrite(fd, data[SIZE - at :], HEAD)
    os.pwrite(fd, (count + len(data)).to_bytes(HEAD, "little"), 0)


def recall(fd: int) -> str:
    """What is remembered: the last lines that were printed, then the first of a crash's stack."""
    count = _count(fd)
    ring = os.pread(fd, SIZE, HEAD)
    if count > SIZE:
        at = count % SIZE
        ring = ring[at:] + ring[:at]
    crash = os.pread(fd, SIZE, CRASH)
    return "\n".join(_lines(ring[:count])[-LINES:] + _lines(crash)[:LINES])


def _lines(data: bytes) -> List[str]:
    return data.decode("utf-8", "replace").strip("\0\n").splitlines()


def _count(fd: int) -> int:
    return int.from_bytes(os.pread(fd, HEAD, 0), "little")
