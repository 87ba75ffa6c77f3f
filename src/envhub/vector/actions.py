"""How actions reach the workers: through the block if they are one fitting array, else packed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector.utils import iterate

from envhub.worker.codec import Codec
from envhub.worker.layout import Layout

Array = np.ndarray[Any, Any]

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
        if self._shape is None or not _fits(actions, self._dtype, self._shape):
            return False
        self.array[...] = actions  # type: ignore[index]  # there is a shape, so there is an array
        return True

    def rows(self, rows: slice) -> np.ndarray[Any, Any]:
        """A copy of some envs' actions, as they were put."""
        assert self.array is not None  # noqa: S101 — whoever put actions had where to put them
        return self.array[rows].copy()

    def split(self, actions: Any, rows: Sequence[slice]) -> list[bytes]:
        """Pack the actions of all envs, a payload for each shard.

        Args:
            actions: one for each env.
            rows: the envs of each shard.

        Raises:
            ValueError: there are not as many actions as envs.
            TypeError: they cannot be iterated over.
        """
        items = self._items(actions, self._count)
        return [self._codec.encode(items[part]) for part in rows]

    def deal(self, actions: Any, envs: Array, places: Sequence[Array]) -> list[bytes]:
        """Write the actions of some shards into the block, or pack them, a payload for each shard.

        Args:
            actions: one for each of these envs.
            envs: the envs, all those of some shards.
            places: for each shard the places of its actions.

        Raises:
            ValueError: there are not as many actions as envs.
        """
        count = len(envs)
        if self._shape is not None and _fits(actions, self._dtype, (count, *self._shape[1:])):
            self.array[envs] = actions  # type: ignore[index]  # there is a shape, so an array, too
            return [b""] * len(places)
        items = self._items(actions, count)
        return [self._codec.encode(_pick(items, place)) for place in places]

    def _items(self, actions: Any, count: int) -> Any:
        if type(actions) is np.ndarray and isinstance(self._space, ARRAYS) and actions.ndim:
            # Iterating over it here or there gives the same.
            count_up(range(count), range(len(actions)))
            return actions
        return count_up(range(count), iterate(self._space, actions))


def _fits(actions: Any, dtype: Any, shape: tuple[int, ...]) -> bool:
    return type(actions) is np.ndarray and actions.dtype == dtype and actions.shape == shape


def _pick(items: Any, place: Array) -> Any:
    if isinstance(items, np.ndarray):
        return items[place]
    return [items[index] for index in place.tolist()]


def count_up(envs: Iterable[int], actions: Iterable[Any]) -> list[Any]:
    """The actions as a list; Gymnasium's error, if they are not as many as the envs."""
    return [action for _, action in zip(envs, actions, strict=True)]
