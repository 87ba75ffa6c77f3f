"""Small envs, each odd in its own way, and a comparison that lets no bit pass."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.spaces import Space
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

Info = dict[str, Any]
Step = tuple[Any, Any, bool, bool, Info]

SMALL = spaces.Box(-10.0, 10.0, (3,), np.float32)
DYNAMIC = spaces.Dict(
    {
        "text": spaces.Text(5, min_length=1, charset="abc"),
        "list": spaces.Sequence(spaces.Box(0.0, 1.0, (2,), np.float32)),
        "graph": spaces.Graph(spaces.Box(0.0, 1.0, (1,)), spaces.Discrete(3)),
        "either": spaces.OneOf((spaces.Discrete(2), spaces.Box(0.0, 1.0, (2,)))),
        "array": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
    }
)


class Sampler(gym.Env[Any, Any]):
    """Observes samples of any space; episodes end when its generator says so.

    Args:
        observation_space: what it observes.
        action_space: what it takes.
        infos: makes the info of each step.
        odds: the chance that a step is the last one.
    """

    def __init__(
        self,
        observation_space: Space[Any] = SMALL,
        action_space: Space[Any] | None = None,
        infos: Callable[[np.random.Generator], Info] | None = None,
        odds: float = 0.2,
    ) -> None:
        self.observation_space = observation_space
        self.action_space = action_space or spaces.Discrete(3)
        self.infos = infos
        self.odds = odds
        self.taken: Any = None

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space = _copy(self.observation_space, seed)
        return self.draw(), self._info()

    def draw(self) -> Any:
        """The next observation."""
        return self.observation_space.sample()

    def step(self, action: Any) -> Step:
        self.taken = action
        reward = float(self.np_random.normal()) + _weight(action)
        ended, cut = (bool(flag) for flag in self.np_random.random(2) < self.odds / 2)
        return self.draw(), reward, ended, cut, self._info()

    def action_type(self) -> str:
        """The type of the last action."""
        return f"{type(self.taken).__name__} {getattr(self.taken, 'dtype', '')}".strip()

    def _info(self) -> Info:
        return {} if self.infos is None else self.infos(self.np_random)


class Deck(Sampler):
    """Observes samples that a seeded reset has drawn: samples of some spaces take a millisecond."""

    deck: tuple[Any, ...] = ()

    def draw(self) -> Any:
        self.deck = self.deck or tuple(self.observation_space.sample() for _ in range(20))
        return self.deck[self.np_random.integers(len(self.deck))]

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        if seed is not None:
            self.deck = ()
        return super().reset(seed=seed)


def _copy(space: Space[Any], seed: int) -> Space[Any]:
    from copy import deepcopy

    mine = deepcopy(space)
    mine.seed(seed)
    return mine


def _weight(action: Any) -> float:
    if isinstance(action, dict | tuple):
        return sum(map(_weight, action.values() if isinstance(action, dict) else action))
    try:
        return float(np.sum(action))
    except (TypeError, ValueError):
        return float(len(str(action)))


class Counter(gym.Env[Any, Any]):
    """Counts its steps in one array that it uses again and again.

    Args:
        length: steps of an episode.
        size: numbers in an observation.
    """

    def __init__(self, length: int = 5, size: int = 4) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float64)
        self.action_space = spaces.Discrete(4)
        self.length = length
        self.array = np.zeros(size)
        self.resets = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        super().reset(seed=seed)
        self.array[:] = 0
        self.resets += 1
        return self.array, {"resets": self.resets}

    def step(self, action: Any) -> Step:
        self.array += 1
        count = int(self.array[0])
        return self.array, float(action), count == self.length, False, {"count": count}


class Insider(Counter):
    """Tells of the process that it lives in."""

    def environ(self, name: str) -> str | None:
        return os.environ.get(name)

    def pid(self) -> int:
        return os.getpid()

    def pipes(self) -> set[str]:
        return pipes()

    def children(self) -> int:
        """Start a process and wait for it; its exit status."""
        return subprocess.run([sys.executable, "-c", "pass"], check=True).returncode

    def threads_of_blas(self) -> int:
        """How many threads there are after a large product."""
        matrix = np.ones((500, 500))
        assert (matrix @ matrix)[0, 0] == 500
        return len(list(Path("/proc/self/task").iterdir()))

    def ignores_interrupt(self) -> bool:
        return signal.getsignal(signal.SIGINT) is signal.SIG_IGN

    def knows(self, name: str) -> bool:
        """Whether a module is loaded there."""
        return name in sys.modules


def pipes() -> set[str]:
    """The pipes that this process holds."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists the folder
            found.add(str(link.readlink()))
    return {name for name in found if name.startswith("pipe:")}


class Frames(gym.Env[Any, Any]):
    """Observes frames large enough to be leased: its seed and the number of the step in each byte.

    Args:
        side: height and width of a frame.
    """

    def __init__(self, side: int = 64) -> None:
        self.shape = (side, side, 3)
        frame = spaces.Box(0, 255, self.shape, np.uint8)
        self.observation_space = spaces.Dict({"left": frame, "right": frame})
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.count = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        super().reset(seed=seed)
        self.count = 0
        return self._frames(), {}

    def step(self, action: Any) -> Step:
        self.count += 1
        return self._frames(), 1.0, False, self.count == 50, {}

    def _frames(self) -> dict[str, Any]:
        first = self.np_random.integers(0, 255)
        return {
            "left": np.full(self.shape, self.count % 255, np.uint8),
            "right": np.full(self.shape, first, np.uint8),
        }


class Native(VectorEnv[Any, Any, Any]):
    """Steps its own batch.

    Args:
        num_envs: how many envs.
        size: numbers in an observation.
    """

    def __init__(self, num_envs: int = 8, size: int = 3) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP, "name": "native"}
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.state = np.zeros((num_envs, size), np.float32)
        self.gain = 1.0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        super().reset(seed=seed)
        self.state[:] = self.np_random.normal(size=self.state.shape)
        return self.state.copy(), {"fresh": np.ones(self.num_envs, bool)}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Info]:
        self.state += actions * np.float32(self.gain)
        rewards = self.state.sum(axis=1)
        ended = rewards > 5
        self.state[ended] = 0
        return self.state.copy(), rewards, ended, np.zeros(self.num_envs, bool), {}

    def call(self, name: str, *args: Any) -> tuple[Any, ...]:
        return (name, *args)

    def get_attr(self, name: str) -> Any:
        return getattr(self, name)

    def set_attr(self, name: str, values: Any) -> None:
        setattr(self, name, values)

    def render(self) -> tuple[Any, ...]:
        return (np.zeros((2, 2, 3), np.uint8),) * self.num_envs


class InPlace(Native):
    """The same, writing where it is told."""

    def reset(
        self, *, seed: int | None = None, options: Info | None = None, out: Any = None
    ) -> tuple[Any, Info]:
        obs, info = super().reset(seed=seed, options=options)
        return self._into(out, obs), info

    def step(self, actions: Any, out: Any = None) -> tuple[Any, Any, Any, Any, Info]:
        obs, *rest = super().step(actions)
        return (self._into(out, obs), *rest)

    @staticmethod
    def _into(out: Any, obs: Any) -> Any:
        if out is None:
            return obs
        out[...] = obs
        return out


def difference(one: Any, other: Any, path: str = "") -> str:
    """Where two nested values differ in any bit, type or shape; empty if nowhere."""
    if type(one) is not type(other):
        return f"{path}: {type(one).__name__} is not {type(other).__name__}"
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return f"{path}: keys {sorted(map(str, one))} are not {sorted(map(str, other))}"
        return _first(difference(one[key], other[key], f"{path}[{key!r}]") for key in one)
    if isinstance(one, np.ndarray):
        return _array_difference(one, other, path)
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return f"{path}: {len(one)} items are not {len(other)}"
        pairs = enumerate(zip(one, other, strict=True))
        return _first(difference(a, b, f"{path}[{i}]") for i, (a, b) in pairs)
    if isinstance(one, float) and math.isnan(one) and math.isnan(other):
        return ""
    return "" if one == other else f"{path}: {one!r} is not {other!r}"


def _array_difference(one: Any, other: Any, path: str) -> str:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return f"{path}: {one.dtype} {one.shape} is not {other.dtype} {other.shape}"
    if one.dtype == object:
        pairs = enumerate(zip(one.tolist(), other.tolist(), strict=True))
        return _first(difference(a, b, f"{path}[{i}]") for i, (a, b) in pairs)
    return "" if one.tobytes() == other.tobytes() else f"{path}: {one} is not {other}"


def _first(found: Any) -> str:
    return next((text for text in found if text), "")
