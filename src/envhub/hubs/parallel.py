"""Several downloads at once, ended together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import TypeVar

from envhub.hubs.base import Progress

T = TypeVar("T")

THREADS = 8


def each(
    work: Callable[[T, Progress, Event], None], items: Iterable[T], progress: Progress
) -> None:
    """Call `work(item, progress, stop)` for every item, some at a time.

    The first failure (or ^C) sets `stop`, waits for what is running, and is raised.

    Args:
        work: does one item; ends early when `stop` is set.
        items: what to do.
        progress: called by one thread at a time.
    """
    stop, lock = Event(), Lock()

    def report(size: int) -> None:
        with lock:
            progress(size)

    with ThreadPoolExecutor(THREADS, "envhub-download") as pool:
        try:
            for _ in pool.map(lambda item: work(item, report, stop), items):
                pass
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
