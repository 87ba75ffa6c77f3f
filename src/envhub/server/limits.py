"""How often somebody may ask: a bucket of requests that fills up again steadily."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from envhub.server.recent import Recent
from envhub.server.refusals import Refusal

WINDOW = 60.0
_CALLERS = 50_000


class Bucket:
    """How many requests somebody has left."""

    __slots__ = ("left", "when")

    def __init__(self, left: float, when: float) -> None:
        self.left = left
        self.when = when


class Limit:
    """At most so many per minute, for each name.

    Args:
        per_minute: how many; 0 is no limit.
        clock: seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: Recent[str, Bucket] = Recent(_CALLERS)

    def take(self, name: str) -> None:
        """Take one from the name's bucket.

        Raises:
            Refusal: 429, with the seconds to wait.
        """
        if not self._limit:
            return
        now = self._clock()
        bucket = self._buckets.get(name, lambda: Bucket(self._limit, now))
        with self._lock:
            grown = bucket.left + (now - bucket.when) * self._limit / WINDOW
            bucket.left, bucket.when = min(grown, self._limit), now
            if bucket.left < 1:
                wait = int((1 - bucket.left) * WINDOW / self._limit) + 1
                raise Refusal(
                    429,
                    f"too many requests; wait {wait} s",
                    Retry_After=str(wait),
                    RateLimit=f'"api";r=0;t={wait}',
                    RateLimit_Policy=f'"fixed window";"api";q={self._limit};w={int(WINDOW)}',
                )
            bucket.left -= 1
