"""Dates as the hub's clients and people read them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

_UNITS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600))


def iso(when: float | datetime) -> str:
    """`2026-01-01T00:00:00.000Z`, for seconds since 1970 or a date with a zone."""
    date = when.astimezone(UTC) if isinstance(when, datetime) else datetime.fromtimestamp(when, UTC)
    return f"{date.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def day(when: float | datetime) -> str:
    """`2026-01-01`."""
    return iso(when)[:10]


def ago(when: float | datetime) -> str:
    """`3 days ago`."""
    then = when.timestamp() if isinstance(when, datetime) else when
    passed = time.time() - then
    for unit, seconds in _UNITS:
        number = int(passed // seconds)
        if number >= 1:
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now" if passed < 120 else f"{int(passed // 60)} minutes ago"
