"""What asks a hub for the benchmark: many connections from one lean process, and git beside git.

`python -m benchmarks.hubload HOST TOKEN SECONDS CLIENTS PATH` prints requests per second, and the
median and the 99th percentile of their milliseconds. Threads of Python would measure each other.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class _Client(asyncio.Protocol):
    """One connection, which asks again as soon as it is answered."""

    def __init__(self, request: bytes, end: float, times: list[float]) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self._request = request
        self._end = end
        self._times = times
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n") if found else None
        if length is None or len(body) < int(length[1]):
            return
        assert head.startswith(b"HTTP/1.1 200"), head
        now = time.perf_counter()
        self._times.append(now - self._begin)
        if now < self._end:
            self._ask()
        else:
            self._transport.close()
            self.over.set_result(None)

    def _ask(self) -> None:
        self._data = b""
        self._begin = time.perf_counter()
        self._transport.write(self._request)


async def load(host: str, token: str, seconds: float, clients: int, path: str) -> str:
    """Ask for a path again and again by many connections."""
    name, _, port = host.partition(":")
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    times: list[float] = []
    end = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Client(request.encode(), end, times), name, int(port))
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.over for _, client in made))
    times.sort()
    middle, tail = times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000
    return f"{len(times) / seconds:.0f} {middle:.1f} {tail:.1f}"


class _Backend(BaseHTTPRequestHandler):
    """Git's own `http-backend` behind a plain server: what a clone costs without a hub."""

    root = Path()
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self._run(b"")

    def do_POST(self) -> None:
        self._run(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _run(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environ = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "PATH": "/usr/bin:/bin",
        }
        words = ["git", "-c", "safe.directory=*", "http-backend"]
        with subprocess.Popen(
            words, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as git:
            assert git.stdin
            assert git.stdout
            git.stdin.write(body)
            git.stdin.close()
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while piece := os.read(git.stdout.fileno(), 1 << 18):
                self.wfile.write(piece)


@contextmanager
def plain_git(root: Path) -> Iterator[str]:
    """A server of the repos below a folder; yields its address."""
    handler = type("Handler", (_Backend,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def clones(addresses: dict[str, str], rounds: int) -> dict[str, float]:
    """Seconds of a clone from each address, the median of rounds by turns."""
    times: dict[str, list[float]] = {name: [] for name in addresses}
    for _ in range(rounds):
        for name, address in addresses.items():
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                words = ["git", "clone", "--quiet", "--bare", address, folder]
                subprocess.run(
                    words, check=True, env={"GIT_LFS_SKIP_SMUDGE": "1", "PATH": "/usr/bin:/bin"}
                )
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(found) for name, found in times.items()}


if __name__ == "__main__":
    where, secret, for_seconds, number, what = sys.argv[1:]
    print(asyncio.run(load(where, secret, float(for_seconds), int(number), what)))
