"""The control line between the client and the host of an env: JSON messages, and descriptors.

A message is a length of 4 bytes and JSON of that length, over a pair of connected sockets. File
descriptors ride along with the length. Nothing that is read here is believed: a length above the
cap ends the line before anything is allocated for it.
"""

from __future__ import annotations

import array
import contextlib
import json
import math
import os
import select
import socket
import struct
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .doorbell import GarbledError, HangupError, LateError

LENGTH = struct.Struct("<I")
LIMIT = 1 << 20
MAX_FDS = 8

Message = Dict[str, Any]


class Line:
    """One end of a control line.

    Args:
        end: the socket; this object owns it from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.socket = end

    def fileno(self) -> int:
        """The socket's descriptor, -1 after `close`."""
        return self.socket.fileno()

    def say(
        self, message: Message, fds: Sequence[int] = (), deadline: Optional[float] = None
    ) -> None:
        """Send a message and descriptors.

        Raises:
            HangupError: the other end is closed.
            LateError: the other end does not listen.
            GarbledError: the message is longer than the other end would take.
        """
        data = json.dumps(message).encode()
        if len(data) > LIMIT:
            raise GarbledError(f"a message of {len(data)} bytes, where {LIMIT} are the limit")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        rest = memoryview(LENGTH.pack(len(data)) + data)
        while rest:
            try:
                sent = self.socket.sendmsg([rest], rights)
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
                continue
            except OSError as error:
                raise HangupError("the other end is closed") from error
            rest, rights = rest[sent:], []

    def hear(self, deadline: Optional[float] = None) -> Tuple[Message, List[int]]:
        """Wait for a message.

        Returns:
            The message, and the descriptors that came with it, which are the caller's now.

        Raises:
            HangupError: the other end is closed.
            LateError: no whole message came before the deadline.
            GarbledError: it is longer than the limit, or no JSON object.
        """
        fds: List[int] = []
        try:
            (length,) = LENGTH.unpack(self._take(LENGTH.size, deadline, fds))
            if length > LIMIT:
                raise GarbledError(f"a message of {length} bytes, where {LIMIT} are the limit")
            return _object(self._take(length, deadline, fds)), fds
        except BaseException:
            close_all(fds)
            raise

    def hung_up(self) -> bool:
        """Whether the other end is closed."""
        poll = select.poll()
        poll.register(self.socket, 0)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close this end."""
        self.socket.close()

    def _take(self, size: int, deadline: Optional[float], fds: List[int]) -> bytes:
        parts: List[bytes] = []
        while size:
            try:
                part, told, _, _ = self.socket.recvmsg(size, socket.CMSG_SPACE(4 * MAX_FDS))
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise HangupError("the other end is closed") from error
            for _, _, data in told:
                fds.extend(array.array("i", data[: len(data) // 4 * 4]))
            if not part:
                raise HangupError("the other end is closed")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _wait(self, event: int, deadline: Optional[float]) -> None:
        poll = select.poll()
        poll.register(self.socket, event)
        left = None
        if deadline is not None:
            left = max(0, math.ceil((deadline - time.monotonic()) * 1000))
        if not poll.poll(left):
            raise LateError("the deadline has passed")


def pair() -> Tuple[Line, socket.socket]:
    """Our end of a new control line, and the socket that becomes the other end."""
    ours, theirs = socket.socketpair()
    return Line(ours), theirs


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors, those too that are closed."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


def _object(data: bytes) -> Message:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise GarbledError(f"no JSON: {error}") from error
    if not isinstance(told, dict):
        raise GarbledError(f"a message that is {type(told).__name__}, not an object")
    return told
