"""`BatchedVectorEnv`: a vector env that steps its own batch, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import AutoresetMode, VectorEnv

from envhub.errors import WorkerError
from envhub.vector import planning
from envhub.vector.engine import Engine
from envhub.vector.hearing import Told
from envhub.vector.options import Options
from envhub.vector.pool import Asked, Worker
from envhub.vector.slab import Plan
from envhub.vector.starts import LocalStarter, Starter
from envhub.worker import protocol

Array = np.ndarray[Any, Any]


class BatchedVectorEnv(VectorEnv[Any, Any, Any]):
    """Hosts a vector env whole in one worker, with its observations in shared memory.

    What it returns is what the env returns: its autoreset, its infos, its types. An env whose
    `reset` and `step` take `out` writes its observations in place: `out` has the structure of
    its observation space, and what it returns then are these very arrays. They and its actions are
    lent to it until it returns.

    Args:
        factory: makes the vector env, in the worker.
        copy: whether an observation that was returned never changes. Without it, it is valid
            until the step after the next.
        step_timeout: seconds that a step may take before the worker counts as hung.
        reset_timeout: the same for a reset.
        start_timeout: the same for building the env.
        start_method: "auto", "exec", "fork", "forkserver" or "spawn", see `LocalStarter`.
        threads: threads of BLAS and OpenMP in the worker, 0 to leave them as they are; by
            default so, because there is one worker only.

    Raises:
        TypeError: the factory makes no vector env.
        ValueError: the env's observations are no batches of arrays.
    """

    def __init__(
        self,
        factory: Callable[[], VectorEnv[Any, Any, Any]],
        *,
        copy: bool = True,
        step_timeout: float | None = None,
        reset_timeout: float | None = None,
        start_timeout: float | None = 300.0,
        start_method: str = "auto",
        threads: int = 0,
    ) -> None:
        options = Options(
            step_timeout=step_timeout,
            reset_timeout=reset_timeout,
            start_timeout=start_timeout,
            start_method=start_method,
            threads=threads,
        )
        self._open(LocalStarter([factory], start_method, threads), copy, options)

    @classmethod
    def started_by(
        cls, starter: Starter, options: Options, *, copy: bool = True
    ) -> BatchedVectorEnv:
        """A vector env whose worker finds its env itself, see `AsyncVectorEnv.started_by`."""
        envs: BatchedVectorEnv = object.__new__(cls)
        envs._open(starter, copy, options)
        return envs

    def _open(self, starter: Starter, copy: bool, options: Options) -> None:
        self._options = options
        self._dtype = np.dtype(np.float64)
        self._engine = Engine(starter, 1, 1, options)
        try:
            self._build(copy)
        except BaseException:
            self._engine.pool.close(terminate=True)
            raise

    def _build(self, copy: bool) -> None:
        (said,) = self._engine.build(whole=True)
        planning.check_whole(said)
        planning.check_size(said["num_envs"], said)
        self.num_envs = said["num_envs"]
        self.metadata = said["metadata"]
        if isinstance(mode := self.metadata.get("autoreset_mode"), str):
            self.metadata["autoreset_mode"] = AutoresetMode(mode)
        self.render_mode = said.get("render_mode")
        self.single_observation_space = said["observation_space"]
        self.single_action_space = said["action_space"]
        self.observation_space = said["batched_observations"]
        self.action_space = said["batched_actions"]
        self._engine.map(
            Plan(
                num_envs=self.num_envs,
                num_workers=1,
                observation_space=self.single_observation_space,
                action_space=self.single_action_space,
                batched_actions=self.action_space,
                same=True,
                mode=protocol.DISABLED,
                copy=copy,
                recovers=False,
                whole=True,
            )
        )

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The worker: it has `pid` and `is_alive()`."""
        return tuple(self._engine.workers)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the env, with what its own `reset` takes."""
        slot = self._engine.slab.delivery.next_slot()
        seconds = self._options.reset_timeout
        told = self._ask(protocol.RESET, {"seed": seed, "options": options}, slot, seconds)
        return self._engine.slab.observation(slot), told.get("info", {})

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Step the env.

        Args:
            actions: of all envs, as its own `step` takes them.

        Returns:
            Observations, rewards, terminations, truncations and infos, as the env returns them.
        """
        engine = self._engine
        slot = engine.slab.delivery.next_slot()
        fits = engine.slab.actions.put(actions)
        told = self._ask(protocol.STEP, None if fits else actions, slot, self._options.step_timeout)
        rewards, terminations, truncations = engine.slab.outcome()
        if "reward_dtype" in told:
            self._dtype = np.dtype(told["reward_dtype"])
        rewards = told.get("rewards", rewards.astype(self._dtype, copy=False))
        return (
            engine.slab.observation(slot),
            rewards,
            terminations,
            truncations,
            told.get("info", {}),
        )

    def render(self) -> Any:
        """What the env's own `render` returns."""
        return self._call("render")

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What the env's own `call` returns."""
        return self._call("call", name, *args, **kwargs)

    def get_attr(self, name: str) -> Any:
        """What the env's own `get_attr` returns."""
        return self._call("get_attr", name)

    def set_attr(self, name: str, values: Any) -> None:
        """Call the env's own `set_attr`."""
        self._call("set_attr", name, values)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Close the env and end its worker, see `AsyncVectorEnv.close_extras`."""
        self._engine.pool.close(timeout, terminate=terminate)

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        told = {"name": name, "args": args, "kwargs": kwargs}
        return self._ask(protocol.CALL, told, 0, self._options.call_timeout)["results"][0]

    def _ask(self, command: int, told: Any, slot: int, seconds: float | None) -> Told:
        if self.closed:
            raise ClosedEnvironmentError("Trying to operate on a closed vector env.")
        pool = self._engine.pool
        if pool.broken:
            raise WorkerError(pool.broken, hint="close() it and make a new one")
        payload = b"" if told is None else pool.codec.encode(told)
        pool.ask(
            self._engine.workers[0], Asked(command, slot, payload), self._engine.end_of(seconds)
        )
        return self._engine.told(self._engine.collect())[0]

    def __del__(self) -> None:
        """End the worker of an env that nobody closed."""
        if not self.closed and "_engine" in vars(self):
            self.close(terminate=True)
