"""Where Gymnasium 1.4.0 is wrong, or dies, this is right."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from tests.vector.zoo import Counter, Sampler

from envhub.errors import EnvRaisedError, WorkerDiedError, WorkerError
from envhub.vector import AsyncVectorEnv


class Speller(gym.Env[str, Any]):
    """Observes how often it was stepped, in letters."""

    observation_space = spaces.Text(8, charset="ab")
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.count = 0
        return "b", {}

    def step(self, action: Any) -> Any:
        self.count += 1
        return "a" * self.count, 0.0, False, False, {}


class Wretch(gym.Env[Any, Any]):
    """Comes to the end that its action names."""

    observation_space = spaces.Box(0.0, 1.0, (1,))
    action_space = spaces.Discrete(10)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        ENDS[int(action)]()
        return np.zeros(1, np.float32), 0.0, False, False, {}


class UnpicklableError(Exception):
    """Cannot be sent anywhere."""

    def __reduce__(self) -> Any:
        raise TypeError("not this one")


class PickyError(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


def throw(error: BaseException) -> None:
    raise error


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


ENDS: list[Callable[[], None]] = [
    lambda: None,
    lambda: os._exit(3),
    segfault,
    lambda: throw(UnpicklableError("too bad")),
    lambda: throw(PickyError("too", "bad")),
    lambda: throw(SystemExit(4)),
    lambda: throw(KeyboardInterrupt()),
]


def wretches(count: int = 4) -> AsyncVectorEnv:
    return AsyncVectorEnv([Wretch] * count, num_workers=2)


def test_text_changes() -> None:
    """Observations in text are those of each step."""
    envs = AsyncVectorEnv([Speller] * 3, num_workers=2)
    assert envs.reset()[0] == ("b",) * 3
    assert envs.step([0, 0, 0])[0] == ("a",) * 3
    assert envs.step([0, 0, 0])[0] == ("aa",) * 3
    envs.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_final_observation_is_the_final_one(workers: int) -> None:
    """An env that uses its array again for the reset has its last observation in `final_obs`."""
    fns = [partial(Counter, 2)] * 2
    envs = AsyncVectorEnv(fns, autoreset_mode=AutoresetMode.SAME_STEP, num_workers=workers)
    envs.reset()
    envs.step([0, 0])
    observations, *_, infos = envs.step([0, 0])
    assert (observations == 0).all()
    assert all((final == 2).all() for final in infos["final_obs"])
    assert infos["final_info"]["count"].tolist() == [2, 2]
    assert infos["resets"].tolist() == [2, 2]
    envs.close()


@pytest.mark.parametrize("shared_memory", [True, False])
def test_reset_clears_a_pending_autoreset(shared_memory: bool) -> None:
    """After an episode's end and a reset of one's own, the next step is a step."""
    envs = AsyncVectorEnv([partial(Counter, 1)] * 2, shared_memory)
    envs.reset()
    envs.step([0, 0])
    envs.reset()
    observations, *_ = envs.step([0, 0])
    assert (observations == 1).all()
    envs.close()


@pytest.mark.parametrize(("end", "code"), [(1, "exit code 3"), (2, "signal 11, SIGSEGV")])
def test_death_names_the_env(end: int, code: str) -> None:
    """A worker's death is told with its envs, the one that it was at, and how it died."""
    envs = wretches()
    envs.reset()
    with pytest.raises(WorkerDiedError, match=f"envs 2 to 3.*{code}.*at env 3") as caught:
        envs.step([0, 0, 0, end])
    assert "on_worker_failure" in caught.value.hint
    assert end != 2 or "Fatal Python error" in caught.value.why
    with pytest.raises(WorkerError, match="an error ended it before"):
        envs.step([0, 0, 0, 0])
    begun = time.monotonic()
    envs.close()
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("end", "text"),
    [(3, "UnpicklableError: too bad"), (4, "PickyError: toobad"), (5, "SystemExit: 4")],
)
def test_exceptions_that_cannot_travel(end: int, text: str) -> None:
    """They are told as text, with their traceback, and nothing hangs."""
    envs = wretches()
    envs.reset()
    with (
        pytest.warns(UserWarning, match="Worker-1 - Shutting it down|Traceback|Raising the last"),
        pytest.raises(EnvRaisedError, match=f"env 1 raised {text}") as caught,
    ):
        envs.step([0, end, 0, 0])
    assert "in throw" in caught.value.why
    with pytest.raises(WorkerError, match="env 1 was shut down"):
        envs.reset()
    envs.close()


def test_options_stay_as_they_are() -> None:
    """A reset with a mask leaves the caller's dict alone, and takes numpy's whole numbers."""
    envs = AsyncVectorEnv([Sampler] * 2, autoreset_mode=AutoresetMode.DISABLED)
    options = {"reset_mask": np.array([True, False]), "more": 1}
    seed: Any = np.int64(3)
    envs.reset(seed=seed)
    envs.reset(options=options)
    assert options.keys() == {"reset_mask", "more"}
    assert envs.np_random_seed == (3, 4)
    envs.close()


def test_every_env_is_stepped_and_every_error_told() -> None:
    """Two envs of one worker that raise are both warned of, the last one's error is raised."""
    envs = AsyncVectorEnv([partial(Sampler, odds=0.0)] * 3, num_workers=1)
    envs.reset()
    envs.set_attr("odds", [0.0, "odd", "odd"])
    warned = pytest.warns(UserWarning, match="Worker-[12]|Traceback|Raising the last")
    with warned as caught, pytest.raises(TypeError) as error:
        envs.step([0, 0, 0])
    told = [str(warning.message) for warning in caught]
    assert ["Worker-1" in told[0], "Worker-2" in told[2], len(told)] == [True, True, 5]
    assert "raised by env 2 in worker 0" in error.value.__notes__[0]
    envs.close()


def test_a_wrong_shape_is_an_error() -> None:
    """An observation that does not fit its space is never spread over it."""

    class Misfit(Sampler):
        def step(self, action: Any) -> Any:
            return [1.0], 0.0, False, False, {}

    envs = AsyncVectorEnv([Misfit])
    envs.reset()
    warned = pytest.warns(UserWarning, match="Worker-0|Traceback|Raising the last")
    with warned, pytest.raises(ValueError, match=r"has shape \(1,\)"):
        envs.step([0])
    envs.close()


@pytest.mark.parametrize(
    ("reward", "expected"),
    [(np.float32(0.5), 0.5), (3, 3.0), ([1.0, 2.0], 3.0), (np.array([4.0]), 4.0), (None, np.nan)],
    ids=str,
)
def test_odd_rewards(reward: Any, expected: float) -> None:
    """Rewards are float64; one that is a vector counts as its sum and is in the info as it is."""

    class Paid(Sampler):
        def step(self, action: Any) -> Any:
            return self.observation_space.sample(), reward, False, False, {}

    envs = AsyncVectorEnv([Paid] * 2)
    envs.reset()
    _, rewards, *_, infos = envs.step([0, 0])
    np.testing.assert_array_equal(rewards, np.array([expected] * 2))
    assert rewards.dtype == np.float64
    assert ("reward_vector" in infos) == (isinstance(reward, list))
    if infos:
        assert infos["reward_vector"].tolist() == [[1.0, 2.0]] * 2
    envs.close()


def test_kept_actions_do_not_change() -> None:
    """An env may keep its action."""
    envs = AsyncVectorEnv([partial(Sampler, action_space=spaces.Box(-1.0, 1.0, (2,)))] * 2)
    envs.reset()
    actions = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    envs.step(actions)
    kept = envs.get_attr("taken")
    envs.step(actions + 1)
    assert np.array_equal(np.stack(kept), actions)
    envs.close()
