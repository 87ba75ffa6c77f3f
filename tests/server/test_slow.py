"""Clients that take their time: each is served or hung up on, and holds nobody else up."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.server.conftest import Running, populated, run_hub

from envhub.server import bodies
from envhub.server.patience import MAX_HEAD, Patience
from envhub.server.serving import served

SOON = 20.0  # seconds after which a test gives up


class Hurried(Patience):
    """As the real one, with less of it."""

    head_seconds = 0.4
    stall_seconds = 0.4


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A hub with little patience."""
    yield from run_hub(tmp_path_factory.mktemp("slow"), protocol=Hurried)


def connected(running: Running) -> socket.socket:
    host, _, port = running.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=SOON)


def rest(connection: socket.socket) -> bytes:
    """What comes until the hub hangs up."""
    parts = []
    while True:
        try:
            part = connection.recv(1 << 16)
        except ConnectionError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def drip(connection: socket.socket, data: bytes, ended: threading.Event) -> None:
    """Send something again and again until it is over."""
    while not ended.wait(0.05):
        try:
            connection.sendall(data)
        except OSError:
            return


HEADS = {
    "nothing": (b"", b""),
    "half a line": (b"GET /", b""),
    "half a head": (b"GET / HTTP/1.1\r\nHost: a\r\n", b""),
    "a header now and then": (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
    "a byte of a header now and then": (b"GET / HTTP/1.1\r\nX: ", b"y"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.mark.parametrize("what", HEADS)
def test_slow_heads(hurried: Running, what: str) -> None:
    """A head that does not end is not waited for, however busily it goes on."""
    first, more = HEADS[what]
    ended = threading.Event()
    with closing(connected(hurried)) as connection:
        connection.sendall(first)
        thread = threading.Thread(target=drip, args=(connection, more, ended))
        thread.start()
        begin = time.monotonic()
        assert not rest(connection).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - begin < SOON
        ended.set()
        thread.join()
    assert hurried.get("/healthz").status_code == 200


def test_second_head(hurried: Running) -> None:
    """Nor is the second head on a connection, whose first was fine."""
    with closing(connected(hurried)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /heal")
        found = rest(connection)
    assert found.startswith(b"HTTP/1.1 200")
    assert found.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "line", [b"X: " + b"y" * 1000 + b"\r\n", b"z" * 1000], ids=["many headers", "one long header"]
)
def test_endless_heads(running: Running, line: bytes) -> None:
    """A head without end is refused before it fills the memory."""
    with closing(connected(running)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        sent = 0
        try:
            while sent < 100 * MAX_HEAD:
                sent += connection.send(line)
        except OSError:
            pass
        assert not rest(connection).startswith(b"HTTP/1.1 200")
    assert sent < 100 * MAX_HEAD


@pytest.mark.parametrize("path", ["/api/repos/create", "/api/models/{}/commit/main"])
def test_slow_bodies(running: Running, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A body that comes a byte at a time is refused; what was there of it is forgotten."""
    repo = running.new()
    before = running.head(repo)
    monkeypatch.setattr(bodies, "PATIENCE", 0.4)
    ended = threading.Event()
    with closing(connected(running)) as connection:
        head = f"POST {path.format(repo)} HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n"
        head += f"Authorization: Bearer {running.tokens['ada']}\r\n\r\n"
        connection.sendall(head.encode())
        thread = threading.Thread(target=drip, args=(connection, b"{", ended))
        thread.start()
        assert rest(connection).startswith(b"HTTP/1.1 408")
        ended.set()
        thread.join()
    assert running.head(repo) == before


def test_slow_uploads(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a large file that never comes leave anything behind."""
    repo = running.new()
    body = {"operation": "upload", "objects": [{"oid": "1" * 64, "size": 9_000_000}]}
    answer = running.post(f"/{repo}.git/info/lfs/objects/batch", body, "ada").json()
    href = answer["objects"][0]["actions"]["upload"]["href"].removeprefix(running.url)
    monkeypatch.setattr(bodies, "PATIENCE", 0.4)
    monkeypatch.setattr(bodies, "SLOWEST", 1e12)
    with closing(connected(running)) as connection:
        head = f"PUT {href} HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(head.encode() + bytes(5_000_000))
        assert rest(connection).startswith(b"HTTP/1.1 408")
    assert list((running.hub.folder / "tmp").iterdir()) == []


def test_slow_readers(hurried: Running) -> None:
    """Who asks for a large file and does not take it is hung up on; the file is closed."""
    repo = hurried.new()
    data = os.urandom(30_000_000)
    value = {"path": "f", "algo": "sha256", "oid": hurried.send_lfs(repo, data)}
    assert hurried.commit(repo, {}, lines=[{"key": "lfsFile", "value": value}]).status_code == 200
    with closing(connected(hurried)) as connection:
        connection.sendall(f"GET /{repo}/resolve/main/f HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert len(connection.recv(1000)) > 0
        deadline = time.monotonic() + SOON
        while open_blobs(hurried.hub.folder) and time.monotonic() < deadline:
            time.sleep(0.02)  # nothing tells when a file is closed
        assert open_blobs(hurried.hub.folder) == []
        assert len(rest(connection)) < len(data)
    assert hurried.get(f"/{repo}/resolve/main/f").content == data


def open_blobs(folder: Path) -> list[str]:
    """The large files that this process has open."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(path.readlink()))
        except FileNotFoundError:
            continue
    return [name for name in found if name.startswith(f"{folder}/blobs")]


def test_many_idle_connections(tmp_path: Path) -> None:
    """Beyond a number of connections new ones are told to come back, and it goes on after that."""
    hub, tokens = populated(tmp_path / "hub")
    with served(hub, connections=8) as url:
        running = Running(hub, url, tokens, None)  # type: ignore[arg-type]  # only for its address
        idle = [connected(running) for _ in range(12)]
        with closing(connected(running)) as one:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert one.recv(1000).startswith(b"HTTP/1.1 503")
        for connection in idle:
            connection.close()
        deadline, found = time.monotonic() + SOON, b""
        while not found.startswith(b"HTTP/1.1 200") and time.monotonic() < deadline:
            with closing(connected(running)) as one:
                one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                found = one.recv(1000)
        assert found.startswith(b"HTTP/1.1 200")
    hub.close()
