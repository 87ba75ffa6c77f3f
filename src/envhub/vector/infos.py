"""Batches the infos of all envs exactly as Gymnasium does, a whole array at a time where it can."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from envhub.worker import info
from envhub.worker.info import CELL
from envhub.worker.layout import CELLS, Layout

Array = np.ndarray[Any, Any]
Info = dict[Any, Any]
Add = Callable[[dict[str, Any], Info, int], dict[str, Any]]


class UnknownKindError(ValueError):
    """A worker wrote a record of a kind that it never told of."""


class Part(NamedTuple):
    """The infos that one worker answered.

    Attributes:
        worker: its number.
        lo: its first env.
        hi: the one after its last env.
        records: whether it wrote records.
        odd: infos that are no records, by row of the worker.
    """

    worker: int
    lo: int
    hi: int
    records: bool = False
    odd: dict[int, Info] = {}  # noqa: RUF012 — never changed


class Column(NamedTuple):
    """The numbers of one key of one kind of info, for all envs."""

    key: str
    type: type
    view: Array


class Run(NamedTuple):
    """Keys next to each other whose numbers are of one type: an array (keys, envs)."""

    keys: tuple[str, ...]
    masks: tuple[str, ...]
    view: Array


class Infos:
    """Reads what workers wrote with `worker.info.Records`.

    Args:
        layout: where the fields lie.
        memory: the block.
    """

    def __init__(self, layout: Layout, memory: Any) -> None:
        self._memory = memory
        self._records = layout.records
        self._numbers = layout.kinds.view(memory)
        self._bytes = self._numbers.view(np.uint8).data
        # For each worker, what its numbers of kinds mean here; 0 is no record.
        self._names: dict[int, dict[int, int]] = {}
        self._known: dict[Any, int] = {}
        self._kinds: list[list[Column]] = [[]]
        self._runs: list[list[Run]] = [[]]

    def learn(self, worker: int, news: Sequence[Any]) -> None:
        """Note the kinds that a worker tells of.

        Raises:
            ValueError: it tells nonsense.
        """
        for item in news:
            kind = info.told(item)
            key = kind.keys, kind.types
            if key not in self._known:
                self._known[key] = len(self._kinds)
                self._kinds.append(self._columns(kind))
                self._runs.append(self._runs_of(kind))
            self._names.setdefault(worker, {0: 0})[kind.number] = self._known[key]

    def forget(self, worker: int) -> None:
        """Forget what a worker told: its successor starts anew."""
        self._names.pop(worker, None)

    def batch(self, parts: Sequence[Part], add: Add) -> dict[str, Any]:
        """The infos of some workers' envs together, in the order of the parts.

        Args:
            parts: what the workers answered.
            add: Gymnasium's way to add one env's info.

        Raises:
            UnknownKindError: a worker wrote a kind that it never told of.
            Exception: what Gymnasium raises for infos that cannot be batched.
        """
        if not any(part.records or part.odd for part in parts):
            return {}
        odd = _odd(parts)
        alike = self._alike(parts)
        if alike is not None and not odd:
            return self._whole(alike, parts)
        kinds = np.concatenate([self._kinds_of(part) for part in parts])
        found = self._columnwise(kinds, parts)
        if found is None or not all(_fits(found, told) for told in odd.values()):
            return self._one_by_one(kinds, parts, odd, add)
        for env in sorted(odd):
            found = add(found, odd[env], env)
        return found

    def _columns(self, kind: info.Kind) -> list[Column]:
        return [
            Column(key, number, self._cells(place, 1, number)[0])
            for place, (key, number) in enumerate(zip(kind.keys, kind.types, strict=True))
        ]

    def _runs_of(self, kind: info.Kind) -> list[Run]:
        runs, place = [], 0
        for number, same in itertools.groupby(kind.types):
            count = len(list(same))
            keys = kind.keys[place : place + count]
            masks = tuple(f"_{key}" for key in keys)
            runs.append(Run(keys, masks, self._cells(place, count, number)))
            place += count
        return runs

    def _cells(self, place: int, count: int, number: type) -> Array:
        return np.ndarray(
            (count, self._records.shape[0]),
            np.dtype(number),
            buffer=self._memory,
            offset=self._records.offset + place * CELL,
            strides=(CELL, CELLS * CELL),
        )

    def _name(self, worker: int, number: int) -> int:
        try:
            return self._names[worker][number]
        except KeyError as error:
            what = f"worker {worker} wrote an unknown kind of info, {number}"
            raise UnknownKindError(what) from error

    def _alike(self, parts: Sequence[Part]) -> int | None:
        """The one kind that all envs have, if there is one."""
        found = set()
        for part in parts:
            if not part.records:
                return None
            raw = bytes(self._bytes[part.lo * 4 : part.hi * 4])
            if raw != raw[:4] * (part.hi - part.lo):
                return None
            found.add(self._name(part.worker, int(self._numbers[part.lo])))
        return found.pop() if len(found) == 1 else None

    def _kinds_of(self, part: Part) -> Array:
        if not part.records:
            return np.zeros(part.hi - part.lo, np.int64)
        numbers = self._numbers[part.lo : part.hi]
        names = {number: self._name(part.worker, number) for number in np.unique(numbers).tolist()}
        return np.array([names[number] for number in numbers.tolist()], np.int64)

    def _whole(self, kind: int, parts: Sequence[Part]) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for keys, masks, view in self._runs[kind]:
            columns = _gather(view, parts)
            known = np.ones(columns.shape, np.bool_)
            for key, mask, column, all_known in zip(keys, masks, columns, known, strict=True):
                infos[key], infos[mask] = column, all_known
        return infos

    def _columnwise(self, kinds: Array, parts: Sequence[Part]) -> dict[str, Any] | None:
        """The records as arrays; `None` if two kinds have numbers of other types for one key."""
        infos: dict[str, Any] = {}
        for kind in dict.fromkeys(kinds.tolist()):
            rows = kinds == kind
            for key, _, view in self._kinds[kind]:
                if key not in infos:
                    infos[key] = np.zeros(len(kinds), view.dtype)
                    infos[f"_{key}"] = np.zeros(len(kinds), np.bool_)
                if infos[key].dtype != view.dtype:
                    return None
                infos[key][rows] = _gather(view, parts)[rows]
                infos[f"_{key}"][rows] = True
        return infos

    def _one_by_one(
        self, kinds: Array, parts: Sequence[Part], odd: dict[int, Info], add: Add
    ) -> dict[str, Any]:
        """Gymnasium's own way, in the order of the envs: the first one decides on types."""
        infos: dict[str, Any] = {}
        envs = np.concatenate([np.arange(part.lo, part.hi) for part in parts])
        for place, (kind, env) in enumerate(zip(kinds.tolist(), envs.tolist(), strict=True)):
            record = {key: number(view[env]) for key, number, view in self._kinds[kind]}
            told = odd.get(place, record)
            if told:
                infos = add(infos, told, place)
        return infos


def _odd(parts: Sequence[Part]) -> dict[int, Info]:
    """Infos that are no records, by place in the batch."""
    found: dict[int, Info] = {}
    start = 0
    for part in parts:
        found.update({start + row: told for row, told in part.odd.items()})
        start += part.hi - part.lo
    return found


def _fits(infos: dict[str, Any], told: Info) -> bool:
    """Whether the order in which this info is added makes no difference."""
    for key, value in told.items():
        if str(key).startswith("_"):
            return False
        if key in infos and not _same_type(infos[key], value):
            return False
    return True


def _same_type(array: Array, value: Any) -> bool:
    return type(value) in info.FORMATS and np.dtype(type(value)) == array.dtype


def _gather(view: Array, parts: Sequence[Part]) -> Array:
    """A copy of what a view (..., envs) shows of the envs of some workers."""
    together = all(one.hi == other.lo for one, other in itertools.pairwise(parts))
    if together:
        return view[..., parts[0].lo : parts[-1].hi].copy()
    found = [view[..., part.lo : part.hi] for part in parts]
    count = sum(part.hi - part.lo for part in parts)
    return np.concatenate(found, axis=-1, out=np.empty((*view.shape[:-1], count), view.dtype))
