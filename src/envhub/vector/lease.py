"""How observations leave the block: copied, alternating, leased or pooled.

The block holds several observations at once, its slots. Before a step a way of delivery says which
slot the workers write; after it, it hands out the arrays. What `copy=True` promises is that an
array handed out never changes. A copy keeps that promise, and for large observations costs more
than the step: fresh memory is 3 µs per page. A lease keeps it without a copy: a slot is written
again only when nobody can see its array any more.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from envhub.worker.layout import Field, Layout

Arrays = list[np.ndarray[Any, Any]]

# From this many bytes per observation of all envs, a lease costs less than a copy.
LEASE_BYTES = 1 << 16

# One slot is scratch, so that three observations can be held before copies begin.
LEASED_SLOTS = 4


class Delivery(Protocol):
    """A way to hand out observations.

    Attributes:
        slot: the slot of the last observation that was delivered.
    """

    slot: int

    def next_slot(self) -> int:
        """The slot that the next step may write."""

    def spare(self, slot: int) -> int:
        """A slot other than `slot`, if there is one, for a step whose outcome will be copied."""

    def deliver(self, slot: int) -> Arrays:
        """The arrays of an observation that was written into `slot`, one for each leaf."""


def views(layout: Layout, memory: Any) -> list[Arrays]:
    """For each slot its arrays, looking into the block."""
    return [[field.view(memory) for field in slot] for slot in layout.slots]


class Copied:
    """Hands out copies: for small observations, and for workers that nobody trusts.

    Args:
        slots: for each slot its arrays. One is enough, two keep the observation before last for
            a recovery.
    """

    def __init__(self, slots: list[Arrays]) -> None:
        self._slots = slots
        self.slot = 0

    def next_slot(self) -> int:
        """The other slot, if there are two."""
        return self.spare(self.slot)

    def spare(self, slot: int) -> int:
        """The other slot, if there are two."""
        return (slot + 1) % len(self._slots)

    def deliver(self, slot: int) -> Arrays:
        """Copies."""
        self.slot = slot
        return [array.copy() for array in self._slots[slot]]


class Alternating:
    """Hands out views, as `copy=False` asks for: valid until the step after the next.

    Args:
        slots: for each of two slots its arrays.
    """

    def __init__(self, slots: list[Arrays]) -> None:
        self._slots = slots
        self.slot = 0

    def next_slot(self) -> int:
        """The other slot."""
        return self.spare(self.slot)

    def spare(self, slot: int) -> int:
        """The other slot, if there are two."""
        return (slot + 1) % len(self._slots)

    def deliver(self, slot: int) -> Arrays:
        """The slot's own arrays."""
        self.slot = slot
        return list(self._slots[slot])


class Ledger:
    """Knows which parts of a memory somebody can still see.

    An array made here is the root of everything that looks at the same memory: slices, views and
    tensors that share it keep it alive, and its end says that the memory is free.

    Args:
        memory: the memory.
        parts: for each part its fields.
    """

    def __init__(self, memory: Any, parts: Sequence[Sequence[Field]]) -> None:
        self._memory = memory
        self._parts = parts
        self._holders: list[list[weakref.ref[Any]]] = [[] for _ in parts]

    def is_free(self, part: int) -> bool:
        """Whether nobody can see a part."""
        return all(holder() is None for holder in self._holders[part])

    def lease(self, part: int) -> Arrays:
        """New arrays on a part."""
        roots = [_root(self._memory, field) for field in self._parts[part]]
        self._holders[part] = [weakref.ref(root) for root in roots]
        fields = self._parts[part]
        return [root.reshape(field.shape) for root, field in zip(roots, fields, strict=True)]


class Leased:
    """Hands out the slots themselves, and writes a slot again only when it was let go.

    While all are held, slot 0 is written and copied.

    Args:
        layout: where the slots lie.
        memory: the block.
    """

    def __init__(self, layout: Layout, memory: Any) -> None:
        self._ledger = Ledger(memory, layout.slots)
        self._scratch = views(layout, memory)[0]
        self._count = len(layout.slots)
        self.slot = 0

    def next_slot(self) -> int:
        """A slot that nobody sees and that is not the last; scratch, if there is none."""
        # The first of them, so that few are in use, and those stay in the processor's cache.
        for slot in range(1, self._count):
            if slot != self.slot and self._ledger.is_free(slot):
                return slot
        return 0

    def spare(self, slot: int) -> int:
        """Scratch, or a slot that nobody sees."""
        free = (other for other in range(1, self._count) if self._ledger.is_free(other))
        return 0 if slot else next(free, 0)

    def deliver(self, slot: int) -> Arrays:
        """New arrays on the slot, or a copy of scratch."""
        self.slot = slot
        if slot:
            return self._ledger.lease(slot)
        return [array.copy() for array in self._scratch]


class Pooled:
    """Hands out copies in memory of ours that is used again: for workers that are not trusted.

    They could change what lies in the block at any time.

    Args:
        layout: where the slots lie.
        memory: the block.
    """

    def __init__(self, layout: Layout, memory: Any) -> None:
        self._slots = views(layout, memory)
        fields = _from_zero(layout.slots[0])
        self._pool: list[Ledger] = []
        self._fields = fields
        self._size = fields[-1].offset + fields[-1].nbytes if fields else 0
        self.slot = 0

    def next_slot(self) -> int:
        """The other slot, if there are two."""
        return self.spare(self.slot)

    def spare(self, slot: int) -> int:
        """The other slot, if there are two."""
        return (slot + 1) % len(self._slots)

    def deliver(self, slot: int) -> Arrays:
        """Copies, in memory that nobody sees any more."""
        self.slot = slot
        arrays = self._free()
        for array, source in zip(arrays, self._slots[slot], strict=True):
            array[...] = source
        return arrays

    def _free(self) -> Arrays:
        for ledger in self._pool:
            if ledger.is_free(0):
                return ledger.lease(0)
        ledger = Ledger(mmap.mmap(-1, max(self._size, 1)), [self._fields])
        if len(self._pool) < LEASED_SLOTS:
            self._pool.append(ledger)
        return ledger.lease(0)


def _from_zero(fields: Sequence[Field]) -> list[Field]:
    start = fields[0].offset if fields else 0
    return [field._replace(offset=field.offset - start) for field in fields]


def _root(memory: Any, field: Field) -> np.ndarray[Any, Any]:
    count = field.nbytes // field.dtype.itemsize
    return np.frombuffer(memory, field.dtype, count, field.offset)
