"""Git's `http-backend`, asked as a web server would: a request in, head and body out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO

from starlette.requests import Request

from envhub import proc
from envhub.hubs.gitprogram import ENVIRON, command
from envhub.server.refusals import Refusal

_PASSED_ON = {
    "content-type": "CONTENT_TYPE",
    "content-encoding": "HTTP_CONTENT_ENCODING",
    "git-protocol": "HTTP_GIT_PROTOCOL",
}
_HEAD_LINES = 50


class Backend:
    """One request to a repo.

    Args:
        folder: the git directory.
        request: what came.
        user: who pushes; git refuses pushes of nobody.
    """

    def __init__(self, folder: Path, request: Request, user: str) -> None:
        self._folder = folder
        self._request = request
        self._user = user

    @contextmanager
    def start(
        self, service: str, body: Path | None
    ) -> Iterator[tuple[int, dict[str, str], IO[bytes]]]:
        """Ask git; yields status, headers, and what it goes on to write.

        Args:
            service: `info/refs`, `git-upload-pack` or `git-receive-pack`.
            body: a file with the body of the request.

        Raises:
            CommandError: git is not installed.
        """
        words = command("-c", "safe.directory=*", "http-backend")
        with proc.talk(words, env=self._environ(service, body)) as (stdin, stdout):
            feeder = Thread(target=_feed, args=(stdin, body), daemon=True)
            feeder.start()
            status, headers = _head(stdout)
            yield status, headers, stdout
            feeder.join()

    def run(self, service: str, body: Path) -> tuple[int, dict[str, str], bytes]:
        """As `start`, to the end."""
        with self.start(service, body) as (status, headers, output):
            return status, headers, output.read()

    def _environ(self, service: str, body: Path | None) -> Mapping[str, str | None]:
        headers = self._request.headers
        return {
            **ENVIRON,
            **{name: headers[key] for key, name in _PASSED_ON.items() if key in headers},
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self._folder.parent),
            "GIT_HTTP_MAX_REQUEST_BUFFER": "100M",
            "PATH_INFO": f"/{self._folder.name}/{service}",
            "QUERY_STRING": self._request.scope["query_string"].decode("latin-1"),
            "REQUEST_METHOD": self._request.method,
            "REMOTE_USER": self._user or None,
            "REMOTE_ADDR": self._request.client.host if self._request.client else None,
            "CONTENT_LENGTH": str(body.stat().st_size) if body else None,
        }


def _feed(stdin: IO[bytes], body: Path | None) -> None:
    with suppress(BrokenPipeError, ValueError):  # git has heard enough, or is gone
        if body:
            with body.open("rb") as file:
                shutil.copyfileobj(file, stdin, 1 << 20)
        stdin.close()


def _head(output: IO[bytes]) -> tuple[int, dict[str, str]]:
    headers: dict[str, str] = {}
    for _ in range(_HEAD_LINES):
        line = output.readline().strip()
        if not line:
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name] = value.strip()
    if not headers:
        raise Refusal(500, "git gave no answer")
    return int(headers.pop("Status", "200").split()[0]), headers
