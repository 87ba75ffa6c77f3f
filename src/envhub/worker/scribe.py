"""A small process that keeps the last words of others: whatever they print goes to it.

Only pipes are read, so native code and children of an env are heard, too, and 128 MB of logs take
no more room than 64 KiB. It is no thread of the host, because a host with threads cannot fork, and
native code that prints while it holds Python's lock would wait for such a thread for ever.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import time
from typing import Dict, List, NoReturn

from . import lastwords
from .doorbell import BellError, HangupError
from .wire import Line, Message, close_all, pair

CHUNK = 1 << 16
PATIENCE = 0.5


class Scribe:
    """The host's end of its scribe.

    Args:
        folder: is removed when everybody who could print is gone, if it is given.
        keep: descriptors that the scribe must not hold open.
    """

    def __init__(self, folder: str, keep: List[int]) -> None:
        self._line, theirs = pair()
        self.pid = os.fork()
        if self.pid == 0:
            self._line.close()
            close_all(keep)
            _write(Line(theirs), folder)
        theirs.close()

    def attach(self, log_fd: int) -> int:
        """The end of a new pipe; what is written to it will be remembered in `log_fd`."""
        read, write = os.pipe()
        try:
            self._say({}, [read, log_fd])
        finally:
            os.close(read)
        return write

    def sync(self) -> None:
        """Wait until everything that was printed so far is remembered, half a second at most."""
        try:
            self._say({"sync": True})
            self._line.hear(time.monotonic() + PATIENCE)
        except BellError as error:  # an env has killed it: its words are lost, and that is all
            del error

    def close(self) -> None:
        """Let it end, when nobody prints any more."""
        self._line.close()

    def _say(self, message: Message, fds: List[int] = []) -> None:  # noqa: B006 — never changed
        try:
            self._line.say(message, fds, time.monotonic() + PATIENCE)
        except BellError as error:  # as above
            del error


def _write(line: Line, folder: str) -> NoReturn:
    try:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        _Desk(line).work()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)


class _Desk:
    """What the scribe is reading, and where it writes it down."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.logs: Dict[int, int] = {}
        self.poll = select.poll()
        self.poll.register(line.fileno(), select.POLLIN)
        self.open = True

    def work(self) -> None:
        """Read until nobody is left who could write."""
        while self.open or self.logs:
            for fd, _ in self.poll.poll():
                if fd == self.line.fileno():
                    self.listen()
                else:
                    self.read(fd)

    def listen(self) -> None:
        """Take on another pipe, or say that all is written."""
        try:
            message, fds = self.line.hear()
            if "sync" in message:
                for pipe in list(self.logs):
                    self.read(pipe)  # a pipe holds no more than this reads
                self.line.say({})
            else:
                os.set_blocking(fds[0], False)
                self.logs[fds[0]] = fds[1]
                self.poll.register(fds[0], select.POLLIN)
        except HangupError:
            self.open = False
            self.poll.unregister(self.line.fileno())

    def read(self, pipe: int) -> bool:
        """Write down what a pipe has; whether there may be more."""
        try:
            data = os.read(pipe, CHUNK)
        except BlockingIOError:
            return False
        if data:
            lastwords.remember(self.logs[pipe], data)
            return True
        self.poll.unregister(pipe)
        close_all([pipe, self.logs.pop(pipe)])
        return False
