"""Puts an observation of all envs together: arrays out of the block, objects out of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector.utils import concatenate, create_empty_array

from envhub.worker.spaces import Leaf, leaves

Objects = list[list[Any]]

_as_tuple = concatenate.dispatch(Space)


class Observations:
    """Knows the shape of an observation.

    Args:
        space: the space of one env's observation.

    Attributes:
        leaves: its parts.
        arrays: those that lie in the block.
        is_array: whether an observation is a single array.
    """

    def __init__(self, space: Space[Any]) -> None:
        self.space = space
        self.leaves = leaves(space)
        self.arrays = [leaf for leaf in self.leaves if leaf.dtype is not None]
        self.objects = [leaf for leaf in self.leaves if leaf.dtype is None]
        self.is_array = len(self.leaves) == 1 and not self.leaves[0].path and not self.objects

    def join(self, arrays: Sequence[np.ndarray[Any, Any]], objects: Objects) -> Any:
        """An observation from its parts.

        Args:
            arrays: for each array leaf its values of all envs.
            objects: for each object leaf the list of its values of all envs.
        """
        if self.is_array:
            return arrays[0]
        found, left = iter(arrays), iter(objects)
        return _join(self.space, (self._value(leaf, found, left) for leaf in self.leaves))

    def join_one(self, arrays: Sequence[Any], objects: Sequence[Any]) -> Any:
        """One env's observation from its parts."""
        found, left = iter(arrays), iter(objects)
        values = (next(found) if leaf.dtype is not None else next(left) for leaf in self.leaves)
        return _join(self.space, values)

    def _value(
        self, leaf: Leaf, arrays: Iterator[np.ndarray[Any, Any]], objects: Iterator[list[Any]]
    ) -> Any:
        return next(arrays) if leaf.dtype is not None else together(leaf.space, next(objects))


def together(space: Space[Any], values: Sequence[Any]) -> Any:
    """The objects of all envs as one batch: a tuple, unless the space has its own way."""
    if concatenate.dispatch(type(space)) is _as_tuple:
        return tuple(values)
    out: Any = create_empty_array(space, len(values))
    return concatenate(space, values, out)


def _join(space: Space[Any], values: Iterator[Any]) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _join(part, values) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_join(part, values) for part in space.spaces)
    return next(values)
