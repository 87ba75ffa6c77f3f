"""EnvDict: a dict of vector envs with a few manners."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from envhub.envdict import EnvDict
from envhub.errors import ArgumentError
from envhub.pins import Pin
from envhub.refs import parse
from envhub.worker import wrap

PIN = Pin(parse("u/r@v1"), "https://hub.test", "u/r", "model", "5" * 40, "env.py", "sha256:0")


class Fake:
    """As little of a vector env as can be."""

    num_envs = 2

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closes = 0

    def close(self) -> None:
        self.closes += 1
        if self.error:
            raise self.error


class Slim:
    """A vector env that allows no weak references and cannot be closed."""

    __slots__ = ("num_envs",)

    def __init__(self) -> None:
        self.num_envs = 1


def test_is_a_dict() -> None:
    """It equals the dict that it is made from, and goes wherever a dict goes."""
    env = Fake()
    tasks: dict[str, dict[str | int, Any]] = {"s": {0: env, "a": env}}
    envs = EnvDict(tasks, pin=PIN)
    assert isinstance(envs, dict)
    assert envs == tasks
    assert dict(envs) == tasks
    assert copy.copy(envs) == tasks
    assert {suite: list(found) for suite, found in envs.items()} == {"s": [0, "a"]}
    assert json.loads(json.dumps(envs, default=lambda value: value.num_envs)) == {
        "s": {"0": 2, "a": 2}
    }
    assert envs.pin is PIN


def test_only() -> None:
    """`only` is the env if there is one; if there are several it names them."""
    env = Fake()
    assert EnvDict({"s": {0: env}}, pin=PIN).only is env
    with pytest.raises(ArgumentError) as caught:
        _ = EnvDict({"s": {0: env, 1: env}, "t": {"x": env}}, pin=PIN).only
    assert "has 3 tasks" in caught.value.what
    assert "envs['t']['x']" in caught.value.why
    assert caught.value.hint == "envs['s'][0]"


def test_close() -> None:
    """All are closed, once, also if one of them fails; the failure is not lost."""
    first, bad, last = Fake(), Fake(OSError("stuck")), Fake()
    envs = EnvDict({"s": {0: first, 1: bad}, "t": {0: last, 1: Slim()}}, pin=PIN)
    with pytest.raises(OSError, match="stuck"):
        envs.close()
    envs.close()
    assert [env.closes for env in (first, bad, last)] == [1, 1, 1]


def test_context_manager() -> None:
    """A `with` block closes at its end; what was closed by hand is left alone."""
    one, two = Fake(), Fake()
    with EnvDict({"s": {0: one, 1: two}}, pin=PIN) as envs:
        envs["s"][0].close()
        envs["s"][0].closed = True
    assert (one.closes, two.closes) == (1, 1)


@pytest.mark.parametrize("name", ["reset", "step", "num_envs", "action_space", "call"])
def test_names_of_envs(name: str) -> None:
    """Who takes the dict for an env is told how to get at the env."""
    envs: Any = EnvDict({"s": {0: Fake()}}, pin=PIN)
    assert not hasattr(envs, name)
    with pytest.raises(
        AttributeError, match=rf"say envs\.only\.{name}.*\n.*envs\['s'\]\[0\]"
    ) as caught:
        getattr(envs, name)
    assert caught.value.name == name


def test_other_names() -> None:
    """Other names that it lacks are an ordinary error."""
    envs: Any = EnvDict({"s": {0: Fake()}}, pin=PIN)
    with pytest.raises(AttributeError, match="'EnvDict' object has no attribute 'shape'"):
        _ = envs.shape


def test_repr() -> None:
    """One line per task: how to get at it, what it is, how many, and what goes in and out."""
    vector = gym.make_vec("CartPole-v1", 2, "sync")
    picture = gym.spaces.Dict(
        {
            "pixels": gym.spaces.Box(0, 255, (96, 96, 3), np.uint8),
            "state": gym.spaces.Box(-1, 1, (2,), np.float64),
        }
    )
    vector.single_observation_space = picture
    deferred = wrap.Deferred(lambda: vector, 3)
    envs = EnvDict({"s": {0: vector, "b": deferred, 2: Fake()}}, pin=PIN)
    assert repr(envs).splitlines() == [
        "EnvDict(u/r@555555555555:env.py, inline)",
        "  envs['s'][0]  SyncVectorEnv n=2  "
        "{pixels: Box(96, 96, 3) uint8, state: Box(2,) float64} → Discrete(2)",
        "  envs['s']['b']  Deferred n=3, built at first use",
        "  envs['s'][2]  Fake n=2  ? → ?",
    ]
    envs.close()


PROGRAM = """
import gymnasium as gym
from envhub.envdict import EnvDict

class Fake:
    num_envs = 1
    def close(self):
        print("closed", flush=True)

envs = EnvDict({"s": {0: Fake()}}, pin=None)
kept = envs["s"][0]
del envs
print("end")
"""


def test_closed_at_exit() -> None:
    """What is still open when the program ends is closed then, also if the dict is long gone."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["end", "closed"]
