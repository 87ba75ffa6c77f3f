"""More of what real packages do, beside what is in test_odd_envs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from envhub.envdict import EnvDict
from envhub.worker.spaces import OpaqueSpace

Make = Callable[..., EnvDict]

CODE = """
{first}
import gymnasium as gym
import numpy as np

class Env(gym.Env):
    observation_space = gym.spaces.Box(0, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observe(), {{}}

    def step(self, action):
        return self.observe(), 1.0, False, False, {{}}

    def observe(self):
        return self.np_random.random(2, np.float32)

{last}

def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([Env for _ in range(n_envs)])
"""
MISSION = """
class Mission(gym.Space):
    def __init__(self):
        super().__init__(None, None)
        self.function = lambda: "go there"

    def sample(self):
        return self.function()

    def contains(self, x):
        return isinstance(x, str)

Env.observation_space = gym.spaces.Dict(image=Env.observation_space, mission=Mission())
Env.observe = lambda self: {"image": np.zeros(2, np.float32), "mission": "go there"}
"""
CASES = {
    "banners": ("print('welcome' * 9999); import os; os.write(2, b'hello' * 9999)", ""),
    "a child": ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", ""),
    "seed takes nothing": ("", "Env.seed, Env.reset = lambda self: None, lambda self: [0, 0]"),
}


@pytest.mark.parametrize(("first", "last"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("n_envs", [1, 3])
def test_oddities(isolated: Make, n_envs: int, first: str, last: str) -> None:
    """Each is stepped like any other env."""
    with isolated(CODE.format(first=first, last=last), n_envs=n_envs) as envs:
        env = envs.only
        one = env.reset(seed=3)[0]
        env.step(np.zeros(n_envs, int))
        assert np.array_equal(one, env.reset(seed=3)[0])
        assert one.shape == (n_envs, 2)


@pytest.mark.parametrize("n_envs", [1, 3])
def test_a_space_with_a_function(isolated: Make, n_envs: int) -> None:
    """A space that no other process can know passes its values through, as MiniGrid's missions."""
    with isolated(CODE.format(first="", last=MISSION), n_envs=n_envs) as envs:
        env = envs.only
        assert env.single_observation_space["mission"] == OpaqueSpace("Mission")
        assert env.reset(seed=0)[0]["mission"] == ("go there",) * n_envs
        assert env.step(np.zeros(n_envs, int))[0]["mission"] == ("go there",) * n_envs


def test_a_question_at_import(isolated: Make) -> None:
    """A package that asks something while it is imported gets no answer, and is told so."""
    with pytest.raises(ImportError, match="EOF"):
        isolated("input('where shall the data go? ')\n")
