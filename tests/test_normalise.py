"""The one shape: results of `make_env` checked, wrapped and made as often as asked for."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from envhub.testing.repos import write
from envhub.worker import collect, normalise, repos, wrap
from envhub.worker.call import Request
from envhub.worker.faults import Fault

ENV = """
import os
import gymnasium as gym
import numpy as np

made = []

class Env(gym.Env):
    observation_space = gym.spaces.Box(-1, 2**31, (2,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, number=0):
        self.number = number
        self.closes = 0
        made.append(self)

    def reset(self, *, seed=None, options=None):
        return np.array([self.number, os.getpid()], np.float64), {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {}

    def close(self):
        self.closes += 1
"""
MAKE = "\ndef make_env(n_envs=1, use_async_envs=False):\n    return "

Make = Callable[..., normalise.Tasks]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make the envs of a repo whose `make_env` returns this; close them afterwards."""
    results = []

    def make(result: str, n_envs: int = 1, use_async_envs: bool = False) -> normalise.Tasks:
        root = write({"env.py": ENV + MAKE + result}, tmp_path)
        repo = repos.open_repo(repos.Place(str(root), "env.py", "u/r", "local", "", result))
        request = Request(n_envs, use_async_envs)
        results.append(normalise.Maker(collect.Collector(repo), request).make())
        return results[-1]

    yield make
    while results:
        for _, env in normalise.flatten(results.pop()):
            env.close()


def numbers(env: Any) -> list[int]:
    """The number that each env shows."""
    return [int(number) for number in env.reset(seed=0)[0][:, 0]]


def processes(env: Any) -> set[int]:
    """The processes that its envs run in."""
    return {int(pid) for pid in env.reset(seed=0)[0][:, 1]}


def made(env: Any) -> list[Any]:
    """All envs that the repo of a sync vector env made in this process."""
    module = __import__("sys").modules[type(env.envs[0]).__module__]
    return list(module.made)


def test_single_env_is_made_as_often_as_asked(make: Make) -> None:
    """Each env is the result of one call; the first is that of the first call."""
    env = make("Env(len(made))", 3)["hub_env"][0]
    assert numbers(env) == [0, 1, 2]
    assert len(made(env)) == 3
    assert processes(env) == {os.getpid()}


def test_single_env_in_processes(make: Make) -> None:
    """Asked for in parallel, each env is made in its own process and the first is given back."""
    env = make("Env(len(made))", 3, True)["hub_env"][0]
    assert isinstance(env, gym.vector.AsyncVectorEnv)
    found = processes(env)
    assert len(found) == 3
    assert os.getpid() not in found


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_single_env_in_fresh_processes(
    make: Make, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The same holds where processes do not fork, as on macOS and on new Pythons."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        env = make("Env(7)", 2, True)["hub_env"][0]
        assert numbers(env) == [7, 7]
        assert len(processes(env)) == 2
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_single_envs_of_a_dict(make: Make) -> None:
    """Plain envs in a dict are made again each from their own place, and the others closed."""
    tasks = make("{'s': {'a': Env(1), 'b': Env(2)}}", 2)["s"]
    assert {task: numbers(env) for task, env in tasks.items()} == {"a": [1, 1], "b": [2, 2]}
    unused = [env for env in made(tasks["a"]) if env.closes]
    assert sorted(env.number for env in unused) == [1, 2]
    assert len(made(tasks["a"])) == 6


def test_unused_plain_env_is_closed(make: Make) -> None:
    """A plain env that nobody uses is closed with its task."""
    tasks = make("{'s': {'a': Env(1), 'b': Env(2)}}")["s"]
    envs = made(tasks["a"])
    tasks["b"].close()
    assert [env.closes for env in envs] == [0, 1]


def test_specs_name_the_suite(make: Make) -> None:
    """The suite is called after the env's id, or `hub_env`."""
    assert list(make("gym.make('CartPole-v1')")) == ["CartPole-v1"]
    assert list(make("gym.make_vec('CartPole-v1', n_envs, 'sync')", 2)) == ["CartPole-v1"]
    assert list(make("gym.vector.SyncVectorEnv([Env])")) == ["hub_env"]


LATER: dict[str, tuple[str, list[int]]] = {
    "an env": ("lambda: Env(1)", [1, 1]),
    "an env each": ("lambda: Env(len(made))", [0, 1]),
    "a vector": ("lambda n_envs: gym.vector.SyncVectorEnv([Env] * n_envs)", [0, 0]),
    "a class": ("Env", [0, 0]),
    "a batch": ("lambda: Batch(Env(3))", [3, 3]),
}
BATCH = """
class Batch(gym.Wrapper):
    num_envs = 2
    single_observation_space = single_action_space = None
    def reset(self, **options):
        return np.stack([self.env.reset()[0]] * 2), {}
"""


@pytest.mark.parametrize(("task", "expected"), LATER.values(), ids=LATER)
def test_callables_are_tasks(make: Make, task: str, expected: list[int]) -> None:
    """A callable makes its task at first use: a vector env, a batch, or one env after another."""
    body = f"{{'s': {{0: {task}, 1: lambda: 1 / 0}}}}\n{BATCH}"
    tasks = make(body, 2)["s"]
    env = tasks[0]
    assert isinstance(env, gym.vector.VectorEnv)
    assert isinstance(env, wrap.Deferred)
    assert (env.num_envs, env.is_made, repr(env)) == (2, False, "Deferred(num_envs=2)")
    assert numbers(env) == expected
    assert env.is_made
    assert not repr(env).startswith("Deferred")
    with pytest.raises(ZeroDivisionError):
        tasks[1].reset()


def test_callables_are_checked_when_used(make: Make) -> None:
    """What a callable gives is checked like everything else, with its place in the message."""
    tasks = make("{'s': {0: lambda: None, 1: lambda: gym.vector.SyncVectorEnv([Env])}}", 2)["s"]
    with pytest.raises(Fault, match=r"suite 's' task 0: expected .*, got None"):
        tasks[0].reset()
    with pytest.raises(Fault, match=r"suite 's' task 1: .* n_envs=2 and returned 1"):
        tasks[1].reset()
    tasks[1].close()
    with pytest.raises(gym.error.ClosedEnvironmentError):
        tasks[1].reset()


def test_deferred_forwards_everything(make: Make) -> None:
    """Attributes are read from and set on the env that was made, and closing closes it."""
    env = make("{'s': {0: Env, 1: Env}}")["s"][0]
    env.mark = 5
    assert env.unwrapped.mark == 5
    assert env.single_action_space == gym.spaces.Discrete(2)
    env.close()
    env.close()
    assert env.closed
    assert env.unwrapped.closed


def test_native_forwards_everything() -> None:
    """A batch keeps its own spaces and attributes, also behind Gymnasium's wrappers."""

    class Batch(gym.Env[Any, Any]):
        num_envs = np.int64(3)
        device = "cuda"
        closes = 0

        def close(self) -> None:
            self.closes += 1

    batch = Batch()
    assert wrap.batch_size(batch) == 3
    env: Any = wrap.Native(gym.wrappers.OrderEnforcing(batch), 3)
    assert env.device == "cuda"
    assert env.unwrapped is batch
    assert "num_envs=3" in repr(env)
    env.close()
    env.close()
    assert batch.closes == 1


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ({}, None),
        ({"num_envs": 1}, None),
        ({"num_envs": 1, "single_observation_space": None}, 1),
        ({"num_envs": 4}, 4),
        ({"num_envs": True}, None),
        ({"num_envs": "4"}, None),
    ],
)
def test_what_a_batch_is(attributes: Mapping[str, Any], size: int | None) -> None:
    """An env is a batch if it says how many envs it is, and means it."""
    env = type("Env", (gym.Env,), dict(attributes))()
    assert wrap.batch_size(env) == size


def test_coroutine(make: Make) -> None:
    """An `async def make_env` is told to be none."""
    with pytest.raises(Fault) as caught:
        make("hello()\nasync def hello(): ...")
    assert caught.value.hint == "make_env must be def, not async def"


def test_own_exceptions_come_as_they_are(make: Make) -> None:
    """An exception of the repo's own is that very object, and the factory was called once."""
    with pytest.raises(TypeError, match="mine") as caught:
        make("fail(made.append(0))\ndef fail(_): raise TypeError('mine', len(made))")
    assert caught.value.args == ("mine", 1)


def test_again_stays_in_its_process() -> None:
    """The env of the first call is used once, where it was made, or closed."""
    closed: list[int] = []
    first = type("Env", (), {"close": lambda self: closed.append(1)})()
    again = wrap.Again(lambda: "new", [first])
    assert [again(), again()] == [first, "new"]
    again.discard()
    assert closed == []
    wrap.Again(lambda: "new", [first]).discard()
    assert closed == [1]
    elsewhere = wrap.Again(lambda: "new", [first])
    elsewhere.pid = -1
    assert elsewhere() == "new"
