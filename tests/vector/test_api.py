"""What users of Gymnasium's `AsyncVectorEnv` rely on."""

from __future__ import annotations

import inspect
import multiprocessing
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import (
    AlreadyPendingCallError,
    ClosedEnvironmentError,
    NoAsyncCallError,
)
from gymnasium.vector import AsyncVectorEnv as GymnasiumAsyncVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_differing_spaces
from tests.vector.zoo import DYNAMIC, Counter, Sampler, difference

from envhub.errors import ArgumentError
from envhub.vector import AsyncVectorEnv


class Slow(Counter):
    """Takes as many tenths of a second as its action says."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        time.sleep((options or {}).get("seconds", 0))
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        time.sleep(float(action) / 10)
        return super().step(action)

    def render(self) -> Any:
        return np.full((2, 2, 3), self.array[0], np.uint8)

    def fail(self) -> None:
        raise LookupError("nothing here")


def bounded(high: float) -> Callable[[], Any]:
    return partial(Sampler, spaces.Box(0.0, high, (3,)))


def test_is_gymnasiums() -> None:
    """It is a subclass, takes Gymnasium's arguments in their order, and ours by keyword only."""
    assert issubclass(AsyncVectorEnv, GymnasiumAsyncVectorEnv)
    theirs = inspect.signature(GymnasiumAsyncVectorEnv.__init__).parameters
    ours = inspect.signature(AsyncVectorEnv.__init__).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for name in theirs:
        assert ours[name].default == theirs[name].default
    assert all(p.kind is p.KEYWORD_ONLY for p in list(ours.values())[len(theirs) :])


def test_attributes() -> None:
    """What describes the envs is Gymnasium's, and changing it changes no env's class."""
    fns = [lambda: gym.make("CartPole-v1", render_mode="rgb_array")] * 3
    envs = AsyncVectorEnv(fns, autoreset_mode="SameStep")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert (envs.render_mode, envs.num_envs, envs.spec) == ("rgb_array", 3, None)
    assert repr(envs) == "AsyncVectorEnv(num_envs=3)"
    assert envs.single_observation_space == fns[0]().observation_space
    assert envs.action_space == spaces.MultiDiscrete([2, 2, 2])
    envs.reset(seed=0)
    frames: Any = envs.render()
    assert [frame.shape for frame in frames] == [(400, 600, 3)] * 3
    assert envs.call("gravity") == (9.8,) * 3
    envs.set_attr("gravity", [1.0, 2.0, 3.0])
    assert envs.get_attr("gravity") == (1.0, 2.0, 3.0)
    envs.set_attr("gravity", 5.0)
    assert envs.get_attr("gravity") == (5.0,) * 3
    assert [type(generator).__name__ for generator in envs.np_random] == ["Generator"] * 3
    envs.close()
    envs.close()
    assert "autoreset_mode" not in fns[0]().metadata


@pytest.mark.parametrize("vectorise", [AsyncVectorEnv, SyncVectorEnv])
def test_seeds(vectorise: Any) -> None:
    """A whole number seeds the envs in order; a list seeds each; autoresets are not seeded."""
    envs = vectorise([Sampler] * 3)
    envs.reset(seed=7)
    assert envs.np_random_seed == (7, 8, 9)
    first, _ = envs.reset(seed=[7, None, 9])
    again, _ = envs.reset(seed=[7, None, 9])
    assert (first[[0, 2]] == again[[0, 2]]).all()
    assert envs.np_random_seed == (7, 8, 9)
    with pytest.raises(ValueError, match="must match num_envs=3 but got length=2"):
        envs.reset(seed=[1, 2])
    envs.close()


@pytest.mark.parametrize(
    ("space", "actions", "kind"),
    [
        (spaces.Discrete(3), np.array([0, 1]), "int64 int64"),
        (spaces.Discrete(3), np.array([0, 1], np.int32), "int32 int32"),
        (spaces.Discrete(3), [0, 1], "int"),
        (spaces.Discrete(3), (0, 1), "int"),
        (spaces.Box(-1.0, 1.0, (2,)), np.zeros((2, 2), np.float32), "ndarray float32"),
        (spaces.Box(-1.0, 1.0, (2,)), np.zeros((2, 2)), "ndarray float64"),
        (spaces.Box(-1.0, 1.0, (2,)), [[0.0, 0.0]] * 2, "list"),
        (spaces.Dict(a=spaces.Discrete(2)), {"a": np.array([0, 1])}, "dict"),
        (spaces.Text(3), ("a", "b"), "str"),
    ],
    ids=str,
)
def test_types_of_actions(space: Any, actions: Any, kind: str) -> None:
    """An env is given its action in the type that the caller chose, as by Gymnasium."""
    for vectorise in (AsyncVectorEnv, SyncVectorEnv):
        envs: Any = vectorise([partial(Sampler, action_space=space)] * 2)
        envs.reset()
        envs.step(actions)
        assert envs.call("action_type") == (kind,) * 2
        envs.close()


@pytest.mark.parametrize(
    ("actions", "error"),
    [
        (np.zeros(3, np.int64), ValueError),
        (np.zeros(1, np.int64), ValueError),
        ([0, 0, 0], ValueError),
        (0, TypeError),
        (np.int64(0), TypeError),
        (np.zeros(1, np.int32), ValueError),
    ],
    ids=repr,
)
def test_too_many_or_too_few_actions(actions: Any, error: type[Exception]) -> None:
    """Another number of actions than envs is refused before any env steps."""
    envs = AsyncVectorEnv([Counter] * 2, num_workers=2)
    envs.reset()
    with pytest.raises(error):
        envs.step(actions)
    assert (envs.step(np.zeros(2, np.int64))[0] == 1).all()
    envs.close()


def test_observation_modes() -> None:
    """Spaces that differ are refused, batched side by side, or described by the caller."""
    spread = [bounded(high) for high in (1.0, 2.0, 3.0)]
    with pytest.raises(RuntimeError, match=r"not equivalent.*use `observation_mode='different'`"):
        AsyncVectorEnv(spread)
    envs = AsyncVectorEnv(spread, observation_mode="different")
    single = [make().observation_space for make in spread]
    assert envs.observation_space == batch_differing_spaces(single)
    assert envs.reset()[0].shape == (3, 3)
    envs.close()
    chosen = spaces.Box(0.0, 3.0, (3, 3)), spaces.Box(0.0, 3.0, (3,))
    mode: Any = chosen
    envs = AsyncVectorEnv(spread, observation_mode=mode)
    assert (envs.observation_space, envs.single_observation_space) == chosen
    envs.close()
    with pytest.raises(RuntimeError, match="do not share a common shape and dtype"):
        AsyncVectorEnv(
            [*spread, partial(Sampler, spaces.Box(0.0, 1.0, (4,)))], observation_mode=mode
        )
    with pytest.raises(RuntimeError, match="action space different"):
        AsyncVectorEnv([Sampler, partial(Sampler, action_space=spaces.Discrete(5))])
    with pytest.raises(ValueError, match="Invalid `observation_mode`"):
        AsyncVectorEnv(spread, observation_mode="odd")
    nonsense: Any = (1, 2)
    with pytest.raises(TypeError, match="to be Spaces"):
        AsyncVectorEnv(spread, observation_mode=nonsense)


def test_custom_spaces() -> None:
    """A space of any kind can be observed; one with its own way to batch is batched so."""

    class Letters(gym.Space[str]):
        def sample(self, mask: Any = None, probability: Any = None) -> str:
            return str(self.np_random.integers(9))

        def contains(self, x: Any) -> bool:
            return isinstance(x, str)

        def __eq__(self, other: object) -> bool:
            return type(other).__name__ == "Letters"

        __hash__ = None  # type: ignore[assignment]  # as in Gymnasium's spaces

    parts: dict[str, gym.Space[Any]] = {"x": Letters(), "y": spaces.Discrete(2)}
    envs = AsyncVectorEnv([partial(Sampler, spaces.Dict(parts))] * 3, num_workers=2)
    observations, _ = envs.reset()
    assert all(isinstance(letter, str) for letter in observations["x"])
    assert observations["y"].shape == (3,)
    envs.close()


def test_order_of_calls() -> None:
    """Halves of calls that do not belong together are refused, in Gymnasium's words."""
    envs = AsyncVectorEnv([Counter] * 2)
    for wait, name in (
        (envs.reset_wait, "reset"),
        (envs.step_wait, "step"),
        (envs.call_wait, "call"),
    ):
        with pytest.raises(NoAsyncCallError, match=f"`{name}_wait` without any prior call"):
            wait()
    envs.reset_async()
    halves: dict[str, Callable[[], Any]] = {
        "reset_async": envs.reset_async,
        "step_async": lambda: envs.step_async(np.zeros(2, np.int64)),
        "call_async": lambda: envs.call_async("length"),
        "set_attr": lambda: envs.set_attr("length", 3),
    }
    for name, half in halves.items():
        words = f"Calling `{name}` while waiting for a pending call to `reset` to complete"
        with pytest.raises(AlreadyPendingCallError, match=re.escape(words)):
            half()
    envs.reset_wait()
    envs.step_async(np.zeros(2, np.int64))
    with pytest.warns(UserWarning, match="while waiting for a pending call to `step`"):
        envs.close(terminate=True)
    uses: list[Callable[[], Any]] = [
        envs.reset,
        lambda: envs.step([0, 0]),
        lambda: envs.call("x"),
        envs.recv,
    ]
    for use in uses:
        with pytest.raises(ClosedEnvironmentError):
            use()


def test_patience() -> None:
    """A wait that was given a time gives up after it; the envs can be used on."""
    envs = AsyncVectorEnv([Slow] * 2, num_workers=2)
    envs.reset_async(options={"seconds": 0.2})
    with pytest.raises(multiprocessing.TimeoutError, match="`reset_wait` has timed out after"):
        envs.reset_wait(timeout=0.02)
    envs.reset()
    envs.call_async("length")
    assert envs.call_wait(timeout=20) == (5, 5)
    assert (envs.step(np.zeros(2, np.int64))[0] == 1).all()
    envs.close()


def test_calls() -> None:
    """Methods are called with their arguments; those with a method here are refused."""
    envs = AsyncVectorEnv([Slow] * 3, num_workers=2)
    envs.reset()
    for name in ("reset", "step", "close", "_setattr", "_check_spaces"):
        with pytest.raises(ValueError, match=f"Trying to call function `{name}` with `call`"):
            envs.call(name)
    with pytest.raises(AttributeError):
        envs.call("no_such_thing")
    with pytest.raises(LookupError, match="nothing here") as caught:
        envs.call("fail")
    assert "raised by env 0" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="length equal to the number of environments"):
        envs.set_attr("length", [1, 2])
    assert (envs.step(np.zeros(3, np.int64))[0] == 1).all()
    envs.close()


def test_replaced_methods_count() -> None:
    """A step that was set as an attribute is the step from then on."""
    envs = AsyncVectorEnv([Counter] * 2)
    envs.reset()

    def step(action: Any) -> Any:
        return np.full(4, 9.0), 0.5, False, False, {}

    envs.set_attr("step", [step, step])
    assert (envs.step(np.zeros(2, np.int64))[0] == 9).all()
    envs.close()


@pytest.mark.parametrize("bad", [0, 1.5, "2"])
def test_max_concurrency(bad: Any) -> None:
    """No more envs step at once than allowed; what is no such number is refused."""
    with pytest.raises(ValueError, match="max_concurrency"):
        AsyncVectorEnv([Counter] * 3, max_concurrency=bad)
    envs = AsyncVectorEnv([Counter] * 6, max_concurrency=1, num_workers=3)
    assert len(envs.workers) == 1
    envs.close()


def test_factories_that_fail() -> None:
    """What a factory raises comes through as it is, and no worker stays behind."""

    def broken() -> Any:
        raise FileNotFoundError("no such asset")

    with pytest.raises(FileNotFoundError, match="no such asset") as caught:
        AsyncVectorEnv([Counter, broken, Counter], num_workers=2)
    assert "raised by env 1" in caught.value.__notes__[0]
    with pytest.raises(gym.error.NameNotFound):
        AsyncVectorEnv([lambda: gym.make("NoSuchEnv-v0")])
    with pytest.raises(ArgumentError, match="no envs"):
        AsyncVectorEnv([])


def test_made_by_gymnasium() -> None:
    """`gym.make_vec` can be told to make it."""
    envs = gym.make_vec("CartPole-v1", 3, vectorization_mode="sync")
    fns = [lambda: gym.make("CartPole-v1")] * 3
    ours = AsyncVectorEnv(fns)
    pairs = envs.reset(seed=1), ours.reset(seed=1)
    assert not difference(*pairs)
    wrapped = gym.wrappers.vector.RecordEpisodeStatistics(ours)
    wrapped.reset(seed=1)
    while "episode" not in (infos := wrapped.step(ours.action_space.sample())[4]):
        continue
    assert infos["episode"]["r"].shape == (3,)
    wrapped.close()
    envs.close()


@pytest.mark.parametrize("space", [DYNAMIC, spaces.Box(0, 9, (2, 2), np.int8)], ids=str)
def test_observations_are_in_their_space(space: Any) -> None:
    """An observation of any space is in the batched space."""
    envs = AsyncVectorEnv([partial(Sampler, space)] * 2)
    observations, _ = envs.reset(seed=1)
    assert observations in envs.observation_space
    envs.close()
