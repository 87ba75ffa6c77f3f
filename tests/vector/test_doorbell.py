"""Doorbells: whole messages, whatever the pipe does to them, or an error that says why not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub.worker import doorbell
from envhub.worker.doorbell import HEADER, Bell, GarbledError, HangupError, LateError

NUMBERS = st.integers(0, 2**32 - 1)
SMALL = st.integers(0, 2**16 - 1)


def pair(**options: int) -> tuple[Bell, Bell]:
    """Two ends that hear each other."""
    one_read, other_write = os.pipe()
    other_read, one_write = os.pipe()
    return Bell(one_read, one_write), Bell(other_read, other_write, **options)  # type: ignore[arg-type]  # spin is a bool


@pytest.fixture
def bells() -> Iterator[tuple[Bell, Bell]]:
    one, other = pair()
    yield one, other
    one.close()
    other.close()


@given(st.lists(st.tuples(NUMBERS, SMALL, SMALL, st.binary(max_size=100)), max_size=20))
def test_messages_arrive(messages: list[tuple[int, int, int, bytes]]) -> None:
    """What is rung is heard, whole and in order."""
    one, other = pair()
    for message in messages:
        one.ring(*message)
    assert [other.hear() for _ in messages] == messages
    assert not other.rings()
    one.close()
    other.close()


@pytest.mark.parametrize("spin", [False, True])
def test_long_payloads_arrive(spin: bool) -> None:
    """A payload longer than the pipe passes while the other end reads."""
    one, other = pair(spin=spin)
    payload = os.urandom(1 << 20)
    ringing = threading.Thread(target=one.ring, args=(1, 2, 3, payload))
    ringing.start()
    assert other.hear(time.monotonic() + 20) == (1, 2, 3, payload)
    ringing.join()
    one.close()
    other.close()


@given(cut=st.integers(1, HEADER.size + 19))
def test_a_message_in_pieces(cut: int) -> None:
    """A message may arrive in pieces, as long as the rest comes."""
    one, other = pair()
    message = HEADER.pack(9, 8, 7, 20) + b"x" * 20
    os.write(one.write_fd, message[:cut])
    late = threading.Timer(0.005, os.write, (one.write_fd, message[cut:]))
    late.start()
    assert other.hear(time.monotonic() + 20) == (9, 8, 7, b"x" * 20)
    late.join()
    one.close()
    other.close()


@pytest.mark.parametrize("length", [1, HEADER.size - 1, HEADER.size, HEADER.size + 5])
def test_a_message_that_breaks_off(bells: tuple[Bell, Bell], length: int) -> None:
    """A message whose sender dies in the middle of it is no message."""
    one, other = bells
    os.write(one.write_fd, (HEADER.pack(1, 2, 3, 20) + b"x" * 20)[:length])
    one.close()
    with pytest.raises(GarbledError):
        other.hear()


def test_a_message_that_claims_too_much() -> None:
    """A payload beyond the limit is refused before it is read."""
    one, other = pair(limit=100)
    os.write(one.write_fd, HEADER.pack(1, 2, 3, 101))
    with pytest.raises(GarbledError, match="101 bytes"):
        other.hear()
    one.close()
    other.close()


def test_silence(bells: tuple[Bell, Bell]) -> None:
    """A deadline ends the wait, in the middle of a message, too, and when nobody reads."""
    one, other = bells
    with pytest.raises(LateError):
        other.hear(time.monotonic() + 0.01)
    os.write(one.write_fd, b"abc")
    assert other.rings()
    with pytest.raises(LateError):
        other.hear(time.monotonic() + 0.01)
    with pytest.raises(LateError):
        one.ring(1, 2, 3, bytes(1 << 20), time.monotonic() + 0.01)


def test_the_end(bells: tuple[Bell, Bell]) -> None:
    """When the other end is closed, both ways say so; and so does an end that was closed here."""
    one, other = bells
    one.close()
    with pytest.raises(HangupError, match="other end"):
        other.hear()
    with pytest.raises(HangupError):
        other.ring(1, 2)
    with pytest.raises(HangupError, match="this end"):
        one.hear()
    with pytest.raises(HangupError):
        one.ring(1, 2)


def test_spinning_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """While spinning does not pay it is tried seldom, and again when it pays."""
    one, other = pair(spin=True)
    tries: list[int] = []
    monkeypatch.setattr(doorbell, "_yield_processor", lambda: tries.append(1))
    monkeypatch.setattr(doorbell, "SPIN_SECONDS", 1e-4)
    for _ in range(doorbell.SPIN_MISSES):
        with pytest.raises(LateError):
            other.hear(time.monotonic())
    assert tries
    tries.clear()
    for _ in range(doorbell.SPIN_RETRY - doorbell.SPIN_MISSES - 1):
        with pytest.raises(LateError):
            other.hear(time.monotonic())
    assert not tries
    monkeypatch.setattr(doorbell, "SPIN_SECONDS", 10.0)
    monkeypatch.setattr(doorbell, "_yield_processor", lambda: one.ring(1, 2))
    assert other.hear()[:2] == (1, 2)
    assert other._misses == 0
    one.close()
    other.close()
