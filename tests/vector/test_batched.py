"""A vector env that steps its own batch, hosted whole."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import SyncVectorEnv, VectorEnv
from tests.vector.zoo import Counter, Frames, InPlace, Native, Sampler, difference

from envhub.errors import WorkerDiedError, WorkerError
from envhub.vector import AsyncVectorEnv, BatchedVectorEnv
from envhub.worker.whole import nest


class Vain(Native):
    """Gives rewards and infos of its own kind."""

    def step(self, actions: Any) -> Any:
        obs, rewards, ended, cut, _ = super().step(actions)
        return obs, np.stack([rewards, rewards]), ended, cut, {"mean": float(rewards.mean())}


class Hoarder(Native):
    """Keeps every array of actions that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def step(self, actions: Any) -> Any:
        self.kept.append(actions)
        return super().step(actions)


class Borrower(InPlace, Hoarder):
    """The same, although they were lent to it."""


class Lopsided(Native):
    """Observes something that is no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0.0, 1.0, (3,))


def nested() -> Any:
    """A vector env of nested observations."""
    return SyncVectorEnv([partial(Frames, 8)] * 3)


@pytest.mark.parametrize("make", [Native, InPlace, Vain, nested])
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_to_the_env_itself(make: Any, copy: bool, dtype: Any) -> None:
    """What it returns is what the env returns, in its types, whatever actions it is given."""
    own: Any = make()
    hosted = BatchedVectorEnv(make, copy=copy)
    assert isinstance(hosted, VectorEnv)
    assert (hosted.num_envs, hosted.metadata) == (own.num_envs, own.metadata)
    assert hosted.observation_space == own.observation_space
    assert hosted.single_action_space == own.single_action_space
    assert not difference(hosted.reset(seed=3), own.reset(seed=3))
    own.action_space.seed(1)
    for _ in range(30):
        actions = own.action_space.sample().astype(dtype)
        assert not difference(hosted.step(actions), own.step(actions))
    hosted.close()
    own.close()


def test_its_own_calls() -> None:
    """Calls, attributes and frames are the env's own."""
    hosted = BatchedVectorEnv(Native)
    hosted.reset(seed=1)
    assert hosted.call("greet", 3) == ("greet", 3)
    hosted.set_attr("gain", 2.0)
    assert hosted.get_attr("gain") == 2.0
    assert len(hosted.render()) == 8
    with pytest.raises(AttributeError):
        hosted.get_attr("nothing")
    hosted.close()
    hosted = BatchedVectorEnv(partial(SyncVectorEnv, [Counter] * 2))
    hosted.reset()
    assert hosted.call("length") == (5, 5)
    hosted.close()


def test_large_batches_are_leased() -> None:
    """A large batch is handed out without a copy, and stays as it is while it is held."""
    hosted = BatchedVectorEnv(partial(InPlace, 4096, 8))
    held = [hosted.reset(seed=1)[0]]
    sums = [held[0].sum()]
    actions = np.ones((4096, 8), np.float32)
    for _ in range(6):
        held.append(hosted.step(actions)[0])
        sums.append(held[-1].sum())
    assert [array.sum() for array in held] == sums
    assert held[0].base is not None
    hosted.close()


@pytest.mark.parametrize(("make", "seen"), [(Hoarder, [1, 2, 3]), (Borrower, [3, 3, 3])])
def test_actions_are_kept_or_lent(make: Any, seen: list[int]) -> None:
    """Actions are the env's own for ever; one that takes `out` has them until it returns."""
    hosted = BatchedVectorEnv(make)
    hosted.reset(seed=1)
    for number in (1, 2, 3):
        hosted.step(np.full((8, 3), number, np.float32))
    assert [int(array[0, 0]) for array in hosted.get_attr("kept")] == seen
    hosted.close()


def test_what_is_no_batch() -> None:
    """A single env, or a batch of no arrays, is refused; and a vector env where single ones are."""
    with pytest.raises(TypeError, match="which is no VectorEnv"):
        BatchedVectorEnv(Sampler)  # type: ignore[arg-type]  # that is what is tested
    with pytest.raises(ValueError, match="is no batch of 8"):
        BatchedVectorEnv(Lopsided)
    with pytest.raises(TypeError, match="BatchedVectorEnv hosts it whole"):
        AsyncVectorEnv([Native])  # type: ignore[list-item]  # as above


def test_its_errors() -> None:
    """What the env raises comes through; its death is an error; a closed one says so."""
    hosted = BatchedVectorEnv(Native, step_timeout=20)
    hosted.reset(seed=1)
    with pytest.raises(ValueError, match="broadcast") as caught:
        hosted.step(np.zeros((2, 2), np.float32))
    assert "raised by env 0" in caught.value.__notes__[0]
    hosted.close()
    hosted = BatchedVectorEnv(Native)
    os.kill(hosted.workers[0].pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="signal 9"):
        hosted.reset()
    with pytest.raises(WorkerError, match="an error ended it before"):
        hosted.reset()
    hosted.close()
    with pytest.raises(ClosedEnvironmentError):
        hosted.reset()


def test_a_forgotten_one_ends() -> None:
    """Nobody has to close it."""
    pid = BatchedVectorEnv(Native).workers[0].pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nest() -> None:
    """Values at the ends of paths become the structure that the paths tell of."""
    assert nest([((), 1)]) == 1
    assert nest([(("a", 0), 1), (("a", 1), 2), (("b",), 3)]) == {"a": (1, 2), "b": 3}
