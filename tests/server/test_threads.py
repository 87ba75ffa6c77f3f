"""Work in threads: its value or its error comes back, and it ends before who asked for it does."""

from __future__ import annotations

import asyncio
import threading

import pytest

from envhub.server.threads import in_thread


def test_value_and_error() -> None:
    """What the function returns or raises is what the caller gets."""
    assert asyncio.run(in_thread(int, "ff", base=16)) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(in_thread(int, "x"))


def test_cancelled() -> None:
    """Who is cancelled waits for the function: what it works with is still there."""
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        go_on.wait(10)
        ended.set()

    async def ask() -> bool:
        asking = asyncio.create_task(in_thread(work))
        while not began.is_set():
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.sleep(0)
        assert not asking.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return ended.is_set()

    assert asyncio.run(ask())
