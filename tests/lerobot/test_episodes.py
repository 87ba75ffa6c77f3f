"""Leaving ended episodes alone, closing envs, asking them for their task."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from envhub.worker.lerobot.envs import closing, utils
from envhub.worker.lerobot.envs.episodes import (
    NEW_ROLLOUT_OPTION,
    FreezeAfterEpisodeEnd,
    freeze_after_episode_end,
)


class Counting(gym.Env[Any, Any]):
    """Ends after `limit` steps and counts what is asked of it."""

    observation_space = gym.spaces.Box(-1, 100, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.time = self.steps = self.resets = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.resets += 1
        self.time = 0
        return np.zeros(2, np.float32), {"is_success": False}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.time += 1
        done = self.time >= self.limit
        return np.full(2, self.time, np.float32), 1.0, done, False, {"is_success": done}


def frozen(limit: int = 2) -> tuple[Counting, FreezeAfterEpisodeEnd]:
    """An env whose first episode has ended."""
    env = Counting(limit)
    wrapped = FreezeAfterEpisodeEnd(env)
    wrapped.reset()
    for _ in range(limit):
        wrapped.step(None)
    return env, wrapped


def test_frozen_is_not_stepped() -> None:
    """After the end nothing is simulated any more."""
    env, wrapped = frozen(3)
    assert wrapped.is_frozen
    for _ in range(7):
        wrapped.step(None)
    assert env.steps == 3


def test_frozen_repeats_the_end() -> None:
    """The last observation and info are repeated, with reward 0."""
    _, wrapped = frozen()
    observation, reward, terminated, truncated, info = wrapped.step(None)
    assert observation.tolist() == [2, 2]
    assert (reward, terminated, truncated, info) == (0.0, True, False, {"is_success": True})


def test_new_rollout_thaws() -> None:
    """A reset for a new rollout begins an episode."""
    env, wrapped = frozen()
    wrapped.reset(options={NEW_ROLLOUT_OPTION: True})
    assert not wrapped.is_frozen
    wrapped.step(None)
    assert (env.steps, env.resets) == (3, 2)


def test_autoreset_does_not_thaw() -> None:
    """A reset without options, as vector envs do it, repeats the end."""
    env, wrapped = frozen()
    observation, info = wrapped.reset()
    assert wrapped.is_frozen
    assert env.resets == 1
    assert observation.tolist() == [2, 2]
    assert info == {"is_success": True}


def test_bare_reset_before_the_end() -> None:
    """An env that is not frozen is reset as always."""
    env = Counting(5)
    wrapped = FreezeAfterEpisodeEnd(env)
    wrapped.reset()
    wrapped.reset()
    assert env.resets == 2


def test_frozen_factory() -> None:
    """A factory is wrapped into one that makes such envs."""
    assert isinstance(freeze_after_episode_end(lambda: Counting(1))(), FreezeAfterEpisodeEnd)


def test_vector_of_frozen() -> None:
    """In a vector each env does the work of its own episode and no more."""
    limits = [2, 5, 9]
    envs = [Counting(limit) for limit in limits]

    def maker(env: Counting) -> Callable[[], Any]:
        return freeze_after_episode_end(lambda: env)

    vector = gym.vector.SyncVectorEnv([maker(env) for env in envs])
    vector.reset(options={NEW_ROLLOUT_OPTION: True})
    done, steps = np.zeros(3, bool), 0
    while not done.all():
        _, _, terminated, truncated, _ = vector.step(np.zeros((3, 1), np.float32))
        done |= terminated | truncated
        steps += 1
    assert steps == 9
    assert [env.steps for env in envs] == limits
    assert [env.resets for env in envs] == [1, 1, 1]


# Closing and checking


class Closable:
    """Counts its closings; may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = 0
        self.error = error

    def close(self) -> None:
        self.closed += 1
        if self.error:
            raise self.error


def test_close_everything() -> None:
    """Envs are closed wherever they are: alone, in mappings, in sequences, however deep."""
    envs = [Closable() for _ in range(5)]
    held = {"a": {0: envs[0], 1: [envs[1]]}, "b": MappingProxyType({0: (envs[2],)}), "c": envs[3]}
    closing.close_envs(held)
    closing.close_envs(envs[4])
    closing.close_envs(["text", 3, None])
    closing.close_envs("text")
    assert [env.closed for env in envs] == [1] * 5


def test_close_vectors() -> None:
    """Vector envs and plain envs are closed."""
    vector = gym.vector.SyncVectorEnv([lambda: Counting(1)])
    closing.close_envs(vector)
    assert vector.closed
    closing.close_envs(Counting(1))


def test_close_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """One that fails to close is logged and the others are closed."""
    envs = [Closable(RuntimeError("stuck")), Closable()]
    with caplog.at_level(logging.ERROR, "envhub"):
        closing.close_envs(envs)
    assert envs[1].closed == 1
    assert "stuck" in caplog.text


def test_close_nothing() -> None:
    """What cannot be closed is named."""
    with pytest.raises(NotImplementedError, match="a int cannot be closed"):
        closing.close_envs(3)


class Described(Counting):
    """Says what its task is."""

    task = "push"
    task_description = "push the block"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_check_attributes(asynchronous: bool) -> None:
    """An env that does not say its task is warned about, and survives the question."""
    kind: Any = gym.vector.AsyncVectorEnv if asynchronous else gym.vector.SyncVectorEnv
    env = kind([lambda: Counting(1)])
    with pytest.warns(UserWarning, match="no attribute 'task_description' and no 'task'"):
        utils.check_env_attributes_and_types(env)
    env.reset()
    env.close()
    env = kind([lambda: Described(1)])
    utils.check_env_attributes_and_types(env)
    env.close()
