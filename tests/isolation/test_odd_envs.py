"""Envs that Gymnasium's own vector env chokes on, each seen in a real package."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.isolation.conftest import Make

from envhub import errors
from envhub.isolation.processes import Forked, Program
from envhub.isolation.world import callers
from envhub.vector.options import Options

HEAD = """
import os, subprocess, sys, threading, time
import gymnasium as gym
import numpy as np
from gymnasium import spaces

class Env(gym.Env):
    observation_space = spaces.Box(-9, 99, (2,), np.float32)
    action_space = spaces.Discrete(2)
    count = 0
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.show(), {}
    def step(self, action):
        self.count += 1
        return self.show(), 1.0, False, self.count >= 3, {}
    def show(self):
        return np.full(2, self.count, np.float32)
"""
TAIL = """
def make_env(n_envs=1, use_async_envs=False):
    kind = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return kind([Odd for _ in range(n_envs)])
"""
FOUR = """
class Odd(Env):
    def reset(self):
        return super().reset()[0]
    def seed(self, seed):
        self.seeded = seed
    def show(self):
        return np.array([self.count, getattr(self, "seeded", -1)], np.float32)
    def step(self, action):
        obs, reward, _, _, info = super().step(action)
        return obs, reward, self.count >= 3, {"TimeLimit.truncated": True}
"""
SIX = """
class Odd(Env):
    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, reward, 0.25, terminated, truncated, info
"""
SEEDLESS = """
class Core(Env):
    def reset(self, seed=None):
        self.np_random
        return super().reset(seed=seed)
class Odd(gym.Wrapper):
    def __init__(self):
        super().__init__(Core())
"""
NO_INFO = """
class Odd(Env):
    def reset(self, seed=None, options=None):
        return super().reset(seed=seed)[0]
"""
DUCK = """
class Odd:
    observation_space, action_space, metadata = Env.observation_space, Env.action_space, None
    def __init__(self):
        self.env = Env()
    def reset(self, seed=None):
        return self.env.reset(seed=seed)
    def step(self, action):
        return self.env.step(action)
    def close(self):
        pass
"""
UNWRAPPED = """
class Odd(Env):
    metadata = None
    unwrapped = property(lambda self: object())
"""
PLAIN = "class Odd(Env):\n    pass\n"
BANNER = (
    "print('hello' * 999, flush=True)\nsys.stdin.read()\n"
    "import warnings\nwarnings.filterwarnings('error')\n" + PLAIN
)
CHILD = "CHILD = subprocess.Popen(['sleep', '1000'])\n" + PLAIN
THREAD = "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n" + PLAIN
SHADOW = "sys.path.insert(0, os.path.dirname(__file__))\nimport json\n" + PLAIN

ODD = {
    "four values": FOUR,
    "six values": SIX,
    "reset without options": SEEDLESS,
    "reset without info": NO_INFO,
    "no gym.Env": DUCK,
    "odd unwrapped": UNWRAPPED,
    "banner": BANNER,
    "child process": CHILD,
    "thread": THREAD,
    "shadow": SHADOW,
}


@pytest.mark.parametrize("n_envs", [pytest.param(1, marks=pytest.mark.heavy), 3])
@pytest.mark.parametrize("code", ODD.values(), ids=ODD)
def test_odd_envs(isolated: Make, code: str, n_envs: int) -> None:
    """Whatever the API that an env was written for, it steps as Gymnasium says."""
    envs = isolated(HEAD + code + TAIL, n_envs=n_envs, use_async_envs=n_envs > 1, sandbox="off")
    env = envs.only
    first, _ = env.reset(seed=5)
    assert first[:, 0].tolist() == [0] * n_envs
    seen = [env.step([0] * n_envs) for _ in range(4)]
    assert [step[0][0, 0] for step in seen] == [1, 2, 3, 0]
    assert [bool(step[3].all()) for step in seen] == [False, False, True, False]
    assert not any(step[2].any() for step in seen)
    if code == FOUR:
        assert first[:, 1].tolist() == [5 + index for index in range(n_envs)]
    if code == SIX:
        assert seen[0][4]["cost"].tolist() == [0.25] * n_envs


SPACES = """
class Mission(gym.Space):
    def __init__(self, make):
        super().__init__(dtype=str)
        self.make = make
    def contains(self, x):
        return isinstance(x, str)
    def sample(self, mask=None, probability=None):
        return self.make()
class Picture(spaces.Box):
    pass
class Odd(Env):
    def __init__(self):
        self.observation_space = spaces.Dict(
            mission=Mission(lambda: "go"),
            picture=Picture(0, 255, (4, 4, 3), np.uint8),
            free=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        )
    def show(self):
        count = self.count
        return {"mission": f"go {count}", "picture": np.full((4, 4, 3), count, np.uint8),
                "free": np.array([np.nan, np.inf])}
"""


def test_own_spaces(isolated: Make) -> None:
    """A space of the repo's own is told as the nearest known one, its values come as they are."""
    env = isolated(HEAD + SPACES + TAIL, n_envs=2, sandbox="off").only
    obs, _ = env.reset(seed=1)
    assert obs["mission"] == ("go 0", "go 0")
    assert "Mission" in repr(env.single_observation_space["mission"])
    assert env.single_observation_space["picture"].dtype == np.uint8
    obs = env.step([0, 0])[0]
    assert obs["picture"].sum() == 2 * 48
    assert np.isnan(obs["free"][0, 0])
    assert np.isinf(env.single_observation_space["free"].high).all()


REWARDS = """
class Odd(Env):
    def step(self, action):
        obs, _, terminated, truncated, info = super().step(action)
        return obs, [1.0, 2.0], terminated, truncated, {"text": "t", "deep": {"a": [1, None]}}
"""


def test_rewards_and_infos(isolated: Make) -> None:
    """A reward for each agent counts as their sum; what was returned is in the info."""
    env = isolated(HEAD + REWARDS + TAIL, n_envs=2, sandbox="off").only
    env.reset(seed=1)
    _, rewards, _, _, infos = env.step([0, 0])
    assert rewards.tolist() == [3, 3]
    assert np.array_equal(infos["reward_vector"], [[1, 2], [1, 2]])
    assert infos["text"].tolist() == ["t", "t"]
    assert infos["deep"]["a"][0] == [1, None]


SINGLETON = """
class Odd(Env):
    alive = 0
    def __init__(self):
        if Odd.alive:
            raise RuntimeError("one per process")
        Odd.alive = os.getpid()
    def show(self):
        return np.full(2, os.getpid() % 97, np.float32)
"""
ONE = "\ndef make_env(n_envs=1, use_async_envs=False):\n    return Odd()\n"


@pytest.mark.parametrize("tail", [TAIL, ONE], ids=["vector", "one"])
def test_one_per_process(isolated: Make, tail: str) -> None:
    """Where there can be only one env in a process, each has a process."""
    world = replace(callers(), one_per_process=True)
    env = isolated(HEAD + SINGLETON + tail, n_envs=3, world=world, sandbox="off").only
    env.reset(seed=1)
    assert len({worker.pid for worker in env.workers}) == 3
    assert env.get_attr("alive")[0] > 0


def test_variables(isolated: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the world are there before the import; the caller's own secrets are not."""
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    monkeypatch.setenv("LC_TIME", "C")
    code = "assert os.environ['MUJOCO_GL'] == 'osmesa'\n" + PLAIN.replace(
        "pass", "show = lambda self: np.zeros(2, np.float32)\n    seen = dict(os.environ)"
    )
    world = replace(callers(), variables={"MUJOCO_GL": "osmesa"})
    env = isolated(HEAD + code + TAIL, world=world, sandbox="off").only
    (seen,) = env.get_attr("seen")
    assert "SECRET_TOKEN" not in seen
    assert seen["LC_TIME"] == "C"
    assert seen["HOME"] != os.environ["HOME"]
    assert os.path.dirname(seen["HOME"]) == os.path.dirname(seen["TMPDIR"])  # noqa: PTH120 — only text


def test_forking_is_looked_at(isolated: Make) -> None:
    """A process with a thread is not forked: each worker is a program of its own."""
    for code, kind in ((PLAIN, Forked), (THREAD, Program)):
        options: dict[str, Any] = {"n_envs": 2, "vector": Options(num_workers=2), "sandbox": "off"}
        env = isolated(HEAD + code + TAIL, **options).only
        assert {type(worker.process) for worker in env.workers} == {kind}
        env.reset(seed=1)
        env.step([0, 0])


NATIVE = """
class Batch(gym.vector.VectorEnv):
    metadata = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    def __init__(self, n):
        self.num_envs = n
        self.single_observation_space = spaces.Box(-9, 9, (2,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, n)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, n)
    def reset(self, *, seed=None, options=None):
        return np.full((self.num_envs, 2), seed or 0, np.float32), {"hi": 1}
    def step(self, actions):
        n = self.num_envs
        done = np.zeros(n, bool)
        return np.ones((n, 2), np.float32), np.arange(n, dtype=np.float32), done, done, {}

class Single(gym.Env):
    num_envs = 4
    observation_space = spaces.Box(-9, 9, (4, 2), np.float32)
    action_space = spaces.Box(-9, 9, (4, 3), np.float32)
    def reset(self, *, seed=None, options=None):
        return np.zeros((4, 2), np.float32), {}
    def step(self, actions):
        done = np.zeros(4, bool)
        return np.ones((4, 2), np.float32), np.arange(4, dtype=np.float32), done, done, {}
"""


@pytest.mark.parametrize("made", ["Batch(n_envs)", "Single()", "{'s': {'t': lambda: Batch(4)}}"])
def test_batches(isolated: Make, made: str) -> None:
    """A vector env that steps its own batch is hosted whole."""
    tail = f"\ndef make_env(n_envs=1, use_async_envs=False):\n    return {made}\n"
    env = isolated(HEAD + NATIVE + tail, n_envs=4, sandbox="off").only
    obs, _ = env.reset(seed=3)
    assert obs.shape == (4, 2)
    _, rewards, ended, _, _ = env.step(env.action_space.sample())
    assert rewards.tolist() == [0, 1, 2, 3]
    assert not ended.any()


def test_callables(isolated: Make) -> None:
    """A task that is given as a callable is called when it is used, there."""
    tail = """
def make_env(n_envs=1, use_async_envs=False):
    def task(limit):
        def make():
            if limit is None:
                raise ValueError("no such task")
            return gym.vector.SyncVectorEnv([Env for _ in range(n_envs)])
        return make
    return {"s": {"a": task(1), "b": task(None), "c": lambda: Env()}}
"""
    envs = isolated(HEAD + tail, n_envs=2, sandbox="off")
    assert repr(envs).count("built at first use") == 3
    for task in ("a", "c"):
        assert envs["s"][task].reset(seed=1)[0].tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match="no such task"):
        envs["s"]["b"].reset(seed=1)
    assert envs["s"]["a"].step([0, 0])[0][0, 0] == 1


@pytest.mark.filterwarnings("ignore:[^E]*ERROR:UserWarning")
def test_what_cannot_be_stepped(isolated: Make) -> None:
    """A step with three values is an error that says what a step returns."""
    code = "class Odd(Env):\n    def step(self, action):\n        return 1, 2, 3\n"
    env = isolated(HEAD + code + TAIL, sandbox="off").only
    env.reset(seed=1)
    with pytest.raises(errors.EnvRaisedError, match="step returned 3 values"):
        env.step([0])
