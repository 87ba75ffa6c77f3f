"""`autotune`: try how many workers are best for some envs, on this machine, now."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Any

from envhub.errors import ArgumentError
from envhub.vector import caller
from envhub.vector.async_env import AsyncVectorEnv
from envhub.vector.options import UNEVEN_FACTOR

Make = Callable[..., AbstractContextManager[Any]]

# Drawn before the clock runs: drawing them can take longer than the steps.
ACTIONS = 16


@dataclass(frozen=True)
class Trial:
    """How fast envs were with so many workers.

    Attributes:
        num_workers: how many workers.
        batch_size: how many envs `recv` answered for; `None` for a lock-step with `step`.
        steps_per_second: steps of single envs.
    """

    num_workers: int
    batch_size: int | None
    steps_per_second: float

    @property
    def arguments(self) -> dict[str, Any]:
        """What to give to `AsyncVectorEnv` to have it like this."""
        told = {"num_workers": self.num_workers, "batch_size": self.batch_size}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True)
class Tuning:
    """What `autotune` found.

    Attributes:
        trials: what was tried, the fastest first.
    """

    trials: tuple[Trial, ...]

    @property
    def step(self) -> Trial:
        """The fastest for `step`."""
        return next(trial for trial in self.trials if trial.batch_size is None)

    @property
    def send_recv(self) -> Trial | None:
        """The fastest for `send` and `recv`, if batches of half the envs could be tried."""
        return next((trial for trial in self.trials if trial.batch_size is not None), None)


def autotune(
    env_fns: Sequence[Callable[[], Any]],
    *,
    seconds: float = 1.0,
    worker_counts: Sequence[int] | None = None,
    **arguments: Any,
) -> Tuning:
    """Step envs with random actions, with few workers and with many, and compare.

    Each trial builds the envs anew and steps them: think twice before you do it with a real robot.

    Args:
        env_fns: makes the envs.
        seconds: how long to measure each trial.
        worker_counts: how many workers to try, by default from one to one per env.
        arguments: more for `AsyncVectorEnv`.

    Raises:
        ArgumentError: there is nothing to try.
    """
    counts = counts_for(len(env_fns)) if worker_counts is None else worker_counts
    if not counts or not env_fns:
        raise ArgumentError("autotune was given no env factories, or no worker counts")

    def make(**more: Any) -> AbstractContextManager[Any]:
        return closing(AsyncVectorEnv(env_fns, **{**arguments, **more}))

    trials = [trial for count in counts for trial in attempt(make, len(env_fns), count, seconds)]
    trials.sort(key=lambda trial: -trial.steps_per_second)
    return Tuning(tuple(trials))


def counts_for(num_envs: int) -> list[int]:
    """The numbers of workers that are worth a try: from one to one per env."""
    cores = caller.cores()
    wanted = (1, cores, 2 * cores, UNEVEN_FACTOR * cores, num_envs)
    return sorted({min(count, num_envs) for count in wanted})


def attempt(make: Make, num_envs: int, num_workers: int, seconds: float) -> list[Trial]:
    """Step envs with so many workers: in lock-step and, if halves can be made, with `recv`.

    Args:
        make: opens the vector env, from `num_workers` and `batch_size`, and closes it.
        num_envs: how many envs it has.
        num_workers: how many workers.
        seconds: how long to measure each.
    """
    half = num_envs // 2
    halves = num_envs % num_workers == 0 and half and half % (num_envs // num_workers) == 0
    batch = half if halves else None
    with make(num_workers=num_workers, batch_size=batch) as envs:
        trials = [Trial(num_workers, None, pace(envs, seconds))]
        if batch is not None and isinstance(envs, AsyncVectorEnv):
            trials.append(Trial(num_workers, batch, pace(envs, seconds, _send_recv)))
    return trials


def pace(envs: Any, seconds: float, play: Callable[[Any, float], int] | None = None) -> float:
    """Steps of single envs per second, of any vector env, with random actions."""
    envs.reset(seed=0)
    begun = time.perf_counter()
    steps = (play or _lock_step)(envs, begun + seconds)
    return steps / (time.perf_counter() - begun)


def _lock_step(envs: Any, end: float) -> int:
    actions = itertools.cycle([envs.action_space.sample() for _ in range(ACTIONS)])
    steps = 0
    while time.perf_counter() < end:
        envs.step(next(actions))
        steps += envs.num_envs
    return steps


def _send_recv(envs: Any, end: float) -> int:
    steps = 0
    actions = [envs.single_action_space.sample() for _ in range(envs.num_envs)]
    envs.send(envs.action_space.sample())
    while time.perf_counter() < end:
        *_, infos = envs.recv()
        ids = infos["env_id"]
        steps += len(ids)
        envs.send([actions[env] for env in ids.tolist()], ids)
    for _ in range(2):
        envs.recv()
    return steps
