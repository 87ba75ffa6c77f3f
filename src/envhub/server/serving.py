"""Runs a hub: in the foreground until it is told to stop, or in a thread for as long as a block."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import uvicorn

from envhub.errors import ArgumentError
from envhub.server.app import make_app
from envhub.server.hub import Hub
from envhub.server.patience import Patience

if sys.platform != "win32":
    import resource

GRACE_SECONDS = 20
CONNECTIONS = 8192
_LOGGED = ("route", "status", "seconds", "client")


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, what happened, and the numbers of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as a line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= {name: getattr(record, name) for name in _LOGGED if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Server(uvicorn.Server):
    """Calls somebody when it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def run(hub: Hub, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve until SIGTERM or Ctrl-C; what is under way then is finished first.

    Args:
        hub: what to serve.
        host: the address to listen at.
        port: 0 for any that is free.
        ready: called with the hub's address when it takes requests.

    Raises:
        ArgumentError: the address is taken, or not ours.
    """
    # When it has ended, uvicorn sends itself the signal again; to end was all that it asked for.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    _most_files(CONNECTIONS)
    try:
        with _listening(host, port) as (listener, url):
            _Server(_config(hub), lambda: ready(url)).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def served(
    hub: Hub,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    protocol: type[Patience] = Patience,
    connections: int | None = None,
) -> Iterator[str]:
    """Serve in a thread for as long as the block runs; yields the hub's address.

    Args:
        hub: what to serve.
        host: the address to listen at.
        port: 0 for any that is free.
        protocol: how long clients are waited for.
        connections: more at once are told to come back; half as many as this process may have
            files open if not said.
    """
    up = threading.Event()
    with _listening(host, port) as (listener, url):
        server = _Server(_config(hub, protocol, connections), up.set)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        up.wait()
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write what happens to standard error, for a service manager to keep."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in ("envhub.server", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def _config(
    hub: Hub, protocol: type[Patience] = Patience, connections: int | None = None
) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(hub),
        http=protocol,
        # A request may need a file beside its connection.
        limit_concurrency=connections or _most_files() // 2,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )


def _most_files(wanted: int | None = None) -> int:
    """How many files and connections this process may have open, or may have from now on."""
    if sys.platform == "win32":
        return CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


@contextmanager
def _listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ArgumentError(
            f"cannot listen at {host}, port {port}",
            why=str(error),
            hint="envhub serve --port 0   # any port that is free",
        ) from error
    with listener:
        shown = f"[{host}]" if ":" in host else host
        yield listener, f"http://{shown}:{listener.getsockname()[1]}"
