"""Isolated envs go the way of `SyncVectorEnv` in the caller's process, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tests.isolation.conftest import Make
from tests.vector.zoo import difference

import envhub

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAVY = pytest.mark.heavy
REPO = """
import gymnasium as gym

def make_env(n_envs=1, use_async_envs=False, mode="NextStep", short=False):
    kind = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    one = lambda: gym.make("Acrobot-v1" if short else "CartPole-v1", max_episode_steps=7)
    return kind([one] * n_envs, autoreset_mode=mode)
"""


def walk(env: Any, steps: int, *, resets: bool = False) -> list[Any]:
    """What a reset and some steps return; with `resets`, envs that have ended are reset."""
    env.action_space.seed(3)
    seen: list[Any] = [env.reset(seed=11)]
    for _ in range(steps):
        seen.append(env.step(env.action_space.sample()))
        ended = seen[-1][2] | seen[-1][3]
        if resets and np.any(ended):
            seen.append(env.reset(options={"reset_mask": ended.copy()}))
    return seen


@pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("n_envs", [pytest.param(1, marks=HEAVY), 6])
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_autoreset_modes(isolated: Make, mode: AutoresetMode, n_envs: int, use_async: bool) -> None:
    """In each autoreset mode, sync and async, the trajectories are the same."""
    params = {"mode": mode.value}
    how: dict[str, Any] = {"n_envs": n_envs, "params": params}
    inline = isolated(REPO, isolation="inline", **how).only
    assert isinstance(inline, SyncVectorEnv)
    theirs = isolated(REPO, use_async_envs=use_async, sandbox="off", **how).only
    assert theirs.metadata["autoreset_mode"] is mode
    resets = mode is AutoresetMode.DISABLED
    assert not difference(walk(theirs, 40, resets=resets), walk(inline, 40, resets=resets))


GALLERY = [
    pytest.param("cartpole", 60),
    pytest.param("multitask", 30),
    pytest.param("pusht", 20, marks=HEAVY),
    pytest.param("car-racing", 10, marks=HEAVY),
]


@pytest.mark.parametrize("use_async", [False, pytest.param(True, marks=HEAVY)])
@pytest.mark.parametrize(("name", "steps"), GALLERY)
def test_gallery(name: str, steps: int, use_async: bool) -> None:
    """The gallery's envs, in the sandbox that is the default, step as they do inline."""
    ref, n_envs = str(EXAMPLES / name), 6 if use_async else 2
    given: dict[str, Any] = {"trust_remote_code": True}
    with (
        envhub.make_env(ref, n_envs, isolation="inline", **given) as inline,
        envhub.make_env(ref, n_envs, use_async, isolation="process", **given) as isolated,
    ):
        for (suite, task), env in inline.flat():
            assert not difference(walk(isolated[suite][task], steps), walk(env, steps))
