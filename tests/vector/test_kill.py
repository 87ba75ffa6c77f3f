"""The kill battery: workers end in every way there is, at any moment, and the run goes on.

2,000 workers are lost in the default run, 10,000 with ENVHUB_HEAVY=1.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import mmap
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from envhub.errors import EnvHubError, EnvRaisedError, WorkerDiedError, WorkerTimeoutError
from envhub.vector import AsyncVectorEnv
from envhub.vector.pool import Worker

TIMES = 5 if os.environ.get("ENVHUB_HEAVY") == "1" else 1
N_ENVS, N_WORKERS = 6, 3
PATIENCE = 0.1  # seconds that a step may take
SLACK = 1.0  # seconds that a call may last beyond that and beyond building all workers anew
CLOSE_LIMIT = 1.0
LIFE = 40  # losses that one vector env lives through

Action = np.ndarray[Any, Any]


def nothing() -> None:
    pass


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


@dataclass
class Tally:
    """What a battery saw."""

    losses: int = 0
    changed: int = 0
    recoveries: list[float] = field(default_factory=list)


class Arena:
    """A vector env of victims beside the same envs in plain Python, and ways to do harm."""

    def __init__(self, seed: int, *, patience: float = PATIENCE, **options: Any) -> None:
        self.random = random.Random(seed)
        self.fates = mmap.mmap(-1, N_ENVS)  # shared with the workers, which are forked
        factories = [partial(Victim, self.fates, i) for i in range(N_ENVS)]
        peace = mmap.mmap(-1, N_ENVS)
        self.plain = SyncVectorEnv([partial(Victim, peace, i) for i in range(N_ENVS)])
        start = time.monotonic()
        self.envs = AsyncVectorEnv(
            factories,
            start_method="fork",
            num_workers=N_WORKERS,
            step_timeout=patience,
            reset_timeout=patience,
            **options,
        )
        self.deadline = patience + SLACK + time.monotonic() - start
        self.reset()

    def reset(self) -> None:
        seed = self.random.randrange(1 << 30)
        self.envs.reset(seed=seed)
        self.plain.reset(seed=seed)

    def actions(self) -> Action:
        return np.array([self.random.randrange(5) for _ in range(N_ENVS)])

    def victims(self) -> list[int]:
        """Some workers, one at least."""
        return self.random.sample(range(N_WORKERS), self.random.randint(1, N_WORKERS))

    def doom(self, workers: list[int], harm: Callable[[], None]) -> None:
        """Let an env of each worker do itself harm at its next step or reset."""
        for worker in workers:
            spot = self.envs.workers[worker]
            env = self.random.randrange(spot.lo, spot.hi)
            self.fates[env] = HARMS.index(harm) + 1

    def shoot(self, workers: list[int], number: int) -> None:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.envs.workers[worker].pid, number)

    def strike(self, how: Harm) -> None:
        """Do harm to some workers at some moment; steps are taken in the plain envs, too."""
        hit = nothing
        if callable(how):
            self.doom(self.victims(), how)
        else:
            hit = partial(self.shoot, self.victims(), how)
        self.random.choice(MOMENTS)(self, hit)

    def lose_one(self, how: Harm) -> tuple[Worker, tuple[Any, ...], tuple[Any, ...]]:
        """Do harm to one worker before a step that shows it; that step's outcomes."""
        number = self.random.randrange(N_WORKERS)
        lost = self.envs.workers[number]
        if callable(how):
            self.doom([number], how)
        else:
            self.shoot([number], how)
        actions = self.actions()
        return lost, self.envs.step(actions), self.plain.step(actions)

    def take_step(self, hit: Callable[[], None], *, delay: float = 0.0) -> None:
        actions = self.actions()
        self.envs.step_async(actions)
        timer = threading.Timer(delay, hit)
        timer.start() if delay else hit()
        ours = self.envs.step_wait()
        if delay:
            timer.join()
        self.same = same(ours, self.plain.step(actions))

    def take_step_later(self, hit: Callable[[], None]) -> None:
        hit()
        self.take_step(nothing)

    def take_step_meanwhile(self, hit: Callable[[], None]) -> None:
        self.take_step(hit, delay=self.random.uniform(1e-6, 1e-3))

    def take_reset(self, hit: Callable[[], None]) -> None:
        seed = self.random.randrange(1 << 30)
        self.envs.reset_async(seed=seed)
        hit()
        self.same = same(self.envs.reset_wait(), self.plain.reset(seed=seed))

    def take_call(self, hit: Callable[[], None]) -> None:
        self.envs.call_async("name")
        hit()
        assert self.envs.call_wait() == ("victim",) * N_ENVS
        self.take_step(nothing)

    def close(self) -> None:
        start = time.monotonic()
        self.envs.close()
        assert time.monotonic() - start < CLOSE_LIMIT
        self.plain.close()


MOMENTS: tuple[Callable[[Arena, Callable[[], None]], None], ...] = (
    Arena.take_step_later,
    Arena.take_step,
    Arena.take_step_meanwhile,
    Arena.take_reset,
    Arena.take_call,
)


def same(ours: Any, plain: Any) -> bool:
    """Bit for bit, in arrays and in infos."""
    if isinstance(plain, list | tuple):
        return all(same(a, b) for a, b in zip(ours, plain, strict=True))
    if isinstance(plain, dict):
        return set(ours) == set(plain) and all(same(ours[key], plain[key]) for key in plain)
    return ours.dtype == plain.dtype and np.array_equal(ours, plain)


@contextlib.contextmanager
def no_leaks() -> Iterator[None]:
    """Nothing of the block's remains: process, zombie, descriptor or mapping."""
    gc.collect()
    before = remains()
    yield
    gc.collect()
    assert remains() == before


def remains() -> tuple[int, int, int]:
    """Children (zombies too), descriptors and shared mappings of this process."""
    children = sum(
        len(file.read_text().split()) for file in Path("/proc/self/task").glob("*/children")
    )
    maps = Path("/proc/self/maps").read_text().splitlines()
    return (
        children,
        len(list(Path("/proc/self/fd").iterdir())),
        sum("memfd:" in line for line in maps),
    )


def battery(how: Harm, losses: int, mode: str) -> Tally:
    """Lose so many workers in one way; every call answers in time, and close() does, too."""
    tally = Tally()
    for seed in itertools.count(losses):
        if tally.losses >= losses:
            return tally
        with contextlib.closing(Arena(seed, on_worker_failure=mode, max_restarts=10)) as arena:
            while len(arena.envs.failures) < LIFE and tally.losses < losses:
                lose(arena, how, tally)
    return tally


def lose(arena: Arena, how: Harm, tally: Tally) -> None:
    """A few steps in peace, then harm at a random moment."""
    for _ in range(arena.random.randrange(4)):
        arena.take_step(nothing)
    before, start = len(arena.envs.failures), time.monotonic()
    arena.strike(how)
    tally.recoveries.append(time.monotonic() - start)
    assert tally.recoveries[-1] < arena.deadline
    lost = len(arena.envs.failures) - before
    tally.losses += lost
    if not arena.same:
        tally.changed += lost
        arena.reset()


# Together 1,550; restart and raise lose 225 each. The two that hang take the longest.
MANY, FEW = 190, 110
LOSSES = [
    pytest.param(h, FEW if ERRORS[h] is WorkerTimeoutError else MANY, id=name_of(h)) for h in ALL
]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Each loss is logged; two thousand of them need not be kept."""
    caplog.set_level(logging.ERROR, logger="envhub.vector")


@pytest.mark.parametrize(("how", "losses"), LOSSES)
@pytest.mark.timeout(600)
def test_replay(how: Harm, losses: int) -> None:
    """However workers end, the trajectory goes on as if nothing had happened, and soon."""
    with no_leaks():
        tally = battery(how, losses * TIMES, "replay")
    assert tally.changed <= tally.losses * 0.01
    assert np.quantile(tally.recoveries, 0.99) < 2.0


@pytest.mark.parametrize("how", ALL, ids=name_of)
@pytest.mark.timeout(300)
def test_restart(how: Harm) -> None:
    """The lost worker's episodes are truncated and say why; the others go on untouched."""
    with no_leaks():
        restarts(how)


def restarts(how: Harm) -> None:
    arena = Arena(1, patience=0.5 if hangs(how) else 10.0, on_worker_failure="restart")
    with contextlib.closing(arena):
        while len(arena.envs.failures) < 25 * TIMES:
            arena.reset()
            arena.take_step(nothing)
            assert arena.same
            start = time.monotonic()
            lost, ours, plain = arena.lose_one(how)
            assert time.monotonic() - start < arena.deadline
            restarted = ours[4]["worker_restarted"]
            assert set(np.flatnonzero(restarted)) == set(range(lost.lo, lost.hi))
            assert ours[3][restarted].all()
            assert all("worker" in cause for cause in ours[4]["worker_failure"][restarted])
            assert same([part[~restarted] for part in ours[:4]], [p[~restarted] for p in plain[:4]])


@pytest.mark.parametrize("how", ALL, ids=name_of)
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:.*ERROR.*:UserWarning")  # Gymnasium's way to tell of errors
def test_raise(how: Harm) -> None:
    """The error says what happened to which envs; nothing hangs, also not close()."""
    with no_leaks():
        for seed in range(25 * TIMES):
            raises(how, seed)


def raises(how: Harm, seed: int) -> None:
    with contextlib.closing(Arena(seed, patience=PATIENCE if hangs(how) else 10.0)) as arena:
        start = time.monotonic()
        with pytest.raises(ERRORS[how]) as caught:
            arena.lose_one(how)
        assert time.monotonic() - start < arena.deadline
        if isinstance(caught.value, EnvHubError):
            assert "env" in str(caught.value)
        with pytest.raises(EnvHubError, match="close"):
            arena.envs.step(arena.actions())


def test_all_hang_at_once() -> None:
    """Workers that hang together are given the time of one."""
    with no_leaks():
        hang_together()


def hang_together() -> None:
    with contextlib.closing(Arena(1, patience=2.0, on_worker_failure="replay")) as arena:
        for worker in arena.envs.workers:
            arena.fates[worker.lo] = HARMS.index(loop) + 1
        start = time.monotonic()
        arena.take_step(nothing)
        assert time.monotonic() - start < arena.deadline
        assert arena.same
        assert len(arena.envs.failures) == N_WORKERS
