"""Waits for clients, but for none for ever: uvicorn's protocol, with limits that it lacks.

A client that sends its head a byte at a time, or never takes the answer, holds a connection; many
of them would hold them all.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 << 10


class Patience(HttpToolsProtocol):
    """One connection.

    Attributes:
        head_seconds: that a client has from the connection, or from the answer before, to the end
            of its next head.
        stall_seconds: that a client may leave what is there for it untaken.
    """

    head_seconds = 20.0
    stall_seconds = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._in_head = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """A client is there; it is to say what it wants."""
        super().connection_made(transport)
        self._start("head", self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        for name in list(self._timers):
            self._stop(name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head is not longer than `MAX_HEAD` and what came at once."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_headers_complete(self) -> None:
        """A head ends; how slowly the body may come is for `bodies` to say."""
        self._in_head = False
        self._stop("head")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The answer is written; what is left of the body is not waited for, either."""
        super().on_response_complete()
        self._start("head", self.head_seconds)

    def pause_writing(self) -> None:
        """The client does not take what there is."""
        super().pause_writing()
        self._start("stall", self.stall_seconds)

    def resume_writing(self) -> None:
        """The client goes on."""
        self._stop("stall")
        super().resume_writing()

    def _start(self, name: str, seconds: float) -> None:
        self._stop(name)
        if not self.transport.is_closing():
            self._timers[name] = self.loop.call_later(seconds, self._late, name)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer:
            timer.cancel()

    def _late(self, name: str) -> None:
        """Hang up; a client that is just taking the end of an answer may have it first."""
        if name == "head":
            self._start("stall", self.stall_seconds)
            self.transport.close()
        else:
            self.transport.abort()
