"""The workers of a vector env: started, asked, heard, killed."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from envhub.errors import WorkerError
from envhub.vector import starts
from envhub.vector.failures import Failure, kind_of
from envhub.worker import block, lastwords, protocol
from envhub.worker.doorbell import HEADER, Bell, BellError, GarbledError, HangupError
from envhub.worker.local import Ends
from envhub.worker.places import Spot
from envhub.worker.trouble import harmless

# What a worker whose envs are not trusted may say at once, beside the block.
UNTRUSTED_LIMIT = 1 << 26

# How long a worker may take to notice that it should close, and then to close its envs.
CLOSE_NOTICE = 0.5
CLOSE_ENVS = 10.0

Answer = tuple[int, bytes]


class Asked(NamedTuple):
    """What a worker was last asked, so that its successor can be asked again."""

    command: int
    slot: int
    payload: bytes


class Worker:
    """The client's end of one worker: a shard, and the process that has it at the time.

    Args:
        spot: its number and its envs.

    Attributes:
        bell: where it is asked and heard.
        process: its process.
        awaited: the sequence number of the answer that it owes, if it owes one.
        asked: what it was last asked.
        slot: the slot of its envs' last observations.
    """

    bell: Bell
    process: starts.Process

    def __init__(self, spot: Spot) -> None:
        self.spot = spot
        self.awaited: int | None = None
        self.asked = Asked(0, 0, b"")
        self.slot = 0
        self._log_fd = -1
        self._over = True

    def begin(self, bell: Bell, process: starts.Process, log_fd: int) -> None:
        """Have a new process."""
        self.bell, self.process, self._log_fd = bell, process, log_fd
        self.awaited = None
        self._over = False

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def lo(self) -> int:
        """Its first env."""
        return self.spot.lo

    @property
    def hi(self) -> int:
        """The one after its last env."""
        return self.spot.hi

    def is_alive(self) -> bool:
        """Whether its process still runs, as far as its pipe tells."""
        return not self._over and not self._hung_up()

    def ask(self, sequence: int, asked: Asked, deadline: float | None = None) -> None:
        """Send a command; that it cannot be sent shows when the answer is awaited."""
        self.awaited = sequence
        self.asked = asked
        command, slot, payload = asked
        try:
            self.bell.send(HEADER.pack(sequence, command, slot, len(payload)) + payload, deadline)
        except BellError:
            return

    def hear(self, deadline: float | None = None) -> Answer:
        """Wait for the answer that it owes.

        Raises:
            BellError: there will be none, or there was something else.
        """
        sequence, status, slot, payload = self.bell.hear(deadline)
        if sequence != self.awaited or slot != self.asked.slot:
            raise GarbledError(
                f"an answer to message {sequence} for slot {slot}, "
                f"not to {self.awaited} for slot {self.asked.slot}"
            )
        self.awaited = None
        if status != protocol.FAILED:  # else the last whole observation is where it was
            self.slot = slot
        return status, payload

    def end(self) -> tuple[int | None, str]:
        """Kill its process, if it still runs, and release all that was its.

        Returns:
            Its exit status, and the end of what it printed.
        """
        if self._over:
            return None, ""
        self._over = True
        self.process.kill()
        code = self.process.wait()
        last = harmless(lastwords.recall(self._log_fd))
        self.bell.close()
        os.close(self._log_fd)
        return code, last

    def _hung_up(self) -> bool:
        # With an answer on its way, what can be heard is the answer.
        return self.awaited is None and self.bell.rings()


class Pool:
    """The workers of one vector env and the block that they share.

    Args:
        starter: how workers are started.
        spots: the shards.
        cores: how many there are: workers spin for a command if each can have one, and the caller
            spins for an answer if there is one to spare.

    Attributes:
        memory_fd: the shared block.
        cursors: (workers, 16) int32, which env each worker is at, once the block is mapped.
        broken: why these workers cannot be used any more, if they cannot.
    """

    def __init__(self, starter: starts.Starter, spots: Sequence[Spot], cores: int) -> None:
        self.starter = starter
        self.codec = starter.codec
        self._workers_spin = len(spots) <= cores
        self._spin = len(spots) < cores
        self.sequence = 0
        self.cursors: np.ndarray[Any, Any] | None = None
        self.broken = ""
        self._bells: weakref.WeakSet[Bell] = weakref.WeakSet()
        self.memory_fd = block.create()
        self.workers = [Worker(spot) for spot in spots]
        _pools.add(self)

    def launch(self, worker: Worker) -> dict[str, Any]:
        """Start a process for a shard; what it needs to BUILD its envs."""
        ours_read, theirs_write = os.pipe()
        theirs_read, ours_write = os.pipe()
        log_fd = block.create()
        limit = 1 << 31 if self.codec.trusted else UNTRUSTED_LIMIT
        bell = Bell(ours_read, ours_write, spin=self._spin, limit=limit)
        ends = Ends(theirs_read, theirs_write, self.memory_fd, log_fd)
        self._bells.add(bell)
        try:
            process, payload = self.starter.start(worker.spot, ends, spin=self._workers_spin)
        except BaseException:
            bell.close()
            os.close(log_fd)
            raise
        finally:
            os.close(theirs_read)
            os.close(theirs_write)
        worker.begin(bell, process, log_fd)
        return payload

    def ask(self, worker: Worker, asked: Asked, deadline: float | None = None) -> None:
        """Send one worker a command."""
        worker.ask(self._next(), asked, deadline)

    def ring(self, command: int, slot: int) -> None:
        """Send all workers a command without a payload: the way of almost every step."""
        sequence = self._next()
        message = HEADER.pack(sequence, command, slot, 0)
        asked = Asked(command, slot, b"")
        for worker in self.workers:
            worker.awaited = sequence
            worker.asked = asked
            try:
                worker.bell.send(message)
            except HangupError:  # it shows when the answer is awaited
                continue

    def failure(self, worker: Worker, error: BellError) -> Failure:
        """End a worker that did not answer, and say how it failed."""
        code, last = worker.end()
        kind = kind_of(error)
        if not isinstance(error, HangupError):
            return self.describe(worker, kind, str(error), (None, last))
        return self.describe(worker, kind, self.starter.cause(worker.process), (code, last))

    def describe(
        self,
        worker: Worker,
        kind: type[WorkerError],
        detail: str,
        end: tuple[int | None, str] = (None, ""),
    ) -> Failure:
        """A failure of a worker in words and numbers."""
        return Failure(
            kind=kind,
            worker=worker.spot.worker,
            pid=worker.pid,
            lo=worker.lo,
            hi=worker.hi,
            env=self._env_at(worker.spot),
            command=protocol.NAMES.get(worker.asked.command, "its start"),
            code=end[0],
            detail=detail,
            last=end[1],
        )

    def close(self, timeout: float | None = None, *, terminate: bool = False) -> None:
        """End all workers.

        Args:
            timeout: seconds to wait for envs to close; by default half a second for a worker to
                say that it heard of it, and 10 more for it to close its envs.
            terminate: do not wait at all.
        """
        if not terminate:
            self._close_gently(timeout)
        for worker in self.workers:
            worker.end()
        if self.memory_fd >= 0:
            os.close(self.memory_fd)
            self.memory_fd = -1

    def disown(self) -> None:
        """Let go of the workers without ending them: this is a forked copy of their client.

        As long as a copy held its ends of the pipes, the workers would not hear of the client's
        death.
        """
        for bell in list(self._bells):
            bell.close()
        self.workers = []
        self.broken = "this vector env belongs to the process that this one was forked from"

    def _close_gently(self, timeout: float | None) -> None:
        sequence = self._next()
        notice = time.monotonic() + (CLOSE_NOTICE if timeout is None else timeout)
        end = time.monotonic() + (CLOSE_ENVS if timeout is None else timeout)
        for worker in self.workers:
            owed = worker.awaited
            worker.ask(sequence, Asked(protocol.CLOSE, 0, b""), notice)
            worker.awaited = owed
        for worker in self.workers:
            try:
                self._hear_close(worker, sequence, notice)
                self._hear_close(worker, sequence, end)
                # Its end of the pipe closes when it has ended, unless it has left children.
                worker.bell.hear(time.monotonic() + CLOSE_NOTICE)
            except BellError:
                continue

    def _hear_close(self, worker: Worker, sequence: int, deadline: float) -> None:
        # Answers that nobody waited for come first.
        while worker.bell.hear(deadline)[0] != sequence:
            continue

    def _next(self) -> int:
        self.sequence = self.sequence + 1 & 0xFFFFFFFF
        return self.sequence

    def _env_at(self, spot: Spot) -> int | None:
        row = -1 if self.cursors is None else int(self.cursors[spot.worker, 0])
        return spot.lo + row if 0 <= row < spot.hi - spot.lo else None


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _disown_all() -> None:
    for pool in list(_pools):
        pool.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
