"""Envs under another Python, with another Gymnasium and numpy, give the same trajectories."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.isolation.conftest import Make
from uv import find_uv_bin

from envhub.isolation.world import World

REPO = """
try:
    import gymnasium as gym
except ImportError:
    import gym
import sys
import numpy as np

class Odd(gym.Env):
    observation_space = gym.spaces.Dict(
        {"box": gym.spaces.Box(-np.inf, np.inf, (2,), np.float32), "n": gym.spaces.Discrete(9)}
    )
    action_space = gym.spaces.MultiDiscrete([3, 3])
    versions = [gym.__name__, gym.__version__, np.__version__, list(sys.version_info[:2])]
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.show(), {"start": 1}
    def step(self, action):
        self.count += 1
        return self.show(), float(np.sum(action)), self.count > 3, False, {"even": self.count % 2}
    def show(self):
        box = self.np_random.random(2).astype(np.float32)
        return {"box": box, "n": self.count}

def make_env(n_envs=1, use_async_envs=False):
    kind = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return kind([Odd for _ in range(n_envs)])
"""

LIBRARIES = ["gym==0.26.2", *(f"gymnasium=={v}" for v in ("0.26.3", "0.28.1", "0.29.1"))]
LIBRARIES += ["gymnasium==1.0.0", "gymnasium==1.1.1", "gymnasium"]
NUMPY = {"3.8": "1.23.5", "3.9": "1.24.4", "3.10": "1.26.4", "3.11": "1.26.4"}
WORKS = {"gym==0.26.2": ("3.8", "3.9", "3.10", "3.11")}
DEFAULT = ("3.8", "gym==0.26.2")


def cells() -> list[Any]:
    """Each Python with each library; one old pair by default, the others in the long run."""
    found = []
    for minor in ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13"):
        for library in LIBRARIES:
            if minor not in WORKS.get(library, (minor,)):
                continue  # it needs a numpy that this Python does not have
            marks = [] if (minor, library) == DEFAULT else [pytest.mark.heavy]
            found.append(pytest.param(minor, library, id=f"{minor}-{library}", marks=marks))
    return found


@pytest.fixture
def world(tmp_path: Path, minor: str, library: str) -> World:
    """A venv with that library under that Python."""
    # Not by `~`: the tests have a home of their own.
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    pythons = sorted(home.glob(f".pyenv/versions/{minor}.*/bin/python{minor}"))
    if not pythons:
        pytest.skip(f"there is no Python {minor} here")
    venv, python = tmp_path / "venv", str(pythons[-1])
    numpy = f"numpy=={NUMPY[minor]}" if minor in NUMPY else "numpy"
    extra = ["setuptools<80"] if library.startswith("gym=") else []
    words = [find_uv_bin(), "venv", "-q", "--python", python, str(venv)]
    made = subprocess.run(words, capture_output=True, check=False)
    words = [find_uv_bin(), "pip", "install", "-q", "--python", f"{venv}/bin/python"]
    filled = subprocess.run([*words, library, numpy, *extra], capture_output=True, check=False)
    if made.returncode or filled.returncode:
        pytest.skip(f"it cannot be installed: {filled.stderr.decode()[-300:]}")
    (packages,) = (venv / "lib").glob("python*/site-packages")
    return World(pythons[-1], (packages,), level="venv")


@pytest.mark.parametrize(("minor", "library"), cells())
def test_skew(isolated: Make, world: World, minor: str, library: str) -> None:
    """The numbers are those of an env here, and old infos and spaces are of today's kind."""
    for n_envs, use_async in ((1, False), (3, True)):
        options: dict[str, Any] = {"n_envs": n_envs, "use_async_envs": use_async, "sandbox": "off"}
        theirs = isolated(REPO, isolation="venv", world=world, **options).only
        name, version, _, python = theirs.get_attr("versions")[0]
        assert f"{name}=={version}".startswith(library)
        assert python == [int(part) for part in minor.split(".")]
        ours = isolated(REPO, isolation="inline", n_envs=n_envs).only
        assert theirs.single_action_space == ours.single_action_space
        assert theirs.single_observation_space == ours.single_observation_space
        seen = [[env.reset(seed=3)] for env in (theirs, ours)]
        for turn in range(9):
            for env, found in zip((theirs, ours), seen, strict=True):
                found.append(env.step([[turn % 3, 1]] * n_envs))
        assert str(seen[0]) == str(seen[1])
