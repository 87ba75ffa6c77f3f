"""How each vectoriser is built and stepped: one short class per engine, all to one pattern.

Every engine plays the same actions and looks at its observations in the same way, with the
defaults of its own project. What is optional is imported where it is built: an engine that is not
installed must not keep the others from running.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Workload

LARGE = 64 * 1024  # bytes; of a larger leaf one byte in 4,096 is read, as a copy to a GPU would
PAGE = 4096


class Engine(Protocol):
    """Something that steps `n_envs` envs of one workload.

    Attributes:
        start_seconds: from nothing to the end of the first step; imports not counted.
    """

    start_seconds: float

    def measure(self, seconds: float) -> float:
        """Step for about so long; env steps per second."""

    def close(self) -> None:
        """End its processes."""


def consume(observation: Any) -> None:
    """Read an observation as a learner would: something of every leaf."""
    if isinstance(observation, dict):
        for leaf in observation.values():
            consume(leaf)
    elif isinstance(observation, np.ndarray) and observation.dtype != np.object_:
        if observation.nbytes > LARGE:
            observation.reshape(-1).view(np.uint8)[::PAGE].max()
        else:
            observation.item(0)
    else:
        for leaf in observation:
            consume(leaf)


class Stepper:
    """An engine whose `step` is one call in this process; `build` and `play` are the engine's."""

    envs: Any

    def __init__(self, workload: Workload, n_envs: int) -> None:
        self.n_envs = n_envs
        self.actions = workload.actions(n_envs)
        self.turn = 0
        start = time.perf_counter()
        self.build(workload)
        self.step()
        self.start_seconds = time.perf_counter() - start

    def build(self, workload: Workload) -> None:
        """Make the vector env and reset it."""
        raise NotImplementedError

    def play(self, actions: NDArray[Any]) -> Any:
        """Step all envs once; the observation."""
        return self.envs.step(actions)[0]

    def step(self) -> int:
        """Step once and read the observation; how many env steps that was."""
        self.turn = (self.turn + 1) % len(self.actions)
        consume(self.play(self.actions[self.turn]))
        return self.n_envs

    def measure(self, seconds: float) -> float:
        """Step for about so long; env steps per second."""
        clock, step = time.perf_counter, self.step
        done = 0
        start = clock()
        end = start + seconds
        while clock() < end:
            done += step()
        return done / (clock() - start)

    def close(self) -> None:
        """End its processes."""
        self.envs.close()


class Sync(Stepper):
    """Gymnasium, all envs in this process."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        from gymnasium.vector import SyncVectorEnv

        self.envs = SyncVectorEnv([workload.make] * self.n_envs)
        self.envs.reset(seed=0)


class Async(Stepper):
    """Gymnasium, a process for each env."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        from gymnasium.vector import AsyncVectorEnv

        self.envs = AsyncVectorEnv([workload.make] * self.n_envs)
        self.envs.reset(seed=0)


class Envhub(Stepper):
    """Ours, lock-step."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        from envhub.vector import AsyncVectorEnv, BatchedVectorEnv

        if workload.batched:
            self.envs = BatchedVectorEnv(workload.make)
        else:
            self.envs = AsyncVectorEnv([workload.make] * self.n_envs, step=workload.hint)
        self.envs.reset(seed=0)


class EnvhubSendRecv(Stepper):
    """Ours, half of the envs at a time, whichever are ready first."""

    def build(self, workload: Workload) -> None:
        """Make, and send every env its first action."""
        from envhub.vector import AsyncVectorEnv

        self.envs = AsyncVectorEnv(
            [workload.make] * self.n_envs, step=workload.hint, batch_size=self.n_envs // 2
        )
        self.envs.reset(seed=0)
        self.envs.send(self.actions[0], np.arange(self.n_envs))

    def step(self) -> int:
        """Receive what is ready and send it on."""
        self.turn = (self.turn + 1) % len(self.actions)
        observation, _, _, _, info = self.envs.recv()
        consume(observation)
        ready = info["env_id"]
        self.envs.send(self.actions[self.turn][ready], ready)
        return len(ready)


class InProcess(Stepper):
    """A native batch in this process: what hosting it elsewhere is measured against."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        self.envs = workload.make()
        self.envs.reset(seed=0)


class Pickled(Stepper):
    """A native batch in a process of its own, results pickled over a pipe."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        self.envs, theirs = multiprocessing.Pipe()
        worker = multiprocessing.get_context("fork").Process(
            target=_serve_pickled, args=(workload, theirs), daemon=True
        )
        worker.start()

    def play(self, actions: NDArray[Any]) -> Any:
        """One round trip."""
        self.envs.send(actions)
        return self.envs.recv()[0]

    def close(self) -> None:
        """Tell the worker to end."""
        self.envs.send(None)


def _serve_pickled(workload: Workload, pipe: Connection) -> None:
    envs = workload.make()
    envs.reset(seed=0)
    while (actions := pipe.recv()) is not None:
        pipe.send(envs.step(actions))


class Raw:
    """One env per core, stepped in a plain loop, all cores at once: efficiency 1.

    The loop does what a user's would: act, look at the observation, reset what is over. A reset
    counts as a step, as it does for the vector envs that reset at the next step.
    """

    def __init__(self, workload: Workload, n_envs: int) -> None:
        context = multiprocessing.get_context("fork")
        start = time.perf_counter()
        self.pipes = []
        for core in range(os.cpu_count() or 1):
            ours, theirs = context.Pipe()
            context.Process(target=_serve_raw, args=(workload, core, theirs), daemon=True).start()
            self.pipes.append(ours)
        self.measure(0.0)
        self.start_seconds = time.perf_counter() - start

    def measure(self, seconds: float) -> float:
        """Let all cores step for so long; the sum of their rates."""
        for pipe in self.pipes:
            pipe.send(seconds)
        rates: list[float] = [pipe.recv() for pipe in self.pipes]
        return sum(rates)

    def close(self) -> None:
        """Tell the workers to end."""
        for pipe in self.pipes:
            pipe.send(None)


def _serve_raw(workload: Workload, seed: int, pipe: Connection) -> None:
    env = workload.make()
    actions = [batch[0] for batch in workload.actions(1)]
    env.reset(seed=seed)
    while (seconds := pipe.recv()) is not None:
        pipe.send(_rate_of_plain_loop(env, actions, seconds))


def _rate_of_plain_loop(env: Any, actions: list[Any], seconds: float) -> float:
    clock, step = time.perf_counter, env.step
    done, over = 0, False
    start = clock()
    end = start + seconds
    while clock() < end:
        for action in actions:
            if over:
                observation, _ = env.reset()
                over = False
            else:
                observation, _, terminated, truncated, _ = step(action)
                over = terminated or truncated
            consume(observation)
        done += len(actions)
    return done / (clock() - start)


@dataclass(frozen=True)
class Kind:
    """An engine that may or may not be there.

    Attributes:
        label: how tables call it.
        package: the distribution whose version is shown.
        module: what must be importable.
        build: makes one.
        fits: whether it can step a workload; EnvPool knows only its own envs.
    """

    label: str
    package: str
    module: str
    build: Callable[[Workload, int], Engine]
    fits: Callable[[Workload], bool] = lambda workload: not workload.batched

    def missing(self) -> str:
        """Why it cannot be built here, or nothing."""
        try:
            found = importlib.util.find_spec(self.module)
        except ModuleNotFoundError:
            found = None
        return "" if found else "not installed"

    def version(self) -> str:
        """The version that is installed."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return "?"
