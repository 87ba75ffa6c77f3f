"""A web server on a loopback port whose every answer is one function."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import IO, Any
from urllib.parse import parse_qs

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Request:
    """What a client asked.

    Attributes:
        method: `GET`, `HEAD` or `POST`.
        path: the raw path, still quoted, without the query.
        query: the raw query.
        headers: names in lower case.
        body: what was sent.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    def args(self) -> dict[str, list[str]]:
        """The query as lists of values."""
        return parse_qs(self.query, keep_blank_values=True)

    def arg(self, name: str, default: str = "") -> str:
        """The first value of an argument of the query."""
        return self.args().get(name, [default])[0]

    @property
    def token(self) -> str | None:
        """What the Authorization header says, if there is one."""
        return self.headers.get("authorization")


@dataclass(frozen=True)
class Reply:
    """What a server answers.

    Attributes:
        status: of HTTP.
        body: the bytes, or a file that has them.
        headers: more headers; the length is added.
        ranges: whether a part may be asked for.
        cut: bytes of the body after which the connection breaks.
    """

    status: int
    body: bytes | Path = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    ranges: bool = True
    cut: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole body."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)


Answer = Callable[[Request], Reply]


class Server(ThreadingHTTPServer):
    """A running server; `serve` makes one and ends it.

    Args:
        answer: called for every request, in a thread of its own per connection.
    """

    daemon_threads = False  # joined on close, so that no thread outlives its test
    request_queue_size = 128

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._connections: set[socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, `http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Stop, and end the connections that clients keep open."""
        self.shutdown()
        for connection in tuple(self._connections):
            try:
                connection.shutdown(SHUT_RDWR)
            except OSError:
                continue  # its thread closed it just now
        self.server_close()
        self._thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a client go away as it likes; anything else is a mistake in `answer`: show it."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve(answer: Answer) -> Iterator[str]:
    """Serve for as long as the block runs; yields the address."""
    server = Server(answer)
    try:
        yield server.url
    finally:
        server.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers, self._body(headers))
        self._send(self.server.answer(request), headers.get("range", ""))

    do_HEAD = do_POST = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, reply: Reply, asked: str) -> None:
        total = reply.size
        status, start, end = reply.status, 0, total
        headers = dict(reply.headers)
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if reply.ranges else None
        if part and status == 200:
            start = min(int(part.group(1)), total)
            end = min(int(part.group(2) or total) + 1, total)
            status = 206 if start < end else 416
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
        size = max(end - start, 0)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(size)}.items():
            self.send_header(name, value)
        if reply.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command != "HEAD":
            allowed = size if reply.cut is None else min(size, reply.cut)
            self._send_body(reply.body, start, allowed)
            self.close_connection |= allowed < size

    def _send_body(self, body: bytes | Path, start: int, size: int) -> None:
        if isinstance(body, bytes):
            self.wfile.write(body[start : start + size])
            return
        with body.open("rb") as file:
            file.seek(start)
            _copy(file, self.wfile, size)


def _copy(source: IO[bytes], target: Any, size: int) -> None:
    while size > 0 and (chunk := source.read(min(size, _CHUNK))):
        target.write(chunk)
        size -= len(chunk)
