"""`send` and `recv`: whichever envs are ready first, beside the lock-step of `step`."""

from __future__ import annotations

import multiprocessing
import selectors
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
        # The workers that were sent actions, with the time at which each counts as hung.
        self._pending: dict[int, float | None] = {}
        self._ready: list[tuple[Worker, Answer]] = []
        self._ears = selectors.DefaultSelector()
        self._owner = np.repeat(np.arange(len(workers)), sizes)

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
        turn = self._turn(env_ids)
        busy = [worker.spot.worker for worker, _ in turn if worker.awaited is not None]
        ready = [worker.spot.worker for worker, _ in self._ready]
        if busy or not set(ready).isdisjoint(worker.spot.worker for worker, _ in turn):
            raise AlreadyPendingCallError(
                "Calling `send` for envs whose last step was not received.", "step"
            )
        places = [place for _, place in turn]
        rows = [slice(worker.lo, worker.hi) for worker, _ in turn]
        payloads = self._engine.slab.actions.deal(actions, places, rows)
        spare = self._engine.slab.delivery.spare
        for (worker, _), payload in zip(turn, payloads, strict=True):
            asked = Asked(protocol.STEP, spare(worker.slot), payload)
            self._engine.pool.ask(worker, asked, self._hung_at())
            self._await(worker)

    def await_all(self) -> None:
        """Let `recv` answer for what all workers were asked just now."""
        for worker in self._engine.workers:
            self._await(worker)

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
        batch = [self._ready.pop(0) for _ in range(self._shards)]
        return self._outcome([worker for worker, _ in batch], [answer for _, answer in batch])

    def close(self) -> None:
        """Stop listening."""
        self._ears.close()
        self._pending, self._ready = {}, []

    def _await(self, worker: Worker) -> None:
        self._pending[worker.spot.worker] = self._hung_at()
        self._ears.register(worker.bell.read_fd, selectors.EVENT_READ, worker)

    def _listen(self, patience: float | None) -> bool:
        """Take what can be heard, or wait for it; `False` if patience is at an end."""
        ends = [end for end in (patience, *self._pending.values()) if end is not None]
        wait = max(0.0, min(ends) - time.monotonic()) if ends else None
        heard = [key.data for key, _ in self._ears.select(wait)]
        for worker in heard:
            self._take(worker)
        if heard:
            return True
        now = time.monotonic()
        hung = [number for number, end in self._pending.items() if end is not None and end <= now]
        for number in hung:
            self._take(self._engine.workers[number])
        return bool(hung) or patience is None or now < patience

    def _take(self, worker: Worker) -> None:
        # Unregistered before it is heard: if it has died, its pipe gives way to another.
        self._ears.unregister(worker.bell.read_fd)
        hung_at = self._pending.pop(worker.spot.worker)
        (answer,) = self._engine.collect([worker], hung_at=hung_at)
        self._ready.append((worker, answer))

    def _hung_at(self) -> float | None:
        seconds = self._engine.options.step_timeout
        return None if seconds is None else time.monotonic() + seconds

    def _turn(self, env_ids: Any) -> list[tuple[Worker, Any]]:
        """The workers of some envs, each with the places of its envs among them."""
        workers = self._engine.workers
        if env_ids is None:
            return [(worker, slice(worker.lo, worker.hi)) for worker in workers]
        ids = np.asarray(env_ids)
        turn: list[tuple[Worker, Any]] = []
        for number in dict.fromkeys(self._owner[ids].tolist()):
            worker = workers[number]
            places = np.flatnonzero((ids >= worker.lo) & (ids < worker.hi))
            places = places[np.argsort(ids[places], kind="stable")]
            if not np.array_equal(ids[places], np.arange(worker.lo, worker.hi)):
                raise ArgumentError(
                    f"env_ids has some of the envs {worker.lo} to {worker.hi - 1}, not each once",
                    why="the envs of one worker step together",
                    hint='env_ids as `recv` gave them in info["env_id"]',
                )
            turn.append((worker, places))
        return turn

    def _outcome(self, workers: Sequence[Worker], answers: Sequence[Answer]) -> Outcome:
        engine, slab = self._engine, self._engine.slab
        heard = engine.heard(answers, workers)
        shards = [(worker.slot, slice(worker.lo, worker.hi)) for worker in workers]
        observation = slab.observation_of_some(shards, heard.objects)
        rewards, terminations, truncations = slab.outcome_of_some([rows for _, rows in shards])
        batch: VectorEnv[Any, Any, Any] = VectorEnv()
        batch.num_envs = len(rewards)
        infos = engine.infos(heard, batch._add_info)
        ids = [np.arange(worker.lo, worker.hi) for worker in workers]
        infos[ENV_ID] = ids[0] if len(ids) == 1 else np.concatenate(ids)
        return observation, rewards, terminations, truncations, infos
