"""How fast envs step: by how many there are, and by how many processes step them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from envhub.errors import ArgumentError
from envhub.vector import AsyncVectorEnv
from envhub.vector.autotune import Make, attempt, counts_for, pace

ENOUGH = 0.9
"""A share of the fastest that fewer envs may have and still be advised."""

WORTH_IT = 1.2
"""How much faster `send` and `recv` must be to be advised: they ask more of a training loop."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes:
        n_envs: how many envs stepped together.
        num_workers: how many processes stepped them; `None` if that is up to the env itself.
        batch_size: how many envs `recv` answered for; `None` for a lock-step with `step`.
        steps_per_second: steps of single envs, with random actions.
    """

    n_envs: int
    num_workers: int | None
    batch_size: int | None
    steps_per_second: float

    @property
    def options(self) -> dict[str, int]:
        """What `envhub.vector.Options` has to be told to have it like this."""
        told = {"num_workers": self.num_workers, "batch_size": self.batch_size}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Advice:
    """What measurements say.

    Attributes:
        step: the fewest envs that are about as fast as any, with the best number of workers.
        send_recv: the fastest for `send` and `recv`, if that is worth it.
    """

    step: Row
    send_recv: Row | None


def advise(rows: Sequence[Row]) -> Advice:
    """What is best for `step`, and whether `send` and `recv` are better than that.

    Raises:
        ArgumentError: nothing was measured.
    """
    if not rows:
        raise ArgumentError("nothing was measured")
    locked = sorted((row for row in rows if row.batch_size is None), key=_speed)
    enough = [row for row in locked if _speed(row) >= ENOUGH * _speed(locked[-1])]
    step = min(enough, key=lambda row: (row.n_envs, -_speed(row)))
    free = max((row for row in rows if row.batch_size is not None), key=_speed, default=None)
    if free is not None and _speed(free) < WORTH_IT * _speed(locked[-1]):
        free = None
    return Advice(step, free)


def measure(
    make: Make,
    n_envs: Sequence[int],
    *,
    workers: Sequence[int] = (),
    seconds: float = 0.5,
) -> Iterator[Row]:
    """Step envs with random actions and tell each measurement when it is done.

    Args:
        make: opens a vector env from how many envs and, by name, `num_workers` and `batch_size`,
            and closes it.
        n_envs: how many envs to try.
        workers: how many processes to try, by default from one to one per env.
        seconds: how long each measurement takes.
    """
    for count in n_envs:
        with make(count) as envs:
            envs.reset(seed=0)
            has_workers = isinstance(envs.unwrapped, AsyncVectorEnv)
            if not has_workers:
                yield Row(count, None, None, pace(envs, seconds))
        if has_workers:
            for number in sorted({min(each, count) for each in workers}) or counts_for(count):
                for trial in attempt(partial(make, count), count, number, seconds):
                    yield Row(count, number, trial.batch_size, trial.steps_per_second)


def _speed(row: Row) -> float:
    return row.steps_per_second
