"""`autotune`: try how many workers are best for some envs, on this machine, now."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from envhub.errors import ArgumentError
from envhub.vector import caller
from envhub.vector.async_env import AsyncVectorEnv
from envhub.vector.options import UNEVEN_FACTOR


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
    counts = _counts(len(env_fns)) if worker_counts is None else worker_counts
    if not counts or not env_fns:
        raise ArgumentError("autotune was given no env factories, or no worker counts")
    trials = [trial for count in counts for trial in _try(env_fns, count, seconds, arguments)]
    trials.sort(key=lambda trial: -trial.steps_per_second)
    return Tuning(tuple(trials))


def _counts(num_envs: int) -> list[int]:
    cores = caller.cores()
    wanted = (1, cores, 2 * cores, UNEVEN_FACTOR * cores, num_envs)
    return sorted({min(count, num_envs) for count in wanted if count})


def _try(
    env_fns: Sequence[Callable[[], Any]], count: int, seconds: float, arguments: dict[str, Any]
) -> list[Trial]:
    half = len(env_fns) // 2
    halves = len(env_fns) % count == 0 and half and half % (len(env_fns) // count) == 0
    batch = half if halves else None
    more = {**arguments, "num_workers": count, "batch_size": batch}
    with closing(AsyncVectorEnv(env_fns, **more)) as envs:
        trials = [Trial(count, None, _pace(envs, _lock_step, seconds))]
        if batch is not None:
            trials.append(Trial(count, batch, _pace(envs, _send_recv, seconds)))
    return trials


def _pace(envs: Any, play: Callable[[Any, float], int], seconds: float) -> float:
    envs.reset(seed=0)
    begun = time.perf_counter()
    steps = play(envs, begun + seconds)
    return steps / (time.perf_counter() - begun)


def _lock_step(envs: Any, end: float) -> int:
    steps = 0
    while time.perf_counter() < end:
        envs.step(envs.action_space.sample())
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
