"""What pages are made of: numbers and dates in words, and pictures for envs that have none."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from envhub.server import html
from envhub.server.covers import cover
from envhub.server.dates import ago, day


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (123_456, "123 kB"),
        (5_000_000, "5.0 MB"),
        (7e12, "7000 GB"),
    ],
)
def test_sizes(size: float, words: str) -> None:
    """Sizes have two or three digits and a unit."""
    assert html.in_bytes(size) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (7, "7"), (999, "999"), (999.9, "1k"), (1234, "1.2k"), (2e6, "2M"), (7e12, "7000G")],
)
def test_numbers(number: float, words: str) -> None:
    """Numbers are short."""
    assert html.short(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (5, "just now"),
        (200, "3 minutes ago"),
        (3700, "1 hour ago"),
        (86400 * 3, "3 days ago"),
        (86400 * 70, "2 months ago"),
        (86400 * 800, "2 years ago"),
    ],
)
def test_ago(seconds: float, words: str) -> None:
    """How long ago something was is said in its largest unit."""
    assert ago(time.time() - seconds) == words
    assert ago(datetime.fromtimestamp(time.time() - seconds, UTC)) == words


def test_day() -> None:
    """A day is a date."""
    assert day(0) == "1970-01-01"


def test_covers() -> None:
    """An env without a picture has one made of its name: always the same, and like few others."""
    assert cover("lab/arm") == cover("LAB/Arm")
    assert len({str(cover(f"lab/arm{number}")) for number in range(100)}) == 100
    assert "<script" not in cover("<script>")


@pytest.mark.parametrize(("text", "words"), [("no", "No."), ("Why?", "Why?"), ("Éa.", "Éa.")])
def test_sentence(text: str, words: str) -> None:
    """What the protocol says in passing is a sentence on a page."""
    assert html.sentence(text) == words
