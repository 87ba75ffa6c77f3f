"""Where a worker's observations go: its rows of every slot, and what is left over as objects."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .layout import Field, Layout
from .spaces import Leaf, Path, pick


class Spot(NamedTuple):
    """Which part of the block is a worker's: its number, and the rows [lo, hi) of every field."""

    worker: int
    lo: int
    hi: int

    @property
    def rows(self) -> slice:
        """The rows."""
        return slice(self.lo, self.hi)


class Target(NamedTuple):
    """Where one leaf of an observation goes, in one slot."""

    path: Path
    dtype: np.dtype[Any]
    shape: Tuple[int, ...]
    rows: List[np.ndarray[Any, Any]]


class Places:
    """Writes observations of the envs of one worker into the block.

    Args:
        layout: where the fields lie.
        memory: the block.
        spot: which rows are this worker's.

    Attributes:
        slot: the slot that is being written.
        last: the last observation of each env, as the env returned it.
        keeps: whether `last` is needed for arrays, because a step writes another slot than the
            one before, so that the row of an env which is left out has to be written again.
        vectors: for each slot the rows as memoryviews, if an observation is one vector, else
            `None`. Assigning to such a row checks type and shape at the price of a copy.
    """

    def __init__(self, layout: Layout, memory: Any, spot: Spot) -> None:
        leaves = list(layout.shape.leaves)
        arrays = [leaf for leaf in leaves if leaf.dtype is not None]
        self.objects = [leaf.path for leaf in leaves if leaf.dtype is None]
        self.slot = 0
        self.last: List[Any] = [None] * (spot.hi - spot.lo)
        self.keeps = len(layout.slots) > 1
        views = [_views(fields, memory, spot) for fields in layout.slots]
        self._targets = [
            [_target(leaf, view) for leaf, view in zip(arrays, slot)] for slot in views
        ]
        self.vectors: Optional[List[List[memoryview]]] = None
        if len(leaves) == 1 and arrays and not arrays[0].path and len(arrays[0].shape) == 1:
            self.vectors = [[row.data for row in slot[0]] for slot in views]

    def put(self, row: int, obs: Any) -> None:
        """Write one env's observation into the current slot.

        Raises:
            ValueError: a part of it has another shape than its space says.
        """
        self.last[row] = obs
        for path, dtype, shape, rows in self._targets[self.slot]:
            value = pick(obs, path)
            if shape and getattr(value, "shape", None) != shape:
                value = np.asarray(value, dtype)
                if value.shape != shape:
                    where = "".join(f"[{key!r}]" for key in path)
                    raise ValueError(
                        f"observation{where} has shape {value.shape}, its space {shape}"
                    )
            rows[row][...] = value

    def put_again(self, row: int) -> None:
        """Write an env's last observation once more, for a step that leaves it out."""
        if self.keeps and self.last[row] is not None:
            self.put(row, self.last[row])

    def left_over(self) -> List[List[Any]]:
        """The parts of the last observations that are objects: the rows of each such leaf."""
        return [
            [None if obs is None else pick(obs, path) for obs in self.last] for path in self.objects
        ]


def _views(fields: Sequence[Field], memory: Any, spot: Spot) -> List[np.ndarray[Any, Any]]:
    return [field.view(memory)[spot.rows] for field in fields]


def _target(leaf: Leaf, view: np.ndarray[Any, Any]) -> Target:
    # A row of a leaf without dimensions is an array without dimensions, not a number.
    rows = [view[row, ...] for row in range(len(view))]
    return Target(leaf.path, view.dtype, leaf.shape, rows)
