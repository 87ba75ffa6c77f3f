"""The other vectorisers, each with its own project's defaults, and the table of all engines."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines import (
    Async,
    Envhub,
    EnvhubSendRecv,
    InProcess,
    Kind,
    Pickled,
    Raw,
    Stepper,
    Sync,
    consume,
)
from benchmarks.workloads import Workload

CORES = os.cpu_count() or 1


class EnvPool(Stepper):
    """EnvPool: envs rewritten in C++, stepped by threads. Only the envs that it has."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        import envpool

        assert workload.envpool is not None
        name, arguments = workload.envpool
        self.envs = envpool.make_gymnasium(name, num_envs=self.n_envs, seed=0, **arguments)
        self.envs.reset()


class StableBaselines(Stepper):
    """Stable-Baselines3: a process for each env, everything pickled."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        from stable_baselines3.common.vec_env import SubprocVecEnv

        self.envs = SubprocVecEnv([workload.make] * self.n_envs, start_method="fork")
        self.envs.reset()


class Tianshou(Stepper):
    """Tianshou: a process for each env, observations in shared memory; we reset what ended."""

    share = 1  # of the envs a step waits for

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        from tianshou.env import ShmemVectorEnv

        self.envs = ShmemVectorEnv(
            [workload.make] * self.n_envs, wait_num=max(1, self.n_envs // self.share)
        )
        self.envs.reset()

    def play(self, actions: NDArray[Any]) -> Any:
        """Step, then reset what ended."""
        observation, _, terminated, truncated, _ = self.envs.step(actions)
        over = np.flatnonzero(terminated | truncated)
        if over.size:
            self.envs.reset(over)
        return observation


class TianshouAsync(Tianshou):
    """Tianshou, half of the envs at a time; for workloads that never end."""

    share = 2

    def build(self, workload: Workload) -> None:
        """Make, reset, and set every env going."""
        super().build(workload)
        self.ready = np.arange(self.n_envs)

    def step(self) -> int:
        """Step those that are ready."""
        self.turn = (self.turn + 1) % len(self.actions)
        actions = self.actions[self.turn][self.ready]
        observation, _, _, _, infos = self.envs.step(actions, self.ready)
        consume(observation)
        self.ready = np.asarray([info["env_id"] for info in infos])
        return len(self.ready)


class TorchRL(Stepper):
    """TorchRL: a process for each core that steps its envs one after the other."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        import torch
        from torchrl.envs import ParallelEnv, SerialEnv

        torch.set_num_threads(1)
        workers = min(CORES, self.n_envs)
        each = partial(_torchrl_env, workload)
        shard = each if workers == self.n_envs else partial(SerialEnv, self.n_envs // workers, each)
        self.envs = ParallelEnv(workers, shard, mp_start_method="fork")
        shape = self.envs.batch_size
        self.tensors = [
            torch.from_numpy(np.ascontiguousarray(batch)).reshape(*shape, *batch.shape[1:])
            for batch in self.actions
        ]
        self.state = self.envs.reset()

    def play(self, actions: NDArray[Any]) -> Any:
        """Step, resetting what ended."""
        self.state["action"] = self.tensors[self.turn]
        _, self.state = self.envs.step_and_maybe_reset(self.state)
        return [
            self.state[key].numpy()
            for key in self.envs.observation_spec.keys(include_nested=True, leaves_only=True)
        ]


def _torchrl_env(workload: Workload) -> Any:
    from torchrl.envs import GymWrapper

    return GymWrapper(workload.make(), categorical_action_encoding=True)


class Puffer(Stepper):
    """PufferLib, one worker: with one per core it spins without yielding, and two collapse."""

    def build(self, workload: Workload) -> None:
        """Make and reset."""
        import pufferlib.vector

        self.envs = pufferlib.vector.make(
            partial(_puffer_env, workload),
            backend=pufferlib.vector.Multiprocessing,
            num_envs=self.n_envs,
            num_workers=1,
        )
        dtype = self.envs.single_action_space.dtype
        self.actions = [
            batch.astype(np.int32 if np.issubdtype(dtype, np.integer) else dtype)
            for batch in self.actions
        ]
        self.envs.reset()


def _puffer_env(workload: Workload, buf: Any = None, seed: int = 0) -> Any:
    from pufferlib.emulation import GymnasiumPufferEnv

    return GymnasiumPufferEnv(env_creator=workload.make, buf=buf, seed=seed)


def _any(workload: Workload) -> bool:
    return True


def _batched(workload: Workload) -> bool:
    return workload.batched


ENGINES = {
    "raw": Kind("plain loop on every core", "gymnasium", "gymnasium", Raw),
    "sync": Kind("Gymnasium Sync", "gymnasium", "gymnasium", Sync),
    "async": Kind("Gymnasium Async", "gymnasium", "gymnasium", Async),
    "envhub": Kind("envhub", "gym-envhub", "envhub.vector", Envhub, _any),
    "envhub-sendrecv": Kind("envhub send/recv", "gym-envhub", "envhub.vector", EnvhubSendRecv),
    "envpool": Kind("EnvPool", "envpool", "envpool", EnvPool, lambda w: w.envpool is not None),
    "sb3": Kind("Stable-Baselines3", "stable-baselines3", "stable_baselines3", StableBaselines),
    "tianshou": Kind("Tianshou", "tianshou", "tianshou", Tianshou),
    "tianshou-async": Kind("Tianshou, half batches", "tianshou", "tianshou", TianshouAsync),
    "torchrl": Kind("TorchRL", "torchrl", "torchrl", TorchRL),
    "puffer": Kind("PufferLib, one worker", "pufferlib", "pufferlib", Puffer),
    "in-process": Kind("the same process", "gymnasium", "gymnasium", InProcess, _batched),
    "pickle": Kind("pickle over a pipe", "gymnasium", "gymnasium", Pickled, _batched),
}


def main() -> None:
    """Say which engines this interpreter has: `{name: [version, reason why not]}` as JSON."""
    found = {name: [kind.version(), kind.missing()] for name, kind in ENGINES.items()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
