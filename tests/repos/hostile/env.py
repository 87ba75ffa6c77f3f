"""A hostile env repo: each function is one attack on the machine and its user.

`a` says where the attacker's targets are, as one who knows the machine would know it. What an
attack returns leaves the process the way observations and infos do: it is what was stolen.
"""

import gymnasium as gym
import harm
import kernel
import network
import numpy as np
import resources
import theft
from tools import kept

GROUPS = (theft, harm, network, kernel, resources)


class Hostile(gym.Env):
    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        info = {}
        if options:
            info["loot"] = attempt(options["attack"], options["arena"])
        return np.zeros(1, np.float32), info

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}


def attempt(name, arena):
    kept.clear()
    try:
        action = next(getattr(group, name) for group in GROUPS if hasattr(group, name))
        return str(action(arena) or "")
    except Exception as error:
        return "failed: %r" % error


def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([Hostile for _ in range(n_envs)])
