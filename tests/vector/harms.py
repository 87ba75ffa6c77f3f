"""Ways in which a worker ends, and an env that does itself such harm."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle  # noqa: F401 — forked workers have it then, and need not import it each time
import gymnasium as gym
import numpy as np

from envhub.errors import EnvRaisedError, WorkerDiedError, WorkerTimeoutError


def name_of(how: Harm) -> str:
    return how.name if isinstance(how, signal.Signals) else how.__name__


def exit_at_once() -> None:
    os._exit(3)


def fail() -> None:
    raise ValueError("as an env may fail")


def fail_oddly() -> None:
    class Local(Exception):  # noqa: N818 - a name that nobody can import, so it cannot be pickled
        pass

    raise Local(threading.Lock())


def loop() -> None:
    while True:
        pass


def exhaust() -> None:
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + (32 << 20), held + (32 << 20)))
    bytearray(1 << 30)


def crash() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # without pytest's report of it
    os.kill(os.getpid(), signal.SIGSEGV)


HARMS: tuple[Callable[[], None], ...] = (exit_at_once, fail, fail_oddly, loop, exhaust, crash)
Harm = Callable[[], None] | signal.Signals
ALL: tuple[Harm, ...] = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP, *HARMS)
ERRORS: dict[Harm, type[Exception]] = {
    signal.SIGKILL: WorkerDiedError,
    signal.SIGSEGV: WorkerDiedError,
    signal.SIGSTOP: WorkerTimeoutError,
    exit_at_once: WorkerDiedError,
    fail: ValueError,
    fail_oddly: EnvRaisedError,
    loop: WorkerTimeoutError,
    exhaust: MemoryError,
    crash: WorkerDiedError,
}


def hangs(how: Harm) -> bool:
    return ERRORS[how] is WorkerTimeoutError


class Victim(gym.Env[Any, Any]):
    """A deterministic env that does itself harm once, when its cell of `fates` says so."""

    observation_space = gym.spaces.Box(0.0, 1.0, (4,), np.float64)
    action_space = gym.spaces.Discrete(5)
    name = "victim"

    def __init__(self, fates: mmap.mmap, index: int) -> None:
        self.fates, self.index = fates, index
        self.steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        self.meet_fate()
        return self.np_random.random(4), {"steps": 0}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        observation = self.np_random.random(4) * (1 + action) / 5
        self.meet_fate()
        chance = self.np_random.random()
        info: dict[str, Any] = {"steps": self.steps, "chance": chance}
        if self.steps % 3 == 0:
            info["odd"] = f"step {self.steps}"
        return observation, float(observation.sum()), chance < 0.03, chance > 0.98, info

    def meet_fate(self) -> None:
        fate, self.fates[self.index] = self.fates[self.index], 0
        if fate:
            HARMS[fate - 1]()
