"""How actions reach the workers: through the block if they are one fitting array, else packed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector.utils import iterate

from envhub.worker.codec import Codec
from envhub.worker.layout import Layout

ARRAYS = (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)


class Actions:
    """Takes the actions of all envs.

    An env is given what Gymnasium would give it: what `iterate` makes of the actions, of the type
    that the caller chose.

    Args:
        space: the space of the actions of all envs.
        layout: where the fields lie.
        memory: the block.
        codec: how other actions are packed.
    """

    def __init__(self, space: Space[Any], layout: Layout, memory: Any, codec: Codec) -> None:
        self._space = space
        self._count = layout.shape.num_envs
        self._codec = codec
        self.array = None if layout.actions is None else layout.actions.view(memory)
        self._dtype = None if self.array is None else self.array.dtype
        self._shape = None if self.array is None else self.array.shape

    def put(self, actions: Any) -> bool:
        """Write actions into the block, if they fit without a change."""
        if (
            type(actions) is np.ndarray
            and actions.dtype == self._dtype
            and actions.shape == self._shape
        ):
            self.array[...] = actions  # type: ignore[index]  # there is a dtype, so there is an array
            return True
        return False

    def rows(self, rows: slice) -> np.ndarray[Any, Any]:
        """A copy of some envs' actions, as they were put."""
        assert self.array is not None  # noqa: S101 — whoever put actions had where to put them
        return self.array[rows].copy()

    def split(self, actions: Any, rows: Iterable[slice]) -> list[bytes]:
        """Pack actions, a payload for each shard.

        Raises:
            ValueError: there are not as many actions as envs.
            TypeError: they cannot be iterated over.
        """
        items = self._items(actions)
        return [self._codec.encode(items[part]) for part in rows]

    def _items(self, actions: Any) -> Any:
        if type(actions) is np.ndarray and isinstance(self._space, ARRAYS) and actions.ndim:
            # Iterating over it here or there gives the same.
            count_up(range(self._count), range(len(actions)))
            return actions
        return count_up(range(self._count), iterate(self._space, actions))


def count_up(envs: Iterable[int], actions: Iterable[Any]) -> list[Any]:
    """The actions as a list; Gymnasium's error, if they are not as many as the envs."""
    return [action for _, action in zip(envs, actions, strict=True)]
