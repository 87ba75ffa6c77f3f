"""`AsyncVectorEnv`: Gymnasium's vector env of processes, on shared memory and few processes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

from gymnasium import Space, logger
from gymnasium.core import Env
from gymnasium.error import AlreadyPendingCallError, ClosedEnvironmentError, NoAsyncCallError
from gymnasium.vector import AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState
from gymnasium.vector.async_vector_env import AsyncVectorEnv as GymnasiumAsyncVectorEnv

from envhub.errors import ArgumentError, WorkerError
from envhub.vector import arguments, planning
from envhub.vector.engine import Engine
from envhub.vector.failures import Failure
from envhub.vector.hearing import Heard
from envhub.vector.options import Options
from envhub.vector.planning import ObservationMode, Wanted
from envhub.vector.pool import Answer, Worker
from envhub.vector.starts import LocalStarter, Starter
from envhub.vector.stream import Outcome, Stream
from envhub.worker import protocol

DEFAULT, WAITING_STEP = AsyncState.DEFAULT, AsyncState.WAITING_STEP


class AsyncVectorEnv(GymnasiumAsyncVectorEnv[Any, Any]):
    """Steps envs in a few worker processes over shared memory; a drop-in for Gymnasium's.

    It takes Gymnasium's arguments and returns what Gymnasium's `SyncVectorEnv` returns, bit for
    bit; see docs/vector.md for the rules where Gymnasium's two vector envs differ. A `worker` of
    your own speaks Gymnasium's protocol over pipes: with one, Gymnasium's class is made.

    Args:
        env_fns: makes the envs, each in its worker.
        shared_memory: accepted for compatibility; whatever fits into shared memory goes there.
        copy: whether an observation that was returned never changes. Without it, it is valid
            until the step after the next.
        context: how to start workers, "fork", "spawn" or "forkserver"; see `start_method`.
        daemon: accepted for compatibility; workers end with this process and may have children.
        worker: see above.
        observation_mode: "same", "different", or the batched and the single observation space.
        autoreset_mode: what follows the last step of an episode.
        max_concurrency: no more workers than this.
        num_workers: how many processes, by default as `step` says.
        step: what a step does, "cpu", "uneven" or "wait", see `Options`.
        batch_size: how many envs `recv` answers for.
        on_worker_failure: "raise", "restart" or "replay", see `Options`.
        max_restarts: failures of one worker in a row that end in an error.
        step_timeout: seconds that a step may take before its worker counts as hung.
        reset_timeout: the same for a reset.
        start_timeout: the same for building the envs.
        start_method: "auto", "exec", "fork", "forkserver" or "spawn", see `LocalStarter`.
        threads: threads of BLAS and OpenMP in each worker, 0 to leave them as they are.
        profile: name of a cached profile, see `Options`.

    Raises:
        ArgumentError: an argument has a value that cannot work.
        RuntimeError: the envs have different spaces.
        Exception: what one of `env_fns` raised.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: D102 — see the class
        worker = kwargs.get("worker") or (args[5] if len(args) > 5 else None)
        if worker is not None:
            return GymnasiumAsyncVectorEnv(*args, **kwargs)
        return super().__new__(cls)

    def __init__(  # noqa: PLR0917 — these are Gymnasium's
        self,
        env_fns: Sequence[Callable[[], Env[Any, Any]]],
        shared_memory: bool = True,
        copy: bool = True,
        context: str | None = None,
        daemon: bool = True,
        worker: Any = None,
        observation_mode: str | Space[Any] | ObservationMode = "same",
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_concurrency: int | None = None,
        *,
        num_workers: int | None = None,
        step: str | None = None,
        batch_size: int | None = None,
        on_worker_failure: str = "raise",
        max_restarts: int = 3,
        step_timeout: float | None = None,
        reset_timeout: float | None = None,
        start_timeout: float | None = 300.0,
        start_method: str = "auto",
        threads: int = 1,
        profile: str | None = None,
    ) -> None:
        self.env_fns = env_fns
        self.shared_memory = shared_memory
        self.context = context
        self.daemon = daemon
        self.worker = worker
        self.max_concurrency = arguments.concurrency_of(max_concurrency)
        options = Options(
            num_workers=num_workers,
            step=step,
            batch_size=batch_size,
            on_worker_failure=on_worker_failure,
            max_restarts=max_restarts,
            step_timeout=step_timeout,
            reset_timeout=reset_timeout,
            start_timeout=start_timeout,
            start_method=start_method if context is None else context,
            threads=threads,
            profile=profile,
        )
        if not len(env_fns):
            raise ArgumentError("a vector env of no envs", hint="pass at least one env factory")
        starter = LocalStarter(env_fns, options.start_method, options.threads)
        wanted = Wanted(observation_mode, AutoresetMode(autoreset_mode), copy)
        self._open(starter, len(env_fns), wanted, options)

    @classmethod
    def started_by(
        cls, starter: Starter, num_envs: int, wanted: Wanted, options: Options
    ) -> AsyncVectorEnv:
        """A vector env whose workers find their envs themselves, like those in a sandbox.

        Args:
            starter: starts the workers; its codec says whether they are trusted.
            num_envs: how many envs.
            wanted: the modes.
            options: as in the constructor.
        """
        envs: AsyncVectorEnv = object.__new__(cls)
        envs.env_fns, envs.shared_memory, envs.daemon = (), True, True
        envs.context = envs.worker = envs.max_concurrency = None
        envs._open(starter, num_envs, wanted, options)
        return envs

    def _open(self, starter: Starter, num_envs: int, wanted: Wanted, options: Options) -> None:
        self.observation_mode = wanted.observation_mode
        self.autoreset_mode = wanted.autoreset_mode
        self.copy = wanted.copy
        self.num_envs = num_envs
        self._options = options
        self._unsettled = False
        num_workers = options.workers_for(num_envs, self.max_concurrency)
        self._engine = Engine(starter, num_envs, num_workers, options)
        try:
            vars(self).update(vars(planning.build(self._engine, wanted)))
            self._stream = Stream(self._engine, options.batch_size or num_envs)
        except BaseException:
            self._engine.pool.close(terminate=True)
            raise
        self._state = DEFAULT

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers: each has `pid`, its envs [`lo`, `hi`), and `is_alive()`."""
        return tuple(self._engine.workers)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What happened to workers that were replaced, in order."""
        return tuple(self._engine.failures)

    def reset_async(self, seed: Any = None, options: dict[str, Any] | None = None) -> None:
        """Ask all envs to reset; `reset_wait` has what they answer.

        Args:
            seed: `None`, a whole number for the first env (the next has one more), or a list.
            options: for each env; `options["reset_mask"]` picks the envs to reset.

        Raises:
            AlreadyPendingCallError: something else is pending.
            ClosedEnvironmentError: this vector env is closed.
        """
        self._assert_is_running()
        seeds = arguments.seeds_of(seed, self.num_envs)
        self._begin("reset_async")
        options, mask = arguments.mask_of(options, self.num_envs)
        self._engine.reset(seeds, options, mask)
        self._state = AsyncState.WAITING_RESET

    def reset_wait(self, timeout: float | None = None) -> tuple[Any, dict[str, Any]]:
        """Wait for the observations and infos of a reset.

        Args:
            timeout: seconds after which to give up.

        Raises:
            NoAsyncCallError: `reset_async` was not called.
            multiprocessing.TimeoutError: they took longer.
        """
        heard = self._end(AsyncState.WAITING_RESET, timeout)
        return self._engine.observation(heard), self._engine.infos(heard, self._add_info)

    def step_async(self, actions: Any) -> None:
        """Ask all envs to step; `step_wait` has what they answer.

        Args:
            actions: one for each env.

        Raises:
            AlreadyPendingCallError: something else is pending.
            ClosedEnvironmentError: this vector env is closed.
            ValueError: there are not as many actions as envs.
        """
        self._assert_is_running()
        self._begin("step_async")
        self._engine.step(actions)
        self._state = WAITING_STEP

    def step_wait(self, timeout: float | None = None) -> Outcome:
        """Wait for observations, rewards, terminations, truncations and infos of a step.

        Args:
            timeout: seconds after which to give up.

        Returns:
            The observations; rewards (n,) float64; terminations and truncations (n,) bool; infos.

        Raises:
            NoAsyncCallError: `step_async` was not called.
            multiprocessing.TimeoutError: they took longer.
        """
        engine = self._engine
        heard = self._end(WAITING_STEP, timeout)
        rewards, terminations, truncations = engine.slab.outcome()
        infos = engine.infos(heard, self._add_info)
        return engine.observation(heard), rewards, terminations, truncations, infos

    def send(self, actions: Any, env_ids: Any = None) -> None:
        """Let some envs step while others are still at it; `recv` has what they answer.

        Args:
            actions: one for each of these envs.
            env_ids: which envs, like `recv` told in `info["env_id"]`; all of them by default.

        Raises:
            ArgumentError: some, but not all envs of a worker.
            AlreadyPendingCallError: some of them have a step that was not received.
        """
        self._begin_turn("send")
        self._stream.send(actions, env_ids)

    def async_reset(self, seed: Any = None, options: dict[str, Any] | None = None) -> None:
        """Reset all envs for `recv` to answer, like `reset_async` otherwise."""
        self._begin_turn("async_reset")
        seeds = arguments.seeds_of(seed, self.num_envs)
        self._engine.reset(seeds, *arguments.mask_of(options, self.num_envs))
        self._stream.await_all()

    def recv(self, timeout: float | None = None) -> Outcome:
        """Wait for the steps of `batch_size` envs, whichever are ready first.

        Args:
            timeout: seconds after which to give up.

        Returns:
            What `step_wait` returns, for these envs; `infos["env_id"]` says which they are.

        Raises:
            NoAsyncCallError: fewer envs were sent actions.
            multiprocessing.TimeoutError: they took longer.
        """
        self._assert_is_running()
        return self._stream.recv(timeout)

    def call_async(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        """Ask all envs to call a method, or for an attribute; `call_wait` has the results.

        Raises:
            ValueError: the name is one of those that have a method of their own here.
        """
        self._assert_is_running()
        if name in protocol.RESERVED:
            raise ValueError(
                f"Trying to call function `{name}` with `call`, use `{name}` directly instead."
            )
        self._begin("call_async")
        told = {"name": name, "args": args, "kwargs": kwargs}
        self._engine.call(protocol.CALL, [told] * len(self._engine.workers))
        self._state = AsyncState.WAITING_CALL

    def call_wait(self, timeout: float | None = None) -> tuple[Any, ...]:
        """Wait for the results of a call, one for each env.

        Raises:
            NoAsyncCallError: `call_async` was not called.
            multiprocessing.TimeoutError: they took longer.
            Exception: what an env raised.
        """
        self._expect(AsyncState.WAITING_CALL)
        answers = self._collect("call_wait", timeout)
        return tuple(self._engine.results(answers))

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of the envs.

        Args:
            name: its name.
            values: a list or tuple with a value for each env, or one value for all.

        Raises:
            ValueError: a list of another length.
        """
        self._assert_is_running()
        if not isinstance(values, list | tuple):
            values = [values] * self.num_envs
        if len(values) != self.num_envs:
            raise ValueError(
                "Values must be a list or tuple with length equal to the number of environments. "
                f"Got `{len(values)}` values for {self.num_envs} environments."
            )
        self._begin("set_attr")
        workers = self._engine.workers
        told = [{"name": name, "values": list(values[w.lo : w.hi])} for w in workers]
        self._engine.call(protocol.SET, told)
        answers = self._collect("set_attr", None)
        self._engine.results(answers)
        for worker, each in zip(workers, told, strict=True):
            self._engine.note_attribute(worker, name, each)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Close the envs and end the workers.

        Args:
            timeout: seconds that they may take; by default half a second to notice and 10 to close.
            terminate: do not wait for the envs to close.
        """
        if self._state is not DEFAULT:
            logger.warn(
                f"Calling `close` while waiting for a pending call to `{self._state.value}` to "
                "complete."
            )
            self._state = DEFAULT
        self._stream.close()
        self._engine.pool.close(timeout, terminate=terminate)

    def _begin_turn(self, name: str) -> None:
        self._assert_is_running()
        if self._state is not DEFAULT:
            raise _pending(name, self._state.value)
        self._settle()

    def _begin(self, name: str) -> None:
        if self._state is not DEFAULT or self._stream.is_pending:
            raise _pending(name, "send" if self._stream.is_pending else self._state.value)
        self._settle()

    def _settle(self) -> None:
        if self._unsettled:
            self._engine.settle()
            self._unsettled = False

    def _expect(self, state: AsyncState) -> None:
        self._assert_is_running()
        if self._state is not state:
            raise NoAsyncCallError(
                f"Calling `{state.value}_wait` without any prior call to `{state.value}_async`.",
                state.value,
            )

    def _end(self, state: AsyncState, timeout: float | None) -> Heard:
        self._expect(state)
        return self._engine.heard(self._collect(state, timeout))

    def _collect(self, what: AsyncState | str, timeout: float | None) -> list[Answer]:
        patience = None if timeout is None else time.monotonic() + timeout
        # Whatever ends the wait, ^C too: the next call first hears out what is still owed.
        self._unsettled = True
        self._state = DEFAULT
        try:
            answers = self._engine.collect(patience=patience)
        except multiprocessing.TimeoutError:
            name = what if isinstance(what, str) else f"{what.value}_wait"
            raise multiprocessing.TimeoutError(
                f"The call to `{name}` has timed out after {timeout} second(s)."
            ) from None
        self._unsettled = False
        return answers

    def _assert_is_running(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError(
                f"Trying to operate on `{type(self).__name__}`, after a call to `close()`."
            )
        if self._engine.pool.broken:
            raise WorkerError(self._engine.pool.broken, hint="close() it and make a new one")


def _pending(name: str, other: str) -> AlreadyPendingCallError:
    return AlreadyPendingCallError(
        f"Calling `{name}` while waiting for a pending call to `{other}` to complete.", other
    )
