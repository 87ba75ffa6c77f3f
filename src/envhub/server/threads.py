"""Threads for what would keep the event loop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 40
_pool = ThreadPoolExecutor(AT_ONCE, "work")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread.

    Whoever is cancelled meanwhile waits for the function nevertheless, since nothing can stop it,
    and what it works with must not be closed before it has ended. anyio does the same, and takes
    three times as long for it.
    """
    running = asyncio.get_running_loop().run_in_executor(_pool, partial(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
