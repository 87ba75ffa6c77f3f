"""Sizes and counts as people say them."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Bytes in the unit that leaves the fewest digits, as disks are sold: 1 kB is 1000 bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def count(number: int, noun: str) -> str:
    """`1 commit`, `2 commits`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
