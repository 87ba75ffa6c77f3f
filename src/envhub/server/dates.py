"""Dates as the hub's clients read them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(when: float | datetime) -> str:
    """`2026-01-01T00:00:00.000Z`, for seconds since 1970 or a date with a zone."""
    date = when.astimezone(UTC) if isinstance(when, datetime) else datetime.fromtimestamp(when, UTC)
    return date.strftime("%Y-%m-%dT%H:%M:%S.") + f"{date.microsecond // 1000:03d}Z"
