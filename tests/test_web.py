"""The web server that stands for hubs and storages in tests."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from envhub.testing.web import Reply, Request, serve


def echo(request: Request) -> Reply:
    """Say what was asked."""
    said = f"{request.method} {request.path} {request.args()} {request.body.decode()}"
    return Reply(200, said.encode(), {"X-Asked": request.headers.get("x-ask", "")})


def connect(url: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(url).netloc, timeout=10)


def test_request_arrives_as_it_was_sent() -> None:
    """The path still quoted, headers in lower case, the body whole."""
    with serve(echo) as url:
        client = connect(url)
        client.request("POST", "/a%2Fb?x=1&x=2&y=", body=b"hello", headers={"X-ASK": "q"})
        reply = client.getresponse()
        assert reply.read().decode() == "POST /a%2Fb {'x': ['1', '2'], 'y': ['']} hello"
        assert reply.headers["x-asked"] == "q"
        client.close()


def test_body_in_chunks() -> None:
    """As git sends what is large."""
    with serve(echo) as url:
        client = connect(url)
        client.request("POST", "/", body=iter([b"he", b"llo"]), encode_chunked=True)
        assert client.getresponse().read().endswith(b" hello")
        client.close()


def test_connection_is_kept() -> None:
    """Many requests, one connection."""
    asked: list[int] = []

    def answer(_: Request) -> Reply:
        asked.append(threading.get_ident())
        return Reply(200, b"x")

    with serve(answer) as url:
        client = connect(url)
        for _ in range(20):
            client.request("GET", "/")
            assert client.getresponse().read() == b"x"
        client.close()
    assert len(set(asked)) == 1


def test_many_connections_at_once() -> None:
    """Each has a thread; none waits for another."""
    together = threading.Barrier(8, timeout=30)

    def answer(_: Request) -> Reply:
        together.wait()
        return Reply(200, b"x")

    def one(url: str) -> bytes:
        client = connect(url)
        client.request("GET", "/")
        body = client.getresponse().read()
        client.close()
        return body

    with serve(answer) as url, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, [url] * 8)) == [b"x"] * 8


@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_head_part_and_break(tmp_path: Path, kind: str) -> None:
    """The length without the body, a part of it, and a connection that breaks inside it."""
    (tmp_path / "body").write_bytes(b"0123456789")
    body = b"0123456789" if kind == "bytes" else tmp_path / "body"
    cuts: list[int] = []

    def answer(_: Request) -> Reply:
        return Reply(200, body, cut=cuts.pop() if cuts else None)

    with serve(answer) as url:
        client = connect(url)
        client.request("HEAD", "/")
        reply = client.getresponse()
        assert (reply.read(), reply.headers["content-length"]) == (b"", "10")
        client.request("GET", "/", headers={"Range": "bytes=4-6"})
        reply = client.getresponse()
        assert (reply.status, reply.read()) == (206, b"456")
        assert reply.headers["content-range"] == "bytes 4-6/10"
        cuts.append(4)
        client.request("GET", "/")
        with pytest.raises(IncompleteRead) as caught:
            client.getresponse().read()
        assert caught.value.partial == b"0123"
        client.close()


def test_closing_ends_connections_that_clients_keep(capsys: pytest.CaptureFixture[str]) -> None:
    """No thread is left, and a client that goes away in the middle is no error."""
    before = threading.active_count()
    with serve(echo) as url:
        kept = connect(url)
        kept.request("GET", "/")
        kept.getresponse().read()
        gone = socket.create_connection(urlsplit(url).netloc.split(":"))  # type: ignore[arg-type]  # the port is digits
        gone.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()  # with a reset
        assert threading.active_count() > before
    kept.close()
    assert threading.active_count() == before
    assert "Traceback" not in capsys.readouterr().err
