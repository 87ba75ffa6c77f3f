"""Where everything lies in the shared block: computed on both sides, never read from the block.

Each field starts on a page of its own. What belongs to one env is its row of each field, so
workers never write to each other's rows.
"""

from __future__ import annotations

import math
from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np

from .spaces import Leaf

PAGE = 4096

# Cells of 8 bytes for each env's info of plain numbers.
CELLS = 64

# A cache line per worker for the index of the env that it is at.
LINE = 16

# The longest block that is mapped; the next bigger thing is an attack, or a mistake.
MAX_BYTES = 1 << 36


class Field(NamedTuple):
    """An array in the block."""

    offset: int
    dtype: np.dtype[Any]
    shape: Tuple[int, ...]

    def view(self, memory: Any) -> np.ndarray[Any, Any]:
        """The field as an array that looks into the block."""
        return np.ndarray(self.shape, self.dtype, buffer=memory, offset=self.offset)

    @property
    def nbytes(self) -> int:
        """Bytes in the block."""
        return math.prod(self.shape) * self.dtype.itemsize


class Shape(NamedTuple):
    """What a layout depends on.

    Attributes:
        num_envs: rows.
        num_workers: processes that share the block.
        slots: how many observations the block holds at once.
        leaves: the parts of an observation that are arrays.
        action: type and shape of one env's action if that is one array, else `None`.
    """

    num_envs: int
    num_workers: int
    slots: int
    leaves: Sequence[Leaf]
    action: Any = None


class Layout:
    """The fields of a block.

    Attributes:
        cursors: (workers, 16) int32, the index of the env that each worker is at, in column 0.
        rewards: (n,) float64.
        flags: (2, n) uint8, terminated and truncated.
        kinds: (n,) uint32, which known kind of info each env's record is, 0 for none.
        records: (n, 64) uint64, infos of plain numbers.
        actions: (n, *shape), or `None`.
        slots: for each slot the leaves of the observation, each (n, *shape).
        size: bytes of the block.

    Raises:
        ValueError: the block would be absurdly large.
    """

    def __init__(self, shape: Shape) -> None:
        n = shape.num_envs
        self.shape = shape
        self._end = 0
        self.cursors = self._field(np.int32, (shape.num_workers, LINE))
        self.rewards = self._field(np.float64, (n,))
        self.flags = self._field(np.uint8, (2, n))
        self.kinds = self._field(np.uint32, (n,))
        self.records = self._field(np.uint64, (n, CELLS))
        self.actions = None
        if shape.action is not None:
            dtype, item = shape.action
            self.actions = self._field(dtype, (n, *item))
        arrays = [leaf for leaf in shape.leaves if leaf.dtype is not None]
        self.slots: List[List[Field]] = [
            [self._field(leaf.dtype, (n, *leaf.shape)) for leaf in arrays]
            for _ in range(shape.slots)
        ]
        self.size = self._end
        if self.size > MAX_BYTES:
            raise ValueError(f"{n} observations would take {self.size / 1e9:.0f} GB")

    @property
    def observation_bytes(self) -> int:
        """Bytes of the array parts of one observation of all envs."""
        return sum(field.nbytes for field in self.slots[0])

    def _field(self, dtype: Any, shape: Tuple[int, ...]) -> Field:
        field = Field(self._end, np.dtype(dtype), shape)
        self._end += -(-max(field.nbytes, 1) // PAGE) * PAGE
        return field
