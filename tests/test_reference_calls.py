"""What env repos do and the reference implementation fails at: calls, results, closing.

Each test is named after its row of the list of verified defects: E call, F normalise, G lifecycle.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envhub
from envhub.errors import ArgumentError, ArgumentTypeError, ResultError, SignatureError
from envhub.testing import ServedHub

make = partial(envhub.make_env, trust_remote_code=True)

ENV = """
import types
import gymnasium as gym
import numpy as np

calls = []

class Env(gym.Env):
    observation_space = gym.spaces.Box(-1, 99, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    closed = 0

    def __init__(self, value=0):
        self.value = value

    def reset(self, *, seed=None, options=None):
        return np.full(1, self.value, np.float32), {}

    def step(self, action):
        return np.full(1, self.value, np.float32), 1.0, False, False, {}

    def close(self):
        Env.closed += 1

def vector(n, value=0):
    return gym.vector.SyncVectorEnv([lambda: Env(value) for _ in range(n)])
"""


@pytest.fixture
def load(hub: ServedHub) -> Iterator[Any]:
    """Load a repo whose `make_env` has this text, and close it afterwards."""
    made = []

    def load(text: str, *args: Any, **options: Any) -> envhub.EnvDict:
        commit = hub.add("u/cfg", {"env.py": ENV + text})
        made.append(make(f"u/cfg@{commit}", *args, **options))
        return made[-1]

    yield load
    while made:
        made.pop().close()


def first(envs: envhub.EnvDict) -> float:
    return float(envs.only.reset(seed=0)[0][0, 0])


TAKES = "def make_env({}):\n    return vector(1, {})"


def test_e1_e2_cfg_only_if_it_is_taken(load: Any) -> None:
    """The documented two-argument `make_env` works with and without `cfg`."""
    plain = (
        "def make_env(n_envs: int = 1, use_async_envs: bool = False):\n    return vector(n_envs)"
    )
    assert first(load(plain, 2, cfg={"x": 1})) == 0
    assert first(load(TAKES.format("n_envs, use_async_envs, cfg=5", "cfg"))) == 5
    assert first(load(TAKES.format("n_envs, use_async_envs, cfg=5", "cfg"), cfg=6)) == 6


def test_e3_cfg_that_is_needed(load: Any) -> None:
    """A `make_env` that needs `cfg` says so, and takes any object for it."""
    text = TAKES.format("n_envs, use_async_envs, cfg", "cfg.length")
    with pytest.raises(SignatureError, match=r"needs cfg(.|\n)*env\.py:\d+(.|\n)*pass cfg="):
        load(text)
    assert first(load(text, cfg=types.SimpleNamespace(length=3))) == 3


def test_e4_other_arguments(load: Any) -> None:
    """The user's own keyword arguments reach `make_env`; those that it does not take are named."""
    text = TAKES.format("n_envs, use_async_envs, *, task=1", "task")
    assert first(load(text, task=4)) == 4
    with pytest.raises(SignatureError, match=r"does not take tsak(.|\n)*did you mean task"):
        load(text, tsak=4)


@pytest.mark.parametrize(
    ("n_envs", "kind"),
    [(0, ArgumentError), (-3, ArgumentError), ("2", ArgumentTypeError), (True, ArgumentTypeError)],
)
def test_e5_numbers_that_cannot_work(n_envs: Any, kind: type[Exception]) -> None:
    """A number of envs that cannot work is refused before anything else happens."""
    with pytest.raises(kind) as caught:
        make("u/nowhere", n_envs)
    assert isinstance(caught.value, ValueError)


def test_e6_the_dict_is_no_env(load: Any) -> None:
    """Who takes the dict for the env is told how to get at it."""
    envs = load(TAKES.format("n_envs, use_async_envs", "0"))
    with pytest.raises(AttributeError, match=r"envs\.only\.reset(.|\n)*envs\['hub_env'\]\[0\]"):
        envs.reset()
    assert envs["hub_env"][0].envs[0].unwrapped is envs.only.envs[0]
    assert isinstance(envs, dict)


SINGLE = """
def make_env(n_envs=1, use_async_envs=False):
    calls.append(n_envs)
    return Env(len(calls))
"""


@pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])
def test_f1_single_env(load: Any, use_async: bool) -> None:
    """A single env asked for several times is made several times, in processes if asked."""
    envs = load(SINGLE, 3, use_async)
    assert envs.only.num_envs == 3
    kind = gym.vector.AsyncVectorEnv if use_async else gym.vector.SyncVectorEnv
    assert isinstance(envs.only, kind)
    assert envs.only.reset()[0].shape == (3, 1)


def test_f1_single_env_is_made_no_more_often(load: Any) -> None:
    """`make_env` is called once per env, and the first env is used."""
    envs = load(SINGLE, 3)
    assert envs.only.reset()[0][:, 0].tolist() == [1, 2, 3]


def test_f2_wrong_number(load: Any) -> None:
    """A vector env of another size than asked for is an error that names both."""
    with pytest.raises(ResultError, match=r"asked for n_envs=4 and returned 1(.|\n)*n_envs=1"):
        load("def make_env(n_envs=1, use_async_envs=False):\n    return vector(1)", 4)


BAD = {
    "{}": "returned an empty dict",
    "{'s': {}}": "suite 's' has no task",
    "{'s': 'nope'}": r"suite 's': expected {task: VectorEnv}, got str",
    "{'s': vector(1)}": r"suite 's': expected {task: VectorEnv}, got .*SyncVectorEnv",
    "{'s': {'a': None}}": "suite 's' task 'a': expected a VectorEnv or an Env, got None",
    "{'s': {0: vector(2)}}": "suite 's' task 0: make_env was asked for n_envs=1 and returned 2",
    "{'s': {True: vector(1)}}": "the task True is bool, not a str or an int",
    "{7: {0: vector(1)}}": "the suite 7 is int, not a str",
    "None": "got None(.|\n)*forget its return",
    "[vector(1)]": "Hub `make_env` must return .*got list",
    "'invalid_type'": "Hub `make_env` must return .*got str",
    "Env": "Hub `make_env` must return .*got type",
}


@pytest.mark.parametrize(("result", "message"), BAD.items(), ids=BAD)
def test_f3_f4_results_that_are_none(load: Any, result: str, message: str) -> None:
    """A result that is no env says where in it, what was expected and what was there."""
    with pytest.raises(ResultError, match=message):
        load(f"def make_env(n_envs=1, use_async_envs=False):\n    return {result}")


GOOD = {
    "{'s': {0: Env(1)}}": [("s", 0)],
    "{'s': {0: lambda: Env(1)}}": [("s", 0)],
    "{'s': {0: lambda: vector(1, 1)}}": [("s", 0)],
    "{'s': {0: lambda n_envs: vector(n_envs, 1)}}": [("s", 0)],
    "{'s': {np.int64(3): vector(1, 1)}, 't': {'a-v1': vector(1, 1)}}": [("s", 3), ("t", "a-v1")],
    "types.MappingProxyType({'s': types.MappingProxyType({0: vector(1, 1)})})": [("s", 0)],
    "{'s': {0: Duck()}}": [("s", 0)],
    "Duck()": [("hub_env", 0)],
}
DUCK = """
class Duck:
    num_envs = 1
    def reset(self, seed=None, options=None):
        return np.ones((1, 1)), {}
    def step(self, action):
        return np.ones((1, 1)), np.ones(1), np.zeros(1, bool), np.zeros(1, bool), {}
"""


@pytest.mark.parametrize(("result", "keys"), GOOD.items(), ids=GOOD)
def test_f3_f4_results_of_every_kind(load: Any, result: str, keys: list[Any]) -> None:
    """Any mapping, plain envs, callables and things that only behave like a vector env will do."""
    envs = load(f"{DUCK}\ndef make_env(n_envs=1, use_async_envs=False):\n    return {result}")
    assert [key for key, _ in envs.flat()] == keys
    for _, env in envs.flat():
        assert env.num_envs == 1
        assert env.reset(seed=0)[0].tolist() == [[1]]


BATCH = """
class Batch(gym.Env):
    num_envs = 4
    observation_space = gym.spaces.Box(-1, 1, (4, 3))
    action_space = gym.spaces.Box(-1, 1, (4, 2))
    single_observation_space = gym.spaces.Box(-1, 1, (3,))
    single_action_space = gym.spaces.Box(-1, 1, (2,))
    device = "cuda:0"

    def reset(self, *, seed=None, options=None):
        return Tensor((4, 3)), {}

    def step(self, action):
        return action, Tensor(4), Tensor(4), Tensor(4), {}

class Tensor:
    def __init__(self, shape):
        self.shape = shape

def make_env(n_envs=1, use_async_envs=False):
    return gym.wrappers.OrderEnforcing(Batch())
"""


def test_f5_native_batch(load: Any) -> None:
    """An env that is a batch by itself stays whole, and its tensors pass untouched."""
    env = load(BATCH, 4).only
    assert env.num_envs == 4
    assert type(env.reset(seed=0)[0]).__name__ == "Tensor"
    action = object()
    assert env.step(action)[0] is action
    assert env.unwrapped.device == "cuda:0"
    assert env.single_action_space.shape == (2,)
    assert isinstance(env, gym.vector.VectorEnv)
    with pytest.raises(ResultError, match="pass n_envs=4"):
        load(BATCH, 3)


OUTSIDE = """
class Outside(Env):
    def reset(self, *, seed=None, options=None):
        gym.Env.reset(self, seed=seed)
        return np.full(1, 100, np.float32), {}

def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([Outside] * n_envs)
"""


def test_f6_observation_outside_its_space(load: Any) -> None:
    """It loads, and Gymnasium's checker finds it in the env that the result leads to."""
    env = load(OUTSIDE).only.envs[0]
    assert not env.observation_space.contains(env.reset()[0])
    with pytest.raises(AssertionError, match="not within the observation space"):
        check_env(env, skip_render_check=True)


def test_g1_closing(load: Any) -> None:
    """Everything closes: once, in a `with` block, and unused envs without being made."""
    result = "{'s': {0: vector(2), 1: vector(2)}}"
    with load(f"def make_env(n_envs=1, use_async_envs=False):\n    return {result}", 2) as envs:
        used, unused = envs["s"].values()
        used.reset()
        counter = type(used.envs[0])
    envs.close()
    assert used.closed
    assert unused.closed
    assert counter.closed == 2
    with pytest.raises(gym.error.ClosedEnvironmentError):
        unused.reset()


MANY = """
def make_env(n_envs=1, use_async_envs=False):
    def task(n):
        calls.append(n)
        return Env(n)
    kinds = [
        lambda fns: gym.vector.AsyncVectorEnv(fns),
        lambda fns: gym.vector.async_vector_env.AsyncVectorEnv(fns, shared_memory=False),
        lambda fns: gym.vector.sync_vector_env.SyncVectorEnv(env_fns=fns),
    ]
    return {"s": {n: kinds[n % 3]([lambda n=n: task(n)] * n_envs) for n in range(400)}}
"""


def test_listing_many_tasks_costs_nothing(load: Any) -> None:
    """The tasks of a suite are made when they are used, each for itself, and are real ones then."""
    envs = load(MANY, 2)
    assert len(envs["s"]) == 400
    assert repr(envs).count("built at first use") == 400
    env = envs["s"][5]
    assert isinstance(env, gym.vector.SyncVectorEnv)
    assert env.reset()[0][:, 0].tolist() == [5, 5]
    assert type(env) is gym.vector.SyncVectorEnv
    assert repr(envs).count("built at first use") == 399
    other = envs["s"][0]
    assert isinstance(other, gym.vector.AsyncVectorEnv)
    assert other.single_observation_space.shape == (1,)
    assert repr(envs).count("built at first use") == 398
    assert np.all(other.reset()[0] == 0)
