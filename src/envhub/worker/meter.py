"""Measures the first steps of a shard: do its envs compute, or do they wait?"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Callable, List

STEPS = 50


class Meter:
    """Adds up how long steps took, and how much of it the processor worked.

    While others have the processor, no time passes.
    """

    def __init__(self) -> None:
        self._queue = -1
        with contextlib.suppress(OSError):  # not on every system, nor in every sandbox
            self._queue = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self.steps = 0
        self.elapsed = 0.0
        self.busy = 0.0
        self.squares = 0.0

    def run(self, call: Callable[..., None], *args: Any) -> None:
        """Do a step and measure it."""
        begun, busy = time.perf_counter() - self._queued(), time.thread_time()
        call(*args)
        elapsed = time.perf_counter() - self._queued() - begun
        self.steps += 1
        self.elapsed += elapsed
        self.busy += time.thread_time() - busy
        self.squares += elapsed * elapsed

    def tell(self) -> List[float]:
        """Steps, seconds, seconds of processor, sum of the squares of the seconds; and end."""
        if self._queue >= 0:
            os.close(self._queue)
            self._queue = -1
        return [self.steps, self.elapsed, self.busy, self.squares]

    def _queued(self) -> float:
        """Seconds that this thread has waited for a processor."""
        if self._queue < 0:
            return 0.0
        return int(os.pread(self._queue, 64, 0).split()[1]) / 1e9
