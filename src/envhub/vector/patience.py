"""How long a worker may take before it counts as hung."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np

from envhub.vector.options import Options
from envhub.vector.pool import Answer, Worker
from envhub.worker import protocol
from envhub.worker.doorbell import LateError
from envhub.worker.stepper import DOING, TURN

Cursor = np.ndarray[Any, Any]

# Seconds between two looks at how far a replay is.
LOOK = 0.25


class Patience:
    """The times that a user has set, by what a worker was asked.

    Args:
        options: the user's.
    """

    def __init__(self, options: Options) -> None:
        self._start = options.start_timeout
        self._seconds = {
            protocol.BUILD: options.start_timeout,
            protocol.MAP: options.start_timeout,
            protocol.RESET: options.reset_timeout,
            protocol.LOSE: options.reset_timeout,
            protocol.STEP: options.step_timeout,
            protocol.CALL: options.call_timeout,
            protocol.SET: options.call_timeout,
        }

    def hung_at(self, command: int) -> float | None:
        """The time of `time.monotonic()` at which a worker counts as hung that is asked now."""
        return _after(self._seconds.get(command))

    def lost_at(self, command: int) -> float | None:
        """The same for what is asked in order to bring envs back: it always has an end."""
        return _after(self._limit(command))

    def watch(self, worker: Worker, cursor: Cursor, counts: tuple[int, int]) -> Answer:
        """Hear a worker that replays episodes: each reset and step of it may take its time.

        Args:
            worker: it was asked to replay.
            cursor: (16,) int32, where it says what it is at.
            counts: how many resets and steps it was asked to repeat. All together they may take no
                longer than one after the other, whatever the worker says.

        Raises:
            BellError: it hangs, or there will be no answer.
        """
        limits = self._limit(protocol.RESET), self._limit(protocol.STEP)
        known = [limit for limit in limits if limit is not None]
        all_of_it = sum(count * limit for count, limit in zip(counts, known, strict=False))
        end = _after(all_of_it) if len(known) == len(counts) else None
        seen, late = None, end
        while True:
            now, turn = time.monotonic(), (int(cursor[TURN]), int(cursor[DOING]))
            if turn != seen:
                seen, late = turn, first(end, self.lost_at(turn[1]))
            if late is not None and late <= now:
                raise LateError("the deadline has passed")
            with contextlib.suppress(LateError):
                return worker.hear(first(late, now + LOOK))

    def _limit(self, command: int) -> float | None:
        return self._seconds.get(command) or self._start


def first(one: float | None, other: float | None) -> float | None:
    """The earlier of two times, which need not be."""
    return min((end for end in (one, other) if end is not None), default=None)


def _after(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds
