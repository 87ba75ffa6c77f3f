"""A cache that keeps what was used lately, up to a total cost."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key, the least recently used thrown away first; safe between threads.

    Args:
        limit: the total cost to keep.
        cost: of one value; 1 by default, so that `limit` is a number of values.
    """

    def __init__(self, limit: int, cost: Callable[[Value], int] = lambda _: 1) -> None:
        self._limit = limit
        self._cost = cost
        self._total = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value for a key, made if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values:
                self._total += self._cost(value)
            self._values[key] = value
            while self._total > self._limit:
                _, gone = self._values.popitem(last=False)
                self._total -= self._cost(gone)
        return value
