"""An env that takes more than it may is ended, and the user is told what it took."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from tests.isolation.conftest import Prepare

from envhub.errors import WorkerDiedError
from envhub.isolation.sandbox import cage
from envhub.isolation.sandbox.quota import Quota
from envhub.isolation.world import callers
from envhub.make import make

linux = pytest.mark.skipif(sys.platform != "linux", reason="these cages are Linux's")

GREEDY = """
import time
import gymnasium as gym
import numpy as np

class Greedy(gym.Env):
    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.hoard = bytearray(b"x" * (400 << 20))
        time.sleep(1000)

def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([Greedy] * n_envs)
"""


@linux
@pytest.mark.parametrize("fork_safe", [True, False])
def test_the_reason_reaches_the_user(
    fork_safe: bool, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who took too much is told so in the error, not only that a process died."""
    monkeypatch.setattr(cage, "Quota", lambda: Quota(memory=300 << 20))
    source, allowed = prepare({"env.py": GREEDY})
    world = dataclasses.replace(callers(), fork_safe=fork_safe)
    with make(source, allowed, isolation="process", sandbox="require", world=world) as envs:
        envs.only.reset(seed=0)
        with pytest.raises(WorkerDiedError, match="it used more than 300 MiB of memory"):
            envs.only.step([0])
