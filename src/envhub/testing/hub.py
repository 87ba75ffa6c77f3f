"""A hub over a folder of git repos, on a loopback port: real HTTP, real git, no dependency."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import IO, Any

from envhub.testing.bare import BareRepo, Files
from envhub.testing.routes import Reply, Request, RouteError, answer

OWNER_TOKEN = "hf_testing_owner"  # noqa: S105 - a token of the testing hub, worth nothing
STRANGER_TOKEN = "hf_testing_stranger"  # noqa: S105 - as above


@dataclass(frozen=True)
class Recorded:
    """A request that the hub got."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def token(self) -> str | None:
        """What its Authorization header says, if it has one."""
        return self.headers.get("authorization")


class ServedHub:
    """A running hub; make one with `serve_hub`.

    Attributes:
        url: its address, `http://127.0.0.1:<port>`.
        folder: where the repos are: `<type>s/<owner>/<name>.git`.
        token: opens everything, also private and gated repos.
        stranger: a valid token that opens nothing special.
        requests: what was asked so far.
        page: entries per page of a listing.
        cdn: an address that LFS files are redirected to, as the Hub does with its CDN.
        lfs_over: files larger than this many bytes are kept as LFS files.
    """

    token = OWNER_TOKEN
    stranger = STRANGER_TOKEN

    def __init__(self, folder: Path, *, lfs_over: int = 10_000_000) -> None:
        self.folder = folder
        self.lfs_over = lfs_over
        self.page = 1000
        self.cdn: str | None = None
        self.requests: list[Recorded] = []
        self._repos: dict[tuple[str, str], BareRepo] = {}
        self._failure: tuple[re.Pattern[str], int] | None = None
        self._cut: int | None = None
        self._open = threading.Event()
        self._open.set()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(
        self,
        repo_id: str,
        files: Files | Path,
        *,
        repo_type: str = "model",
        branch: str = "main",
        tag: str | None = None,
        private: bool | None = None,
        gated: bool | None = None,
        message: str = "Add files",
    ) -> str:
        """Commit files to a repo; it is created if it does not exist.

        Args:
            repo_id: `owner/name`.
            files: path → content (`None` deletes the file), or a folder.
            repo_type: `model`, `space` or `dataset`.
            branch: where to commit; a full ref such as `refs/pr/1` works too.
            tag: a tag for the commit.
            private: only `token` sees the repo; `None` leaves it as it is.
            gated: everybody sees the repo, only `token` may download; `None` leaves it.
            message: of the commit.

        Returns:
            The full hash of the commit.
        """
        repo = self._place(repo_type, repo_id)
        repo.init()
        old = repo.options
        repo.set_options(
            private=old.get("private", False) if private is None else private,
            gated=old.get("gated", False) if gated is None else gated,
        )
        content = _read_folder(files) if isinstance(files, Path) else files
        commit = repo.commit(content, branch=branch, message=message, lfs_over=self.lfs_over)
        if tag:
            repo.tag(tag, commit)
        return commit

    def repo(self, repo_type: str, repo_id: str) -> BareRepo | None:
        """The repo of that name."""
        repo = self._place(repo_type, repo_id)
        return repo if repo.folder.is_dir() else None

    def repos(self, repo_type: str) -> Iterator[BareRepo]:
        """All repos of a type, by name."""
        for folder in sorted(self.folder.glob(f"{repo_type}s/*/*.git")):
            yield self._place(repo_type, f"{folder.parent.name}/{folder.stem}")

    def git_url(self, repo_id: str, *, repo_type: str = "model") -> str:
        """The address that git clones from."""
        prefix = "" if repo_type == "model" else f"{repo_type}s/"
        return f"{self.url}/{prefix}{repo_id}"

    def fail(self, status: int | None, *, on: str = "") -> None:
        """Answer every request whose path has the pattern `on` with `status`; `None` ends it."""
        self._failure = None if status is None else (re.compile(on), status)

    def hold(self) -> None:
        """Let every request wait until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Answer the requests that wait."""
        self._open.set()

    def cut(self, size: int) -> None:
        """Break the connection off after `size` bytes of the next body that is longer."""
        self._cut = size

    def answer(self, request: Request) -> Reply:
        """Record a request and answer it."""
        self.requests.append(Recorded(request.method, request.path, dict(request.headers)))
        self._open.wait()
        if self._failure and self._failure[0].search(request.path):
            return RouteError(self._failure[1], "", "the hub was told to fail").reply
        return answer(self, request)

    def take_cut(self, size: int) -> int:
        """How many of `size` bytes to send before the connection breaks."""
        if self._cut is None or self._cut >= size:
            return size
        cut, self._cut = self._cut, None
        return cut

    def run(self) -> threading.Thread:
        """Serve in a thread of its own."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Stop, and close every connection."""
        self.release()
        self._server.shutdown()
        self._server.close_all()
        self._server.server_close()

    def _place(self, repo_type: str, repo_id: str) -> BareRepo:
        key = (repo_type, repo_id)
        if key not in self._repos:
            folder = self.folder / f"{repo_type}s" / f"{repo_id}.git"
            self._repos[key] = BareRepo(folder, repo_id, repo_type)
        return self._repos[key]


@contextmanager
def serve_hub(folder: Path, *, lfs_over: int = 10_000_000) -> Iterator[ServedHub]:
    """Serve the git repos in a folder as a hub for as long as the block runs.

    Args:
        folder: where the repos are or will be: `<type>s/<owner>/<name>.git`.
        lfs_over: files larger than this many bytes are kept as LFS files.
    """
    hub = ServedHub(folder, lfs_over=lfs_over)
    thread = hub.run()
    try:
        yield hub
    finally:
        hub.close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined on close, so that no thread outlives its test
    request_queue_size = 128

    def __init__(self, hub: ServedHub) -> None:
        self.hub = hub
        self._connections: set[socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_all(self) -> None:
        """End the connections that clients keep open."""
        for connection in tuple(self._connections):
            try:
                connection.shutdown(SHUT_RDWR)
            except OSError:
                continue  # its thread closed it just now

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours; anything else is shown."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers, self._body(headers))
        self._send(self.server.hub.answer(request), headers.get("range", ""))

    do_HEAD = do_POST = do_GET  # noqa: N815 - as above

    def log_message(self, *_: Any) -> None:
        """Say nothing: `requests` has it all."""

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, reply: Reply, asked: str) -> None:
        body = reply.body
        total = body.stat().st_size if isinstance(body, Path) else len(body)
        status, start, end = reply.status, 0, total
        headers = dict(reply.headers)
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        if part and status == 200:
            start = int(part.group(1))
            end = min(int(part.group(2) or total - 1) + 1, total)
            status = 206 if start < end else 416
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
            start = min(start, end)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(end - start if status != 416 else 0))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command != "HEAD" and status != 416:
            self._send_body(body, start, end - start)

    def _send_body(self, body: bytes | Path, start: int, size: int) -> None:
        allowed = self.server.hub.take_cut(size)
        if isinstance(body, Path):
            with body.open("rb") as file:
                file.seek(start)
                _copy(file, self.wfile, allowed)
        else:
            self.wfile.write(body[start : start + allowed])
        if allowed < size:
            self.close_connection = True


def _copy(source: IO[bytes], target: Any, size: int) -> None:
    while size > 0 and (chunk := source.read(min(size, 1 << 20))):
        target.write(chunk)
        size -= len(chunk)


def _read_folder(folder: Path) -> dict[str, str | bytes | None]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    inside = [path.relative_to(folder) for path in files]
    return {
        path.as_posix(): (folder / path).read_bytes() for path in inside if ".git" not in path.parts
    }
