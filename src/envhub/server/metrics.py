"""Counters for Prometheus: requests by route and status, seconds, bytes."""

from __future__ import annotations

import threading
from collections import Counter

_BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, float("inf"))


class Metrics:
    """What a hub counts since it was started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._times: Counter[tuple[str, float]] = Counter()
        self._seconds: Counter[str] = Counter()

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request that was answered."""
        with self._lock:
            self._requests[route, method, status] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]  # a Counter adds floats, too
            for bound in _BUCKETS:
                if seconds <= bound:
                    self._times[route, bound] += 1

    def text(self, gauges: dict[str, int]) -> str:
        """All of it in Prometheus' text format, version 0.0.4."""
        lines = [
            line
            for name, value in gauges.items()
            for line in (f"# TYPE envhub_{name} gauge", f"envhub_{name} {value}")
        ]
        with self._lock:
            lines.append("# TYPE envhub_requests_total counter")
            for (route, method, status), number in sorted(self._requests.items()):
                labels = f'route="{route}",method="{method}",status="{status}"'
                lines.append(f"envhub_requests_total{{{labels}}} {number}")
            lines.append("# TYPE envhub_request_seconds histogram")
            for (route, bound), number in sorted(self._times.items()):
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                labels = f'route="{route}",le="{edge}"'
                lines.append(f"envhub_request_seconds_bucket{{{labels}}} {number}")
            for route, seconds in sorted(self._seconds.items()):
                lines.append(f'envhub_request_seconds_sum{{route="{route}"}} {seconds:.6f}')
                whole = self._times[route, float("inf")]
                lines.append(f'envhub_request_seconds_count{{route="{route}"}} {whole}')
        return "\n".join(lines) + "\n"
