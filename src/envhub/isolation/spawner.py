"""Starts processes from a thread that lasts: they are to die with the thread that started them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Order = tuple[Future[Any], Callable[[], Any]]


class _Spawner:
    """A thread that does what it is told, until the program ends."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        threading.Thread(target=self._work, name="envhub-spawner", daemon=True).start()

    def do(self, work: Callable[[], T]) -> T:
        future: Future[T] = Future()
        self._orders.put((future, work))
        return future.result()

    def _work(self) -> None:
        while True:
            future, work = self._orders.get()
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 — it is the asking thread's
                future.set_exception(error)
            del future, work


_lock = threading.Lock()
_spawner: _Spawner | None = None


def spawn(work: Callable[[], T]) -> T:
    """Call `work`, which starts a process, in a thread that ends with this program."""
    if threading.current_thread() is threading.main_thread():
        return work()
    global _spawner
    with _lock:
        if _spawner is None or _spawner.pid != os.getpid():
            _spawner = _Spawner()
    return _spawner.do(work)
