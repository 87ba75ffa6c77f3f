"""What a benchmark of one's own env measures, and what it advises."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import gymnasium as gym
import pytest
from tests.vector.zoo import Native

from envhub.bench import Row, advise, measure
from envhub.errors import ArgumentError
from envhub.vector import AsyncVectorEnv


def cartpoles(n_envs: int, **options: Any) -> Any:
    """Envs of ours."""
    return closing(AsyncVectorEnv([lambda: gym.make("CartPole-v1")] * n_envs, **options))


def native(n_envs: int, **options: Any) -> Any:
    """A batch of its own."""
    assert not options
    return closing(Native(n_envs))


def test_every_number_of_workers() -> None:
    """Each number of envs is stepped by each number of workers, in lock-step and by halves."""
    rows = list(measure(cartpoles, [1, 4], workers=[1, 2, 9], seconds=0.01))
    assert [(row.n_envs, row.num_workers, row.batch_size) for row in rows] == [
        (1, 1, None),
        (4, 1, None),
        (4, 2, None),
        (4, 2, 2),
        (4, 4, None),
        (4, 4, 2),
    ]
    assert all(row.steps_per_second > 0 for row in rows)
    assert rows[3].options == {"num_workers": 2, "batch_size": 2}


def test_a_batch_of_its_own() -> None:
    """An env that steps its own batch has no workers to choose."""
    (row,) = measure(native, [8], seconds=0.01)
    assert (row.n_envs, row.num_workers, row.batch_size, row.options) == (8, None, None, {})


@pytest.mark.parametrize(
    ("rows", "step", "send_recv"),
    [
        ([(1, 1, None, 100)], 0, None),
        ([(1, 1, None, 100), (8, 2, None, 300), (64, 2, None, 310)], 1, None),
        ([(1, 1, None, 100), (8, 2, None, 200), (64, 2, None, 310)], 2, None),
        ([(8, 1, None, 295), (8, 2, None, 300)], 1, None),
        ([(8, 8, None, 300), (8, 8, 4, 350)], 0, None),
        ([(8, 8, None, 300), (8, 8, 4, 370), (8, 4, 4, 310)], 0, 1),
    ],
)
def test_advice(rows: list[Any], step: int, send_recv: int | None) -> None:
    """As few envs as are about as fast as any; `send` and `recv` only where they are worth it."""
    found = [Row(*row) for row in rows]
    advice = advise(found)
    assert advice.step == found[step]
    assert advice.send_recv == (None if send_recv is None else found[send_recv])


def test_no_advice() -> None:
    """Nothing can be said of nothing."""
    with pytest.raises(ArgumentError, match="nothing was measured"):
        advise([])
