"""Bodies of requests, as they come in: in pieces of a useful size, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request

from envhub.server.refusals import Refusal
from envhub.server.threads import in_thread

PIECE = 1 << 20  # more would leave the processor's cache between hashing and writing
PATIENCE = 60.0
SLOWEST = 1000.0


async def pieces(
    request: Request, *, size: int = PIECE, limit: int | None = None
) -> AsyncIterator[bytes]:
    """The body, in pieces of at least `size` bytes; the last one may be smaller.

    A client may keep us waiting for `PATIENCE` seconds in all, and longer only by what it sent at
    `SLOWEST` bytes per second: one that sends a byte now and then is not served.

    Args:
        request: whose body it is.
        size: bytes that are worth a trip to a thread.
        limit: bytes after which the rest is refused.

    Raises:
        Refusal: 408, the client is too slow; 413, the body is longer than allowed.
    """
    parts, held, total, waited = list[bytes](), 0, 0, 0.0
    stream = request.stream()
    while True:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE + total / SLOWEST - waited):
                part = await anext(stream, None)
        except TimeoutError as error:
            raise Refusal(408, "the body comes too slowly", Connection="close") from error
        if part is None:
            break
        waited += time.monotonic() - begin
        held, total = held + len(part), total + len(part)
        if limit is not None and total > limit:
            raise Refusal(413, f"the body is longer than {limit} bytes")
        parts.append(part)
        if held >= size:
            yield b"".join(parts)
            parts, held = [], 0
    if parts:
        yield b"".join(parts)


async def whole(request: Request, limit: int) -> bytes:
    """The body in one.

    Raises:
        Refusal: see `pieces`.
    """
    return b"".join([piece async for piece in pieces(request, limit=limit)])


async def pour(
    request: Request, take: Callable[[bytes], object], *, limit: int | None = None
) -> None:
    """Hand the body, piece by piece, to a function that works in a thread.

    It works on one piece while the next one comes in.

    Raises:
        Refusal: see `pieces`, and what `take` raises.
    """
    working: asyncio.Future[object] | None = None
    try:
        async for piece in pieces(request, limit=limit):
            if working:
                await working
            working = asyncio.ensure_future(in_thread(take, piece))
    finally:
        if working:
            await working
