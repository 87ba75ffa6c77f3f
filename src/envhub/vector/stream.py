"""`send` and `recv`: whichever envs are ready first, beside the lock-step of `step`."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import select
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.vector import VectorEnv

from envhub.errors import ArgumentError
from envhub.vector.engine import Engine
from envhub.vector.pool import Answer, Asked, Worker
from envhub.worker import protocol

Array = np.ndarray[Any, Any]
Outcome = tuple[Any, Array, Array, Array, dict[str, Any]]

# The info that says which envs `recv` answers for.
ENV_ID = "env_id"


class Stream:
    """Sends actions to some workers and receives from those that are ready first.

    Args:
        engine: the workers.
        batch_size: how many envs `recv` answers for.

    Raises:
        ArgumentError: shards do not add up to a batch.
    """

    def __init__(self, engine: Engine, batch_size: int) -> None:
        workers = engine.workers
        sizes = [worker.hi - worker.lo for worker in workers]
        whole = batch_size == engine.num_envs
        if not whole and (len(set(sizes)) > 1 or batch_size % sizes[0]):
            raise ArgumentError(
                f"batch_size={batch_size}, where workers answer for {max(sizes)} envs at a time",
                hint="a batch_size that is a multiple of num_envs / num_workers",
            )
        self._engine = engine
        self._shards = len(workers) if whole else batch_size // sizes[0]
        # The workers that were sent actions, by what they are heard on, with the time at which each
        # counts as hung; and what was heard of those that have answered.
        self._pending: dict[int, tuple[Worker, float | None]] = {}
        self._ready: dict[int, tuple[Worker, Answer]] = {}
        self._ears = select.poll()
        self._all = np.arange(engine.num_envs)
        self._owner = np.repeat(np.arange(len(workers)), sizes)
        self._envs = [self._all[worker.lo : worker.hi] for worker in workers]
        self._batch: VectorEnv[Any, Any, Any] = VectorEnv()

    @property
    def is_pending(self) -> bool:
        """Whether something was sent that was not received."""
        return bool(self._pending or self._ready)

    def send(self, actions: Any, env_ids: Any) -> None:
        """Let some envs step.

        Args:
            actions: one for each of these envs.
            env_ids: the envs, all of them if `None`; whole shards, like `recv` answers for them.

        Raises:
            ArgumentError: not whole shards.
            AlreadyPendingCallError: some of them were sent actions that were not received.
            ValueError: there are not as many actions as envs.
        """
        envs = self._all if env_ids is None else np.asarray(env_ids)
        workers, places = self._turn(envs)
        if any(
            worker.awaited is not None or worker.spot.worker in self._ready for worker in workers
        ):
            raise AlreadyPendingCallError(
                "Calling `send` for envs whose last step was not received.", "step"
            )
        engine = self._engine
        payloads = engine.slab.actions.deal(actions, envs, places)
        spare, hung_at = engine.slab.delivery.spare, engine.end_of(engine.options.step_timeout)
        for worker, payload in zip(workers, payloads, strict=True):
            asked = Asked(protocol.STEP, spare(worker.slot), payload)
            engine.pool.ask(worker, asked, hung_at)
            self._await(worker, hung_at)

    def await_all(self) -> None:
        """Let `recv` answer for what all workers were asked just now: a reset."""
        hung_at = self._engine.end_of(self._engine.options.reset_timeout)
        for worker in self._engine.workers:
            self._await(worker, hung_at)

    def recv(self, timeout: float | None) -> Outcome:
        """The outcome of the steps of those envs that were ready first.

        Args:
            timeout: seconds after which to give up.

        Raises:
            NoAsyncCallError: fewer envs than a batch were sent actions.
            multiprocessing.TimeoutError: they took longer.
        """
        if len(self._pending) + len(self._ready) < self._shards:
            raise NoAsyncCallError(
                "Calling `recv` without a prior `send` to as many envs as it answers for.", "step"
            )
        patience = None if timeout is None else time.monotonic() + timeout
        while len(self._ready) < self._shards:
            if not self._listen(patience):
                raise multiprocessing.TimeoutError(
                    f"The call to `recv` has timed out after {timeout} second(s)."
                )
        batch = [self._ready.pop(number) for number in list(self._ready)[: self._shards]]
        return self._outcome([worker for worker, _ in batch], [answer for _, answer in batch])

    def close(self) -> None:
        """Stop listening."""
        self._pending, self._ready = {}, {}

    def _await(self, worker: Worker, hung_at: float | None) -> None:
        self._pending[worker.bell.read_fd] = worker, hung_at
        self._ears.register(worker.bell.read_fd, select.POLLIN)

    def _listen(self, patience: float | None) -> bool:
        """Take what can be heard, or wait for it; `False` if patience is at an end."""
        ends = [end for _, end in self._pending.values() if end is not None]
        if patience is not None:
            ends.append(patience)
        heard = self._ears.poll(_milliseconds(min(ends) - time.monotonic()) if ends else None)
        for fd, _ in heard:
            self._take(fd)
        if heard:
            return True
        now = time.monotonic()
        hung = [fd for fd, (_, end) in self._pending.items() if end is not None and end <= now]
        for fd in hung:
            self._take(fd)
        return bool(hung) or patience is None or now < patience

    def _take(self, fd: int) -> None:
        # Forgotten before it is heard: if it has died, its pipe gives way to another.
        self._ears.unregister(fd)
        worker, hung_at = self._pending.pop(fd)
        self._ready[worker.spot.worker] = worker, self._engine.answer(worker, None, hung_at)

    def _turn(self, envs: Array) -> tuple[list[Worker], list[Array]]:
        """The workers of some envs, each with the places of its envs among them."""
        order = np.argsort(envs, kind="stable")
        found = envs[order]
        numbers = list(dict.fromkeys(self._owner[found].tolist()))
        whole = np.concatenate([self._envs[number] for number in numbers]) if numbers else found
        if not np.array_equal(found, whole):
            raise ArgumentError(
                f"env_ids={envs.tolist()!s:.80} has some of the envs of a worker, not each once",
                why="the envs of one worker step together",
                hint='env_ids as `recv` gave them in info["env_id"]',
            )
        workers = [self._engine.workers[number] for number in numbers]
        ends = [0, *itertools.accumulate(worker.hi - worker.lo for worker in workers)]
        places = [order[start:end] for start, end in itertools.pairwise(ends)]
        return workers, places

    def _outcome(self, workers: Sequence[Worker], answers: Sequence[Answer]) -> Outcome:
        engine, slab = self._engine, self._engine.slab
        heard = engine.heard(answers, workers)
        envs = np.concatenate([self._envs[worker.spot.worker] for worker in workers])
        shards = [(worker.slot, slice(worker.lo, worker.hi)) for worker in workers]
        observation = slab.observation_of_some(envs, shards, heard.objects)
        rewards, terminations, truncations = slab.outcome_of_some(envs)
        self._batch.num_envs = len(envs)
        infos = engine.infos(heard, self._batch._add_info)
        infos[ENV_ID] = envs
        return observation, rewards, terminations, truncations, infos


def _milliseconds(seconds: float) -> int:
    return max(0, math.ceil(seconds * 1000))
