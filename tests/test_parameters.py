"""What the user asks for is compared with what the manifest says, before anything else happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import envhub
from envhub.errors import ArgumentError, ArgumentTypeError
from envhub.manifest import read_manifest
from envhub.parameters import Choice, check, declared, words
from envhub.testing import repos

MANIFEST = """
[parameters.game]
choices = ["coinrun", "maze"]
default = "coinrun"

[parameters.lap]
type = "float"
min = 0
max = 1

[parameters.goals]
type = "any"

[suites.balance.parameters.length]
type = "int"
min = 1
default = 3

[suites.balance.tasks.0]
[suites.balance.tasks.1.parameters.length]
type = "int"
max = 2

[suites.swing.tasks.up]
[suites.open]
"""
CODE = """
import gymnasium as gym
from envs import Env

def make_env(n_envs=1, use_async_envs=False, {more}):
    {note}
    def vector(size):
        return gym.vector.SyncVectorEnv([lambda: Env(size)] * n_envs)
    return {{"balance": {{0: vector(0), 1: vector(1)}}, "swing": {{"up": vector(2)}}}}
"""
ENV = """
import gymnasium as gym
import numpy as np

class Env(gym.Env):
    observation_space = gym.spaces.Box(0, 9, (1,))
    action_space = gym.spaces.Discrete(2)
    alive = 0
    most = 0

    def __init__(self, size):
        self.size = size
        Env.alive += 1
        Env.most = max(Env.most, Env.alive)

    def reset(self, *, seed=None, options=None):
        return np.array([self.size], np.float32), {"most": Env.most}

    def step(self, action):
        return np.array([self.size], np.float32), 0.0, False, False, {}

    def close(self):
        Env.alive -= 1
"""


@pytest.mark.parametrize(
    ("params", "suite", "task"),
    [
        ({}, None, None),
        ({"game": "maze", "lap": 1, "goals": True}, None, None),
        ({"length": 9}, "balance", 0),
        ({"length": 2}, "balance", "1"),
        ({}, "open", "anything"),
        ({}, None, "up"),
        ({}, "swing", "up"),
    ],
)
def test_what_there_is(tmp_path: Path, params: dict[str, Any], suite: Any, task: Any) -> None:
    """What the manifest declares is taken; numbers of tasks may be numbers or text."""
    repos.write({"envhub.toml": MANIFEST}, tmp_path / "repo")
    check(read_manifest(tmp_path / "repo"), params, Choice(suite, task))


@pytest.mark.parametrize(
    ("params", "suite", "task", "what", "hint"),
    [
        ({"gam": "maze"}, None, None, "no parameter 'gam'", "game='maze'"),
        ({"zzz": 1}, None, None, "no parameter 'zzz'", ""),
        ({"game": "mase"}, None, None, "is none of 'coinrun', 'maze'", "game: one of"),
        ({"lap": 1.5}, None, None, "lap=1.5 is more than 1", "at least 0, at most 1"),
        ({"lap": "1"}, None, None, "lap='1' is no float", "lap: float"),
        ({"length": True}, None, None, "length=True is no int", "length: int"),
        ({"length": 3}, "balance", 1, "length=3 is more than 2", ""),
        ({"length": 3}, "swing", None, "no parameter 'length'", ""),
        ({}, "balanse", None, "no suite 'balanse'", "suite='balance'"),
        ({}, "balance", 2, "no task '2'", ""),
        ({}, "swing", "upp", "no task 'upp'", "task='up'"),
    ],
)
def test_what_there_is_not(
    tmp_path: Path, params: dict[str, Any], suite: Any, task: Any, what: str, hint: str
) -> None:
    """Wrong names are answered with near ones, wrong values with what would do."""
    repos.write({"envhub.toml": MANIFEST}, tmp_path / "repo")
    with pytest.raises(ArgumentError) as caught:
        check(read_manifest(tmp_path / "repo"), params, Choice(suite, task))
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert isinstance(caught.value, ArgumentTypeError) is ("is no " in what)


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"suite": 3}, "names no suite"),
        ({"task": 1.5}, "names no task"),
        ({"task": True}, "names no task"),
        ({"lazy": "some"}, "neither 'all' nor 'one'"),
    ],
)
def test_no_choice(wrong: dict[str, Any], part: str) -> None:
    """What cannot name a suite or a task is refused as such."""
    with pytest.raises(ArgumentError, match=part):
        Choice(**wrong)


def test_a_parameter_in_words(tmp_path: Path) -> None:
    """A parameter on one line, for errors and lists."""
    repos.write({"envhub.toml": MANIFEST}, tmp_path / "repo")
    known = declared(read_manifest(tmp_path / "repo"))
    assert words(known["game"]) == "one of 'coinrun', 'maze', 'coinrun' by default"
    assert words(known["lap"]) == "float, at least 0, at most 1"


Load = Callable[..., envhub.EnvDict]
levels = pytest.mark.parametrize("level", ["inline", "process"])


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a repo with two suites, whose make_env takes `more` beside the usual."""

    def work(more: str = "size=1", note: str = "pass", **asked: Any) -> envhub.EnvDict:
        code = CODE.format(more=more, note=note)
        folder = repos.write({"env.py": code, "envs.py": ENV}, tmp_path / "repo")
        return envhub.make_env(str(folder), trust_remote_code=True, **asked)

    return work


def sizes(envs: envhub.EnvDict) -> dict[tuple[str, str | int], float]:
    with envs:
        return {path: env.reset()[0].item() for path, env in envs.flat()}


@levels
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {("balance", 0): 0, ("balance", 1): 1, ("swing", "up"): 2}),
        ({"suite": "balance"}, {("balance", 0): 0, ("balance", 1): 1}),
        ({"suite": "balance", "task": 1}, {("balance", 1): 1}),
        ({"task": "1"}, {("balance", 1): 1}),
        ({"task": "up"}, {("swing", "up"): 2}),
    ],
)
def test_the_rest_is_left_out(load: Load, level: str, asked: Any, expected: Any) -> None:
    """Of what make_env returns, only the suite and the task that are wanted are there."""
    assert sizes(load(isolation=level, **asked)) == expected


@levels
@pytest.mark.parametrize(
    ("asked", "what", "why"),
    [
        ({"suite": "balanse"}, "there is no suite 'balanse'", "there is balance, swing"),
        ({"task": "upp"}, "there is no task 'upp'", "there is 0, 1, up"),
        ({"suite": "swing", "task": 0}, "no suite 'swing' task 0", "there is up"),
    ],
)
def test_not_returned(load: Load, level: str, asked: Any, what: str, why: str) -> None:
    """What make_env did not return is answered with what it did."""
    with pytest.raises(ArgumentError) as caught:
        load(isolation=level, **asked)
    assert (what in caught.value.what, caught.value.why) == (True, why)


@levels
def test_make_env_is_told(load: Load, level: str) -> None:
    """A make_env that takes them by name is told, and what it returns is taken as it is."""
    note = "assert (suite, task) == ('balance', 'mine'), (suite, task)"
    envs = load("suite=None, *, task=None", note, isolation=level, suite="balance", task="mine")
    assert len(sizes(envs)) == 3
    envs = load("suite=None, **more", "assert not more", isolation=level, suite="x", task="up")
    assert sizes(envs) == {("swing", "up"): 2}


def test_manifest_is_asked_first(tmp_path: Path) -> None:
    """Nothing of the repo runs if its manifest says that it cannot be meant."""
    files = {**repos.canary(tmp_path / "dead"), "envhub.toml": MANIFEST}
    folder = repos.write(files, tmp_path / "repo")
    with pytest.raises(ArgumentError, match="no parameter 'gam'"):
        envhub.make_env(str(folder), trust_remote_code=True, gam=1)
    assert not (tmp_path / "dead").exists()


@levels
def test_one_at_a_time(load: Load, level: str) -> None:
    """With lazy="one" a task's envs are closed when another's are used, and then made anew."""
    with load(isolation=level, lazy="one", n_envs=2) as envs:
        tasks = [env for _, env in envs.flat()]
        for _ in range(2):
            for size, env in enumerate(tasks):
                observation, info = env.reset(seed=0)
                assert observation.tolist() == [[size], [size]]
                assert info["most"].tolist() == [2, 2]
                env.step([0, 0])
                waiting = [each for each in tasks if "not built yet" in repr(each)]
                assert len(waiting) == len(tasks) - 1
        tasks[0].close()
        tasks[1].reset()
    with load(isolation=level, n_envs=2) as envs:
        for _, env in envs.flat():
            env.reset()
        assert not any("not built yet" in repr(env) for _, env in envs.flat())
