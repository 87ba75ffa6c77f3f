"""Doorbells: short messages over two non-blocking pipes, one to the worker and one back.

A message is a header of 12 bytes (sequence number, command, slot, payload length) and, only when
there is something odd to say, a payload. The bulk travels through shared memory. Pipes and not
futexes or eventfds: a pipe says when the other end has died, and the system calls are the memory
barriers that plain Python lacks.
"""

from __future__ import annotations

import math
import os
import select
import struct
import time
from io import FileIO
from typing import Optional, Tuple

HEADER = struct.Struct("<IHHI")

SPIN_SECONDS = 300e-6
SPIN_MISSES = 8
SPIN_RETRY = 64

Message = Tuple[int, int, int, bytes]

_yield_processor = getattr(os, "sched_yield", lambda: time.sleep(0))


class BellError(Exception):
    """No message came, and none can be relied on to come."""


class HangupError(BellError):
    """The other end of the pipe is closed: its process has died, or closed it."""


class LateError(BellError):
    """The deadline has passed."""


class GarbledError(BellError):
    """What came is no message of ours."""


class Bell:
    """One end of a pair of pipes.

    Args:
        read_fd: pipe to hear from; this object owns it from now on.
        write_fd: pipe to ring on; owned too.
        spin: try for a bounded time, yielding the processor, before going to sleep. A sleeping
            processor takes 40 µs to wake, so this is most of the speed of a lock-step. It is given
            up while it does not pay, because messages come late or others need the processor:
            after 8 misses in a row, it is tried every 64th time.
        limit: the longest payload, in bytes, to accept.
    """

    def __init__(
        self, read_fd: int, write_fd: int, *, spin: bool = False, limit: int = 1 << 31
    ) -> None:
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.spin = spin
        self._in = FileIO(read_fd, "rb")
        self._out = FileIO(write_fd, "wb")
        # Methods, looked up once: these two run at every step.
        self._read = self._in.readinto
        self._write = self._out.write
        self._header = bytearray(HEADER.size)
        self._limit = limit
        self._ears = select.poll()
        self._ears.register(read_fd, select.POLLIN)
        self._mouth = select.poll()
        self._mouth.register(write_fd, select.POLLOUT)
        self._misses = 0
        self._turns = 0

    def ring(
        self,
        sequence: int,
        command: int,
        slot: int = 0,
        payload: bytes = b"",
        deadline: Optional[float] = None,
    ) -> None:
        """Send a message.

        Raises:
            HangupError: nobody can hear it any more.
            LateError: the pipe is full and was not emptied before the deadline.
        """
        self.send(HEADER.pack(sequence, command, slot, len(payload)) + payload, deadline)

    def send(self, message: bytes, deadline: Optional[float] = None) -> None:
        """Send a message that is packed already."""
        try:
            sent = self._write(message) or 0
            if sent == len(message):
                return
            rest = memoryview(message)[sent:]
            while rest:
                _wait(self._mouth, deadline)
                rest = rest[self._write(rest) or 0 :]
        except (BrokenPipeError, ConnectionResetError, ValueError) as error:
            raise HangupError("the other end is closed") from error

    def hear(self, deadline: Optional[float] = None) -> Message:
        """Wait for the next message: sequence number, command, slot and payload.

        Args:
            deadline: a time of `time.monotonic()` after which to give up.

        Raises:
            HangupError: the other end is closed.
            LateError: the deadline has passed.
            GarbledError: the message is longer than the limit, or breaks off.
        """
        try:
            count = self._read(self._header)
            if count is None:
                count = self._patiently(deadline)
        except ValueError as error:
            raise HangupError("this end is closed") from error
        if not count:
            raise HangupError("the other end is closed")
        if count < HEADER.size:
            self._fill(memoryview(self._header)[count:], deadline)
        sequence, command, slot, length = HEADER.unpack(self._header)
        return sequence, command, slot, self._payload(length, deadline) if length else b""

    def rings(self) -> bool:
        """Whether something can be heard without waiting: a message, or the end."""
        return bool(self._ears.poll(0))

    def drain(self) -> bytes:
        """What lies in the pipe right now, without waiting; for one that is broken."""
        return self._in.read(1 << 16) or b""

    def close(self) -> None:
        """Close this end; the other hears it."""
        self._in.close()
        self._out.close()

    def _patiently(self, deadline: Optional[float]) -> int:
        if self.spin:
            self._turns += 1
            if self._misses < SPIN_MISSES or self._turns % SPIN_RETRY == 0:
                count = self._spin()
                if count is not None:
                    return count
        return self._sleep(self._header, deadline)

    def _spin(self) -> Optional[int]:
        until = time.perf_counter() + SPIN_SECONDS
        count, now = None, 0.0
        while count is None and now < until:
            _yield_processor()
            count = self._read(self._header)
            now = time.perf_counter()
        # Heard, but late: others want this processor, and it would have been given back sooner
        # to one who slept.
        paid = count is not None and now < until
        self._misses = 0 if paid else self._misses + 1
        return count

    def _sleep(self, buffer: bytearray | memoryview, deadline: Optional[float]) -> int:
        while True:
            _wait(self._ears, deadline)
            count = self._read(buffer)
            if count is not None:
                return count

    def _payload(self, length: int, deadline: Optional[float]) -> bytes:
        if length > self._limit:
            raise GarbledError(f"a payload of {length} bytes, where {self._limit} are the limit")
        buffer = bytearray(length)
        self._fill(memoryview(buffer), deadline)
        return bytes(buffer)

    def _fill(self, rest: memoryview, deadline: Optional[float]) -> None:
        while rest:
            count = self._read(rest)
            if count is None:
                count = self._sleep(rest, deadline)
            if not count:
                raise GarbledError("a message that breaks off")
            rest = rest[count:]


def _wait(poll: select.poll, deadline: Optional[float]) -> None:
    if deadline is None:
        poll.poll()
    elif not poll.poll(max(0, math.ceil((deadline - time.monotonic()) * 1000))):
        raise LateError("the deadline has passed")
