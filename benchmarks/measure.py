"""Fair timing on a machine of few cores: one engine runs, all others are stopped, turns rotate.

Each engine lives in a session of its own. Except during its own turn every process of it is
stopped by a signal, so an engine that spins while it waits takes nothing from the others. What is
compared is the ratio of two engines within one repetition; its median over the repetitions is
what tables show, so that a machine that slows down for a second does not decide.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from benchmarks.process import EngineError, Process, memory, processor_time


@dataclass(frozen=True)
class Contender:
    """One engine with so many envs of one workload."""

    engine: str
    workload: str
    n_envs: int


@dataclass
class Rates:
    """Env steps per second of each contender in each repetition, and why others have none."""

    of: dict[Contender, list[float]] = field(default_factory=dict)
    failed: dict[Contender, str] = field(default_factory=dict)

    def median(self, one: Contender) -> float | None:
        """Its median rate; `None` if it has none."""
        return statistics.median(self.of[one]) if self.of.get(one) else None

    def ratio(self, one: Contender, other: Contender) -> float | None:
        """Median over the repetitions of `one`'s rate over `other`'s; `None` if one has none."""
        if not self.of.get(one) or not self.of.get(other):
            return None
        pairs = zip(self.of[one], self.of[other], strict=True)
        return statistics.median(float(np.divide(a, b)) for a, b in pairs)

    def update(self, other: Rates) -> None:
        """Take over what another race has found."""
        self.of.update(other.of)
        self.failed.update(other.failed)


class Arena:
    """The engines' processes, kept from race to race: some take seconds to import.

    Args:
        pythons: the interpreter for each engine.
    """

    def __init__(self, pythons: Mapping[str, str]) -> None:
        self._pythons = pythons
        self._idle: dict[str, list[Process]] = {}

    def __enter__(self) -> Arena:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for processes in self._idle.values():
            for process in processes:
                process.kill()

    def process(self, engine: str) -> Process:
        """A process of that engine without envs: the caller's until it gives it back."""
        idle = self._idle.get(engine)
        return idle.pop() if idle else self._fresh(engine)

    def _fresh(self, engine: str) -> Process:
        return Process(engine, self._pythons[engine])

    def give_back(self, process: Process) -> None:
        """Close its envs and keep it; or end it, if its engine cannot even close."""
        try:
            process.close()
        except EngineError:
            process.kill()
        else:
            self._idle.setdefault(process.engine, []).append(process)

    def race(self, contenders: Sequence[Contender], *, seconds: float, repetitions: int) -> Rates:
        """Measure contenders in turns.

        Args:
            contenders: who runs.
            seconds: length of a turn.
            repetitions: turns that everybody gets.
        """
        rates = Rates()
        with contextlib.ExitStack() as stack:
            running: dict[Contender, Process] = {}
            for contender in contenders:
                process = self.process(contender.engine)
                stack.callback(self.give_back, process)
                try:
                    process.build(contender.workload, contender.n_envs)
                except EngineError as error:
                    rates.failed[contender] = str(error)
                else:
                    running[contender] = process
            for repetition in range(repetitions):
                self._round(running, rates, repetition, seconds)
        return rates

    def _round(
        self, running: dict[Contender, Process], rates: Rates, shift: int, seconds: float
    ) -> None:
        order = list(running)
        first = shift % max(1, len(order))
        for contender in order[first:] + order[:first]:
            try:
                rate = running[contender].measure(seconds)
            except EngineError as error:
                rates.failed[contender] = str(error)
                rates.of.pop(contender, None)
                del running[contender]
            else:
                rates.of.setdefault(contender, []).append(rate)

    def start_up(self, contender: Contender) -> Start:
        """Start in a fresh process, look at the memory, close."""
        process = self._fresh(contender.engine)
        try:
            seconds = process.build(contender.workload, contender.n_envs)
            return Start(seconds, memory(process.family()), process.close())
        finally:
            process.kill()

    def memory_after(self, contender: Contender, *, seconds: float) -> int:
        """Bytes held after stepping for so long."""
        process = self._fresh(contender.engine)
        try:
            process.build(contender.workload, contender.n_envs)
            process.measure(seconds)
            return memory(process.family())
        finally:
            process.kill()

    def idle(self, contender: Contender, *, seconds: float) -> float:
        """Processor time used per second by a vector env that has stepped and now waits."""
        process = self._fresh(contender.engine)
        try:
            process.build(contender.workload, contender.n_envs)
            process.measure(0.1)
            process.resume()
            time.sleep(0.3)  # there is no event to wait for: nothing is what must happen
            before = processor_time(process.family())
            time.sleep(seconds)
            return (processor_time(process.family()) - before) / seconds
        finally:
            process.kill()


@dataclass(frozen=True)
class Start:
    """What starting costs: seconds to the end of the first step, bytes, seconds to close."""

    seconds: float
    memory: int
    close: float
