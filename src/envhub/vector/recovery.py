"""Replaces a failed worker, and brings its envs back or reports their episodes as truncated."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np

from envhub.vector.diary import Diary
from envhub.vector.failures import Failure
from envhub.vector.pool import Asked, Pool, Worker
from envhub.vector.slab import Slab
from envhub.worker import protocol
from envhub.worker.replay import digest_of

log = logging.getLogger("envhub.vector")

DIVERGED = "and its episode could not be replayed"


class Failed(Exception):  # noqa: N818 — never leaves this package
    """A worker failed while it was being brought back.

    Args:
        failure: what happened.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Crew(Protocol):
    """Who can start and order workers, see `Engine`."""

    def revive(self, worker: Worker) -> None:
        """Start a new process for a shard, and let it build its envs and map the block."""

    def order(self, worker: Worker, asked: Asked) -> dict[str, Any]:
        """Ask one worker and wait for what it answers."""

    def replay(self, worker: Worker, payload: bytes, counts: tuple[int, int]) -> dict[str, Any]:
        """Let one worker replay its episodes, so many resets and steps."""


class Recovery:
    """Knows what it takes to bring each worker's envs back.

    Args:
        pool: the workers.
        slab: their block.
        mode: the autoreset mode.
        replays: whether episodes are replayed; otherwise they are truncated.
        max_restarts: failures of one worker in a row, with no step between, that are too many.
    """

    def __init__(
        self, pool: Pool, slab: Slab, mode: str, *, replays: bool, max_restarts: int
    ) -> None:
        self._pool = pool
        self._slab = slab
        self._max = max_restarts
        self._replays = replays
        workers = pool.workers
        self._diaries = [Diary(worker.hi - worker.lo, steps=replays) for worker in workers]
        self._in_a_row = [0] * len(workers)
        # How many steps of a worker do nothing yet but report what was lost, and reset it.
        self._idle = [0] * len(workers)
        self._idle_after_loss = 2 if mode == protocol.NEXT_STEP else 1
        self._total = [0] * len(workers)
        self._attributes: list[dict[str, Any]] = [{} for _ in workers]

    def note(self, worker: Worker, told: dict[str, Any]) -> None:
        """Note a reset or step that a worker has answered; `told` is its answer's payload."""
        number = worker.spot.worker
        diary, states = self._diaries[number], told.get("states", {})
        command, _, payload = worker.asked
        if command == protocol.STEP and self._idle[number]:
            self._idle[number] -= 1
        else:
            self._in_a_row[number] = 0
        if command == protocol.RESET:
            diary.note_reset(self._pool.codec.decode(payload), states)
        elif self._replays:
            rows = slice(worker.lo, worker.hi)
            actions = payload or self._slab.actions.rows(rows)
            rewards, flags = self._slab.rows(rows)
            diary.note_step(actions, rewards, flags, states)

    def note_attribute(self, worker: Worker, name: str, told: dict[str, Any]) -> None:
        """Note an attribute that was set, so that it is set again in new envs."""
        attributes = self._attributes[worker.spot.worker]
        attributes.pop(name, None)
        attributes[name] = told

    def heal(self, worker: Worker, failure: Failure, crew: Crew) -> Failure | None:
        """Give a shard a new process, with its envs as they were, or lost.

        Args:
            worker: whose process failed, and has been ended.
            failure: how.
            crew: who can start and order workers.

        Returns:
            The last failure, if too many came in a row.
        """
        number = worker.spot.worker
        while self._in_a_row[number] < self._max:
            self._in_a_row[number] += 1
            self._total[number] += 1
            log.warning("%s; starting a new one", failure)
            try:
                crew.revive(worker)
                self._restore(worker, str(failure), crew)
            except Failed as error:
                failure = error.failure
            else:
                return None
        return failure

    def _restore(self, worker: Worker, cause: str, crew: Crew) -> None:
        number = worker.spot.worker
        diary = self._diaries[number]
        for told in self._attributes[number].values():
            crew.order(worker, self._asked(worker, protocol.SET, told))
        same = self._replay(worker, diary, crew)
        lost = [row for row, known in enumerate(diary.known) if known and row not in same]
        if lost:
            cause = f"{cause}, {DIVERGED}" if self._replays else cause
            loss = self._loss(worker, lost, cause)
            crew.order(worker, self._asked(worker, protocol.LOSE, loss))
            diary.note_loss(lost)
            self._idle[number] = self._idle_after_loss

    def _replay(self, worker: Worker, diary: Diary, crew: Crew) -> set[int]:
        """Replay what can be; the rows of envs that went the same way."""
        rows = diary.replayable()
        if not rows:
            return set()
        told = diary.tell(rows, self._pool.codec.decode)
        for row in rows:
            arrays = [array[worker.lo + row] for array in self._slab.slots[worker.slot]]
            told["episodes"][row]["last"] = digest_of(arrays)
        # Before an unseeded reset, a reset with the seed that the env had before.
        resets = 2 * len(rows)
        steps = sum(len(told["actions"]) - told["episodes"][row]["start"] for row in rows)
        answer = crew.replay(worker, self._pool.codec.encode(told), (resets, steps))
        return {row for row in rows if answer["same"][row]}

    def _loss(self, worker: Worker, lost: list[int], cause: str) -> dict[str, Any]:
        last = {row: self._slab.observation_of(worker.lo + row, worker.slot) for row in lost}
        seeds = {row: self._seed(worker.spot.worker, row) for row in lost}
        return {"last": last, "seeds": seeds, "cause": cause, "lost": lost}

    def _asked(self, worker: Worker, command: int, told: dict[str, Any]) -> Asked:
        return Asked(command, worker.slot, self._pool.codec.encode(told))

    def _seed(self, number: int, row: int) -> int | None:
        """A seed for the episode after a lost one: another one, and the same in each run."""
        seed = self._diaries[number].seeds[row]
        if seed is None:
            return None
        return int(np.random.SeedSequence([abs(seed), self._total[number]]).generate_state(1)[0])
