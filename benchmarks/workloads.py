"""What the engines step: eight envs, each a kind of load that users have, and one native batch."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

ACTION_BATCHES = 16
SHORT, LONG, LONG_SHARE = 0.526e-3, 10e-3, 0.05  # seconds; the mean is 1 ms
BATCH, WIDTH = 4096, 60
WIDTHS = (1, 2, 4)  # MiB
FRAME = (480, 640, 3)

Env = gym.Env[Any, Any]
Step = tuple[Any, float, bool, bool, dict[str, Any]]


@dataclass(frozen=True)
class Workload:
    """An env to step.

    Attributes:
        name: how cells and tables call it.
        what: one line for the page.
        make: makes one env; a module-level function, so that every start method can carry it.
        hint: how long its steps are, in the words of `envhub.vector`.
        needs: modules without which it cannot be made.
        envpool: EnvPool's name for the same env and the arguments that make it the same.
        batched: `make` returns a native `VectorEnv`.
    """

    name: str
    what: str
    make: Callable[[], Any]
    hint: Literal["cpu", "uneven", "wait"] = "cpu"
    needs: tuple[str, ...] = ()
    envpool: tuple[str, Mapping[str, Any]] | None = None
    batched: bool = False

    def missing(self) -> str:
        """Why it cannot run here, or nothing."""
        lacking = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"{', '.join(lacking)} not installed" if lacking else ""

    def actions(self, n_envs: int) -> list[NDArray[Any]]:
        """The batches of actions, `(n_envs, *shape)` each, that every engine plays in turn."""
        env = self.make()
        space = env.action_space
        env.close()
        space.seed(0)
        if self.batched:
            return [space.sample() for _ in range(ACTION_BATCHES)]
        return [
            np.stack([np.asarray(space.sample()) for _ in range(n_envs)])
            for _ in range(ACTION_BATCHES)
        ]


class Null(Env):
    """Does nothing: what is left is the engine."""

    observation_space: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = spaces.Discrete(2)
    _observation: Any

    def __init__(self) -> None:
        self._observation = np.zeros(4, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start over."""
        super().reset(seed=seed, options=options)
        return self._observation, {}

    def step(self, action: Any) -> Step:
        """Nothing."""
        return self._observation, 0.0, False, False, {}


class Cameras(Null):
    """Two 480x640 RGB cameras on a scene in changing light: about a millisecond of sums."""

    observation_space = spaces.Dict(
        {name: spaces.Box(0, 255, FRAME, np.uint8) for name in ("front", "wrist")}
    )

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._scenes = [rng.integers(0, 255, FRAME, np.uint8) for _ in range(2)]
        self._observation = {name: np.zeros(FRAME, np.uint8) for name in ("front", "wrist")}
        self._light = rng.random((160, 160), np.float32)
        self._time = 0

    def step(self, action: Any) -> Step:
        """Move the light, draw both cameras into the same frames as ever."""
        self._time += 1
        light = self._light
        for _ in range(4):
            light = np.tanh(light @ self._light * 0.01)
        shade = np.uint8(self._time % 251 + int(light[0, 0]))
        for scene, frame in zip(self._scenes, self._observation.values(), strict=True):
            np.add(scene, shade, out=frame)
        return self._observation, 0.0, False, False, {}


class Uneven(Null):
    """Steps of 1 ms on average, of which one in twenty takes ten: computing, or waiting."""

    def __init__(self, spend: Callable[[float], None]) -> None:
        super().__init__()
        self._spend = spend

    def step(self, action: Any) -> Step:
        """Take a while."""
        self._spend(LONG if self.np_random.random() < LONG_SHARE else SHORT)
        return self._observation, 0.0, False, False, {}


class Wide(Null):
    """An observation of so many MiB, the same every time."""

    def __init__(self, mebibytes: int) -> None:
        self.observation_space = spaces.Box(0, 255, (mebibytes, 1024, 1024), np.uint8)
        self._observation = np.zeros((mebibytes, 1024, 1024), np.uint8)


def compute(seconds: float) -> None:
    """Use up processor time: of this thread, so that two on one core do not share a second."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


class Batch(VectorEnv[Any, Any, Any]):
    """4,096 envs as one array: a simulator that vectorises by itself.

    It writes its observations where `out` says, as `envhub.vector.BatchedVectorEnv` asks for.
    """

    def __init__(self) -> None:
        self.num_envs = BATCH
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (WIDTH,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (WIDTH,), np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (BATCH, WIDTH), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (BATCH, WIDTH), np.float32)
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}
        self._state = np.zeros((BATCH, WIDTH), np.float32)
        self._never = np.zeros(BATCH, np.bool_)

    def reset(
        self,
        *,
        seed: Any = None,
        options: dict[str, Any] | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start over."""
        self._state[...] = 0.0
        return self._look(out), {}

    def step(
        self, actions: NDArray[np.float32], *, out: NDArray[np.float32] | None = None
    ) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """A little linear dynamics for every row."""
        self._state *= 0.99
        self._state += actions * 0.01
        np.clip(self._state, -1.0, 1.0, out=self._state)
        rewards = self._state.sum(axis=1, dtype=np.float64)
        return self._look(out), rewards, self._never, self._never, {}

    def _look(self, out: NDArray[np.float32] | None) -> NDArray[np.float32]:
        if out is None:
            return self._state.copy()
        np.copyto(out, self._state)
        return out


def null() -> Env:
    """The env that does nothing."""
    return Null()


def cartpole() -> Env:
    """Gymnasium's own, in Python."""
    return gym.make("CartPole-v1")


def halfcheetah() -> Env:
    """MuJoCo."""
    return gym.make("HalfCheetah-v5")


def minigrid() -> Env:
    """A grid world in Python, image only."""
    from minigrid.wrappers import ImgObsWrapper

    dress: Callable[[Any], Env] = ImgObsWrapper  # which has no types
    return dress(gym.make("MiniGrid-Empty-8x8-v0"))


def pong() -> Env:
    """Atari in the usual dress: 84x84 grey, every fourth frame."""
    import ale_py

    gym.register_envs(ale_py)
    env = gym.make("ALE/Pong-v5", frameskip=1)
    return gym.wrappers.AtariPreprocessing(env, frame_skip=4)


def cameras() -> Env:
    """Two cameras."""
    return Cameras()


def tail() -> Env:
    """Computes, sometimes ten times as long."""
    return Uneven(compute)


def waiting() -> Env:
    """Waits, sometimes ten times as long: a robot, or a simulator somewhere else."""
    return Uneven(time.sleep)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("null", "does nothing: the engine alone", null),
        Workload("cartpole", "CartPole-v1", cartpole, envpool=("CartPole-v1", {})),
        Workload(
            "halfcheetah",
            "HalfCheetah-v5",
            halfcheetah,
            needs=("mujoco",),
            envpool=("HalfCheetah-v5", {}),
        ),
        Workload(
            "minigrid",
            "MiniGrid-Empty-8x8-v0, image only",
            minigrid,
            needs=("minigrid",),
            envpool=("MiniGrid-Empty-8x8-v0", {}),
        ),
        Workload(
            "pong",
            "ALE/Pong-v5, 84x84 grey",
            pong,
            needs=("ale_py", "cv2"),
            envpool=("Pong-v5", {"stack_num": 1}),
        ),
        Workload("cameras", "two cameras, 480x640x3 bytes each", cameras),
        Workload("tail", "computes 1 ms on average, one step in twenty 10 ms", tail, "uneven"),
        Workload("waiting", "the same times, asleep", waiting, "wait"),
        *(Workload(f"wide{size}", f"{size} MiB", partial(Wide, size)) for size in WIDTHS),
        Workload("batch", "a native batch of 4096x60 floats", Batch, batched=True),
    )
}
