"""Policies by name: random, zero, and functions, classes and factories of the user's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import batch_space

from envhub.errors import ArgumentError
from envhub.policies import nearest_zero, policy_maker

POLICIES = """
import numpy as np

def act(observations):
    return np.ones(len(observations), dtype=int)

def make(observation_space, action_space):
    sizes = observation_space.shape, action_space.shape
    return lambda observations: sizes

class Greedy:
    def __init__(self, observation_space, action_space, scale=1.0):
        self.shape = action_space.shape
    def __call__(self, observations):
        return np.zeros(self.shape, int)

class Simple:
    def __call__(self, observations):
        return observations.argmax(axis=1) % 2

class Nothing:
    pass

constant = 3
biggest = max
"""


@pytest.fixture
def env() -> Any:
    envs = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 3)
    yield envs
    envs.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module of policies, left out of `sys.path`."""
    tmp_path.joinpath("mine.py").write_text(POLICIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


def test_random_is_seeded(env: Any) -> None:
    """The same seed draws the same actions, another one others."""

    def draw(seed: int) -> list[list[int]]:
        policy = policy_maker("random", seed=seed)(env)
        return [policy(None).tolist() for _ in range(20)]

    assert draw(1) == draw(1) != draw(2)


def test_zero(env: Any) -> None:
    """The zero policy does nothing, in every sub-env."""
    assert policy_maker("zero")(env)(None).tolist() == [0, 0, 0]


SPACES = [
    (spaces.Box(-1, 1, (2,)), [0.0, 0.0]),
    (spaces.Box(0.5, 1, (1,)), [0.5]),
    (spaces.Box(-3, -2, (1,), np.float64), [-2.0]),
    (spaces.Box(0, 255, (1,), np.uint8), [0]),
    (spaces.Discrete(4), 0),
    (spaces.Discrete(4, start=-9), -6),
    (spaces.Discrete(4, start=2), 2),
    (spaces.MultiDiscrete([3, 3], start=[-1, 5]), [0, 5]),
    (spaces.MultiBinary(2), [0, 0]),
]


@pytest.mark.parametrize(("space", "zero"), SPACES)
@pytest.mark.parametrize("n", [1, 3])
def test_nearest_zero(space: spaces.Space[Any], zero: Any, n: int) -> None:
    """What is nearest to zero is in the space, alone and batched, nested and not."""
    assert np.asarray(nearest_zero(space)).tolist() == zero
    nested = spaces.Dict({"a": space, "b": spaces.Tuple([space, space])})
    for each in (space, nested):
        assert nearest_zero(each) in each
        assert nearest_zero(batch_space(each, n)) in batch_space(each, n)


def test_no_zero_in_text() -> None:
    """A space without numbers is refused by name."""
    with pytest.raises(ArgumentError, match="Text"):
        nearest_zero(spaces.Text(5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mine:act", [1, 1, 1]),
        ("mine.py:act", [1, 1, 1]),
        ("./mine.py:act", [1, 1, 1]),
        ("mine:make", ((3, 4), (3,))),
        ("mine:Greedy", [0, 0, 0]),
        ("mine:Simple", [1, 1, 1]),
    ],
)
def test_users_policies(folder: Path, env: Any, text: str, expected: Any) -> None:
    """Functions, factories and classes are found in modules and files of the working folder."""
    actions = policy_maker(text)(env)(np.eye(4)[1] * np.ones((3, 1)))
    assert (actions if isinstance(actions, tuple) else actions.tolist()) == expected


def test_module_of_a_package(folder: Path, env: Any) -> None:
    """A module deeper in a package is found too, twice as well as once."""
    folder.joinpath("pkg").mkdir()
    folder.joinpath("pkg", "deep.py").write_text(POLICIES)
    for _ in range(2):
        assert policy_maker("pkg.deep:act")(env)(np.zeros(3)).tolist() == [1, 1, 1]
    assert sys.path.count(str(folder)) == 1


def test_builtin_function(folder: Path, env: Any) -> None:
    """A function in C that does not tell its arguments is taken for a policy."""
    assert policy_maker("mine:biggest")(env)(np.array([0, 1])) == 1


def test_class_is_made_per_env(folder: Path, env: Any) -> None:
    """Each env gets a policy of its own, so that no state is shared between tasks."""
    maker = policy_maker("mine:Simple")
    assert maker(env) is not maker(env)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rand", "random and zero"),
        (":act", "random and zero"),
        ("mine:", "random and zero"),
        ("mine:walk", "no function 'walk'"),
        ("mine:constant", "no function 'constant'"),
        ("nowhere:act", "No module named 'nowhere'"),
        ("nowhere.py:act", "FileNotFoundError"),
    ],
)
def test_unknown_policies(folder: Path, text: str, says: str) -> None:
    """What is wrong with the name of a policy is said, with the line that would work."""
    with pytest.raises(ArgumentError) as caught:
        policy_maker(text)
    assert says in str(caught.value)
    assert "--policy" in caught.value.hint


def test_class_that_cannot_act(folder: Path, env: Any) -> None:
    """A class whose instances cannot be called is refused."""
    with pytest.raises(ArgumentError, match="no policy"):
        policy_maker("mine:Nothing")(env)
