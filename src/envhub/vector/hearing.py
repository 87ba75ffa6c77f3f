"""What workers say beside the block: infos that are no records, objects, how long steps take."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from envhub.errors import WorkerProtocolError
from envhub.vector.infos import Part
from envhub.vector.observations import Objects
from envhub.vector.pool import Answer, Worker
from envhub.vector.profile import Keeper
from envhub.vector.slab import Slab
from envhub.worker import protocol
from envhub.worker.places import Spot

Told = dict[str, Any]


class Heard(NamedTuple):
    """What some workers answered beside the block."""

    parts: list[Part]
    objects: list[Objects]


NOTHING = Heard([], [])


class Hearing:
    """Makes sense of what workers answer to a reset or step.

    Args:
        spots: the shards.
        slab: their block.
        paces: keeps how long steps take.
    """

    def __init__(self, spots: Sequence[Spot], slab: Slab, paces: Keeper) -> None:
        self._infos = slab.infos
        self._objects = len(slab.observations.objects)
        self._paces = paces
        self._dropped: set[str] = set()
        # What an answer says that has no payload, by its mark and by worker: almost every answer.
        self._silent = {
            protocol.DONE: [Part(*spot) for spot in spots],
            protocol.RECORDS: [Part(*spot, records=True) for spot in spots],
        }
        self._done = [(protocol.DONE, b"")] * len(spots)
        self._recorded = [(protocol.RECORDS, b"")] * len(spots)
        self._records = Heard(self._silent[protocol.RECORDS], [])

    def silence(self, answers: Sequence[Answer]) -> Heard | None:
        """What it means if all workers say the same, and nothing beside it."""
        if self._objects:
            return None
        if answers == self._done:
            return NOTHING
        return self._records if answers == self._recorded else None

    def hear(
        self, workers: Sequence[Worker], statuses: Sequence[int], told: Sequence[Told]
    ) -> Heard:
        """What some workers said, put in order.

        Args:
            workers: who.
            statuses: the marks on their answers.
            told: what their answers carried.

        Raises:
            WorkerProtocolError: it makes no sense.
        """
        silent = self._silent
        try:
            parts = [
                self._part(worker, status, more) if more else silent[status][worker.spot.worker]
                for worker, status, more in zip(workers, statuses, told, strict=True)
            ]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise garbled(error) from error
        if not self._objects:
            return Heard(parts, [])
        objects = [more.get("objects", ()) for more in told]
        if any(len(each) != self._objects for each in objects):
            raise garbled(ValueError("objects are missing"))
        return Heard(parts, objects)

    def _part(self, worker: Worker, status: int, told: Told) -> Part:
        number, lo, hi = worker.spot
        if "kinds" in told:
            self._infos.learn(number, told["kinds"])
        if "profile" in told:
            self._paces.note(told["profile"])
        if "dropped" in told:
            self._warn_dropped(told["dropped"])
        odd = {int(row): dict(info) for row, info in told.get("infos", {}).items()}
        if any(not 0 <= row < hi - lo for row in odd):
            raise ValueError(f"infos of envs {sorted(odd)}")
        if any(len(rows) != hi - lo for rows in told.get("objects", ())):
            raise ValueError("objects of some envs only")
        return Part(number, lo, hi, bool(status & protocol.RECORDS), odd)

    def _warn_dropped(self, keys: Sequence[str]) -> None:
        new = sorted(set(keys) - self._dropped)
        if new:
            self._dropped.update(new)
            warnings.warn(
                f"infos {', '.join(new)} stay behind: of an env that is not trusted, only numbers, "
                "text, lists, dicts and arrays are taken",
                stacklevel=2,
            )


def garbled(error: Exception) -> WorkerProtocolError:
    """The error for an answer that makes no sense."""
    return WorkerProtocolError("a worker's answer makes no sense", why=str(error))
