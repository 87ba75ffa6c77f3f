"""What an env is found to be when it is stepped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import envhub
from envhub.check import Found, check, space_text
from envhub.testing import repos

BOX = spaces.Box(0, 1, (2,), np.float32)
IMAGE = spaces.Box(0, 255, (84, 84, 3), np.uint8)
TWO = spaces.Discrete(2)


def found(folder: Path, files: repos.Repo) -> Found:
    repos.write(files, folder / "env")
    with envhub.make_env(str(folder / "env"), trust_remote_code=True) as envs:
        return check(envs, steps=3)


def test_suites(tmp_path: Path) -> None:
    """Every suite is counted, one task is stepped."""
    box = "Box(-1, 2.14748e+09, (2,), int64)"
    assert found(tmp_path, repos.SUITES) == Found(
        {"short": 2, "long": 1}, box, "Discrete(2)", False, "discrete", "", 3
    )


@pytest.mark.parametrize(
    ("observation", "action", "pixels", "actions"),
    [
        (IMAGE, BOX, True, "continuous"),
        (spaces.Dict(camera=IMAGE, state=BOX), TWO, True, "discrete"),
        (spaces.Tuple((TWO, BOX)), spaces.Dict(a=TWO, b=BOX), False, "mixed"),
        (
            spaces.Box(0, 255, (84, 84, 7), np.uint8),
            spaces.MultiDiscrete([2, 3]),
            False,
            "discrete",
        ),
        (spaces.Box(0, 255, (84, 84), np.uint8), TWO, True, "discrete"),
        (spaces.Box(0, 255, (4, 9), np.uint8), TWO, False, "discrete"),
        (spaces.Box(0, 255, (3, 64, 64), np.uint8), spaces.MultiBinary(3), True, "discrete"),
    ],
)
def test_spaces(observation: Any, action: Any, pixels: bool, actions: str) -> None:
    """Images and kinds of actions are told from the spaces."""
    env = _Vector(observation, action)
    envs: Any = _Envs(env)
    result = check(envs)
    assert (result.pixels, result.actions) == (pixels, actions)
    assert result.observation == space_text(observation)
    assert env.steps == 10


class _Vector:
    """Steps are all that it has."""

    render_mode = None

    def __init__(self, observation: Any, action: Any) -> None:
        self.single_observation_space = observation
        self.single_action_space = self.action_space = action
        self.steps = 0

    def reset(self, *, seed: int) -> None:
        assert seed == 0

    def step(self, action: Any) -> None:
        assert self.action_space.contains(action)
        self.steps += 1


class _Envs(dict[str, Any]):
    pin = "env@0"

    def __init__(self, env: _Vector) -> None:
        super().__init__({"suite": {0: env}})
        self.env = env

    def flat(self) -> list[Any]:
        return [(("suite", 0), self.env)]


def test_no_task() -> None:
    """A result without a task is no env."""
    envs: Any = _Envs(_Vector(BOX, TWO))
    envs.flat = list
    with pytest.raises(envhub.EnvHubError, match=re.escape("env@0 returned no env")):
        check(envs)
