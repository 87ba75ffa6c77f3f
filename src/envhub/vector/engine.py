"""Exchanges commands for answers with the workers of one vector env, whatever becomes of them."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

from envhub.errors import EnvRaisedError, WorkerProtocolError
from envhub.vector import caller, failures, profile
from envhub.vector.failures import Failure
from envhub.vector.hearing import Heard, Hearing, Told, garbled
from envhub.vector.infos import Add, UnknownKindError
from envhub.vector.options import Options, split
from envhub.vector.patience import Patience, first
from envhub.vector.pool import Answer, Asked, Pool, Worker
from envhub.vector.recovery import Failed, Recovery
from envhub.vector.slab import Plan, Slab
from envhub.vector.starts import Starter
from envhub.worker import protocol
from envhub.worker.codec import CodecError
from envhub.worker.doorbell import BellError, LateError
from envhub.worker.places import Spot

HINT = 'on_worker_failure="restart" or "replay" lets a vector env go on after such a failure'

# What steps envs: an env that raises in it has failed.
STEPPING = (protocol.RESET, protocol.STEP)


class Engine:
    """The workers of one vector env and the block that they share.

    Args:
        starter: how workers are started.
        num_envs: envs of all workers together.
        num_workers: how many workers.
        options: what to do about failures and time.

    Attributes:
        pool: the workers.
        slab: the block, once it is mapped.
        failures: what recovery dealt with.
    """

    slab: Slab

    def __init__(self, starter: Starter, num_envs: int, num_workers: int, options: Options) -> None:
        self.options = options
        self.num_envs = num_envs
        self._paces = profile.Keeper(options.profile, num_envs, num_workers)
        self.failures: list[Failure] = []
        self._recovery: Recovery | None = None
        self._map: Asked | None = None
        self._patience = Patience(options)
        spots = [Spot(i, *bounds) for i, bounds in enumerate(split(num_envs, num_workers))]
        self._nothing: list[Told] = [{}] * num_workers
        self.pool = Pool(starter, spots, caller.cores())

    @property
    def workers(self) -> list[Worker]:
        """The workers, in the order of their envs."""
        return self.pool.workers

    def build(self, *, all_spaces: bool = False, whole: bool = False) -> list[Told]:
        """Start the workers and let them build their envs; what each says of them.

        Args:
            all_spaces: ask for the observation space of each env.
            whole: there is one env, a vector env.

        Raises:
            Exception: what a factory raised.
        """
        self._wishes = {"spaces": all_spaces, "whole": whole}
        for worker in self.workers:
            self._build(worker)
        return self.told(self.collect())

    def map(self, plan: Plan) -> list[Told]:
        """Lay out the block and let the workers map it; whether their spaces fit the plan."""
        self.slab = Slab(plan, self.pool.memory_fd, self.pool.codec)
        spots = [worker.spot for worker in self.workers]
        self._hearing = Hearing(spots, self.slab, self._paces)
        replays = self.options.on_worker_failure == "replay"
        told = {
            "num_envs": plan.num_envs,
            "num_workers": plan.num_workers,
            "slots": len(self.slab.slots),
            "size": self.slab.layout.size,
            "observation_space": plan.observation_space,
            "action_space": plan.action_space,
            "same": plan.same,
            "mode": plan.mode,
            "whole": plan.whole,
            "recall": replays,
            "measure": self.options.profile is not None,
        }
        self._map = Asked(protocol.MAP, 0, self.pool.codec.encode(told))
        for worker in self.workers:
            self.pool.ask(worker, self._map)
        answers = self.told(self.collect())
        self.pool.cursors = self.slab.cursors
        if self.options.recovers:
            times = self.options.max_restarts
            self._recovery = Recovery(
                self.pool, self.slab, plan.mode, replays=replays, max_restarts=times
            )
        return answers

    def collect(
        self,
        workers: Sequence[Worker] | None = None,
        *,
        patience: float | None = None,
        hung_at: float | None = None,
    ) -> list[Answer]:
        """Wait for the answers of workers that were asked the same.

        Args:
            workers: by default all.
            patience: a time of `time.monotonic()` at which the caller is told that it is late.
            hung_at: when a worker counts as hung, if they were asked some time ago.

        Raises:
            multiprocessing.TimeoutError: the caller's patience is at an end.
            WorkerError: a worker failed, and nothing was to be done about it.
        """
        some = self.pool.workers if workers is None else workers
        # All were asked at once: one that hangs does not give the others more time.
        hung_at = hung_at or self._patience.hung_at(some[0].asked.command)
        return [self.answer(worker, patience, hung_at) for worker in some]

    def heard(self, answers: Sequence[Answer], workers: Sequence[Worker] | None = None) -> Heard:
        """What workers answered to a reset or step.

        Raises:
            Exception: what an env raised.
            WorkerProtocolError: an answer makes no sense.
        """
        if self._recovery is None and (silence := self._hearing.silence(answers)) is not None:
            return silence
        some = self.pool.workers if workers is None else workers
        told = self._nothing[: len(answers)]
        if any(payload for _, payload in answers):
            told = self.told(answers, stepping=True)
        try:
            heard = self._hearing.hear(some, [status for status, _ in answers], told)
        except WorkerProtocolError as error:
            self.broken(error)
            raise
        if self._recovery is not None:
            for worker, more in zip(some, told, strict=True):
                self._recovery.note(worker, more)
        return heard

    def settle(self) -> None:
        """Hear out what was given up on, so that it is taken for nothing else."""
        owing = [worker for worker in self.workers if worker.awaited is not None]
        answers = [self.collect([worker])[0] for worker in owing]
        stepped = [(w, a) for w, a in zip(owing, answers, strict=True) if _is_stepping(w)]
        if stepped:
            self.heard([answer for _, answer in stepped], [worker for worker, _ in stepped])

    def reset(self, seeds: Sequence[Any], options: Any, mask: Any) -> None:
        """Ask all workers for a reset."""
        slot = self.slab.delivery.next_slot()
        end = self.end_of(self.options.reset_timeout)
        for worker in self.workers:
            rows = slice(worker.lo, worker.hi)
            some = None if mask is None else mask[rows].tolist()
            told = {"seeds": list(seeds[rows]), "options": options, "mask": some}
            self.pool.ask(worker, Asked(protocol.RESET, slot, self.pool.codec.encode(told)), end)

    def step(self, actions: Any) -> None:
        """Ask all workers for a step.

        Raises:
            ValueError: there are not as many actions as envs.
            TypeError: they cannot be iterated over.
        """
        actions_of = self.slab.actions
        slot = self.slab.delivery.next_slot()
        if actions_of.put(actions):
            self.pool.ring(protocol.STEP, slot)
            return
        payloads = actions_of.split(actions, [slice(w.lo, w.hi) for w in self.workers])
        end = self.end_of(self.options.step_timeout)
        for worker, payload in zip(self.workers, payloads, strict=True):
            self.pool.ask(worker, Asked(protocol.STEP, slot, payload), end)

    def call(self, command: int, told: Sequence[Told]) -> None:
        """Ask each worker to call or set something."""
        end = self.end_of(self.options.call_timeout)
        for worker, each in zip(self.workers, told, strict=True):
            asked = Asked(command, worker.slot, self.pool.codec.encode(each))
            self.pool.ask(worker, asked, end)

    def observation(self, heard: Heard) -> Any:
        """The observation of all envs after a reset or step."""
        return self.slab.observation(self.pool.workers[0].slot, heard.objects)

    def infos(self, heard: Heard, add: Add) -> dict[str, Any]:
        """The infos of all envs after a reset or step; `add` adds one env's as Gymnasium does."""
        try:
            return self.slab.infos.batch(heard.parts, add)
        except UnknownKindError as error:
            raise self.broken(garbled(error)) from error

    def results(self, answers: Sequence[Answer]) -> list[Any]:
        """What workers answered to a call, one result for each env.

        Raises:
            Exception: what an env raised.
        """
        return [result for told in self.told(answers) for result in told.get("results", ())]

    def note_attribute(self, worker: Worker, name: str, told: Told) -> None:
        """Remember an attribute that was set, for new envs in the place of lost ones."""
        if self._recovery is not None:
            self._recovery.note_attribute(worker, name, told)

    def revive(self, worker: Worker) -> None:
        """Start a new process for a shard, and let it build its envs and map the block.

        Raises:
            Failed: it failed in that.
        """
        self.slab.infos.forget(worker.spot.worker)
        self._build(worker)
        self._ordered(worker)
        if self._map is not None:
            self.order(worker, self._map._replace(slot=worker.slot))

    def order(self, worker: Worker, asked: Asked) -> Told:
        """Ask one worker and wait for what it answers.

        Raises:
            Failed: it failed in that.
        """
        self.pool.ask(worker, asked, self.end_of(self.options.start_timeout))
        return self._ordered(worker)

    def replay(self, worker: Worker, payload: bytes, counts: tuple[int, int]) -> Told:
        """Let one worker replay its episodes.

        Args:
            worker: it.
            payload: the episodes.
            counts: how many resets and steps that are.

        Raises:
            Failed: it failed in that.
        """
        cursor = self.slab.cursors[worker.spot.worker]
        cursor[:] = -1  # whoever had this shard before has left something in it
        asked = Asked(protocol.REPLAY, worker.slot, payload)
        self.pool.ask(worker, asked, self.end_of(self.options.start_timeout))
        return self._ordered(worker, lambda: self._patience.watch(worker, cursor, counts))

    def broken(self, error: BaseException) -> BaseException:
        """Note that nothing can be asked any more, because of an error."""
        self.pool.broken = f"an error ended it before: {str(error).splitlines()[0]}"
        return error

    def _build(self, worker: Worker) -> None:
        wishes = {"describe": worker.spot.worker == 0, **self._wishes}
        payload = self.pool.codec.encode({**self.pool.launch(worker), **wishes})
        end = self.end_of(self.options.start_timeout)
        self.pool.ask(worker, Asked(protocol.BUILD, worker.slot, payload), end)

    def _ordered(self, worker: Worker, hear: Callable[[], Answer] | None = None) -> Told:
        try:
            hung_at = self._patience.lost_at(worker.asked.command)
            answer = worker.hear(hung_at) if hear is None else hear()
        except BellError as error:
            raise Failed(self.pool.failure(worker, error)) from error
        if answer[0] == protocol.FAILED:
            raise Failed(self._raised(worker, answer))
        return self._decoded(answer)

    def answer(self, worker: Worker, patience: float | None, hung_at: float | None) -> Answer:
        """Wait for the answer of one worker, see `collect`."""
        while True:
            try:
                answer = worker.hear(hung_at if patience is None else first(patience, hung_at))
            except BellError as error:
                over = patience is not None and time.monotonic() >= patience
                if over and isinstance(error, LateError):
                    raise multiprocessing.TimeoutError from error
                failure = self.pool.failure(worker, error)
            else:
                # Without recovery, an env's exception is not its worker's failure.
                failed = answer[0] == protocol.FAILED and self._recovery is not None
                if not (failed and _is_stepping(worker)):
                    return answer
                failure = self._raised(worker, answer)
            self._heal(worker, failure)
            hung_at = self._patience.hung_at(worker.asked.command)

    def _raised(self, worker: Worker, answer: Answer) -> Failure:
        troubles = self._decoded(answer)["troubles"]
        text = "\n".join(told["traceback"] for told in troubles)
        _, last = worker.end()
        failure = self.pool.describe(worker, EnvRaisedError, text, (None, last))
        return dataclasses.replace(failure, env=troubles[0]["index"])

    def _heal(self, worker: Worker, failure: Failure) -> None:
        if self._recovery is None:
            raise self.broken(failure.error(HINT))
        asked = worker.asked
        self.failures.append(failure)
        last = self._recovery.heal(worker, failure, self)
        if last is not None:
            raise self.broken(last.error(f"it failed {self.options.max_restarts} times in a row"))
        self.pool.ask(worker, asked, self.end_of(self.options.start_timeout))

    def told(self, answers: Sequence[Answer], *, stepping: bool = False) -> list[Told]:
        """What answers carry.

        Raises:
            Exception: what an env raised.
            WorkerProtocolError: an answer makes no sense.
        """
        told = [self._decoded(answer) for answer in answers]
        statuses = [status for status, _ in answers]
        if protocol.FAILED in statuses:
            raise self._exception(told, stepping=stepping)
        return told

    def _exception(self, told: Sequence[Told], *, stepping: bool) -> BaseException:
        """What the first of the envs that raised did raise, or the last, as Gymnasium does."""
        try:
            each = [(w, it) for w, more in enumerate(told) for it in more.get("troubles", ())]
            number, trouble = each[-1 if stepping else 0]
            error = failures.exception_of(trouble, number, self.pool.codec)
            if stepping:
                failures.announce([trouble for _, trouble in each])
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            return self.broken(garbled(error))
        if stepping:
            what = f"env {trouble['index']} was shut down after it raised {trouble['type']}"
            self.pool.broken = what
        return error

    def _decoded(self, answer: Answer) -> Told:
        status, payload = answer
        try:
            told = self.pool.codec.decode(payload) if payload else {}
            if not isinstance(told, dict) or (status == protocol.FAILED and "troubles" not in told):
                raise CodecError("it is of the wrong kind")
        except CodecError as error:
            raise self.broken(garbled(error)) from error
        return told

    @staticmethod
    def end_of(seconds: float | None) -> float | None:
        """The time at which what is asked now is late."""
        return None if seconds is None else time.monotonic() + seconds


def _is_stepping(worker: Worker) -> bool:
    return worker.asked.command in STEPPING
