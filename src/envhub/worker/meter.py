"""Measures the first steps of a shard: do its envs compute, or do they wait?"""

from __future__ import annotations

import time
from typing import Any, Callable, List

STEPS = 50


class Meter:
    """Adds up how long steps took, and how much of it the processor worked."""

    def __init__(self) -> None:
        self.steps = 0
        self.elapsed = 0.0
        self.busy = 0.0
        self.squares = 0.0

    def run(self, call: Callable[..., None], *args: Any) -> None:
        """Do a step and measure it."""
        begun, busy = time.perf_counter(), time.thread_time()
        call(*args)
        elapsed = time.perf_counter() - begun
        self.steps += 1
        self.elapsed += elapsed
        self.busy += time.thread_time() - busy
        self.squares += elapsed * elapsed

    def tell(self) -> List[float]:
        """Steps, seconds, seconds of processor, sum of the squares of the seconds."""
        return [self.steps, self.elapsed, self.busy, self.squares]
