"""Starts workers: by fork, as a clean program, or through multiprocessing."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import envhub.worker
from envhub import proc
from envhub.errors import ArgumentError
from envhub.worker import birth, forking, local
from envhub.worker.codec import Codec, CodecError, Pickled
from envhub.worker.local import Ends, Start
from envhub.worker.places import Spot

METHODS = ("auto", "exec", "fork", "forkserver", "spawn")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Factory = Callable[[], Any]


class Process(Protocol):
    """A worker's process, like a `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def kill(self) -> None:
        """End it at once; nothing happens if it has ended."""

    def wait(self) -> int | None:
        """Wait for its end; its exit status, negative for a signal, `None` if unknown."""


class Started(NamedTuple):
    """A worker that was started, and what it needs to find its factories."""

    process: Process
    payload: dict[str, Any]


class Starter(Protocol):
    """Starts the workers of one vector env, in one way.

    Attributes:
        codec: how values pass between them and us; it also says whether they are trusted.
    """

    codec: Codec

    def start(self, spot: Spot, ends: Ends, *, spin: bool) -> Started:
        """Start the worker of a shard, with its ends of the pipes."""

    def cause(self, process: Process) -> str:
        """Why a worker's process was ended, if that was done on purpose and said; else nothing."""


class LocalStarter:
    """Starts workers for factories of the caller's own program.

    Args:
        factories: one for each env.
        method: one of `METHODS`. "auto" forks, which takes 8 ms, unless something lives in this
            process that does not survive it; then it starts a clean program, which takes 150 ms.
        threads: how many threads BLAS and OpenMP may use in a worker; 0 leaves them as they are.

    Raises:
        ArgumentError: there is no such method here.
    """

    def __init__(self, factories: Sequence[Factory], method: str, threads: int) -> None:
        if method not in METHODS:
            raise ArgumentError(
                f"start_method={method!r} is unknown", hint=f"one of {', '.join(METHODS)}"
            )
        self.codec: Codec = Pickled()
        self._factories = factories
        self._method = method
        self._threads = threads

    def start(self, spot: Spot, ends: Ends, *, spin: bool) -> Started:
        """Start the worker of a shard."""
        factories = self._factories[spot.lo : spot.hi]
        method, payload = self._choose(factories)
        on_main = threading.current_thread() is threading.main_thread()
        start = Start(spot, ends, os.getpid(), on_main, spin)
        if method == "fork":
            return Started(_fork(start, factories, self._threads), payload)
        if method == "exec":
            return Started(_execute(start, self._threads), payload)
        return Started(_delegate(start, method, self._threads), payload)

    def cause(self, process: Process) -> str:  # noqa: ARG002 — the same for each of them
        """Nothing: nobody but us ends these processes on purpose."""
        return ""

    def _choose(self, factories: Sequence[Factory]) -> tuple[str, dict[str, Any]]:
        dangers = forking.dangers() if self._method == "auto" else []
        if self._method == "fork" or (self._method == "auto" and not dangers):
            return "fork", {}
        method = "exec" if self._method == "auto" else self._method
        try:
            return method, local.pack(factories)
        except CodecError as error:
            if self._method != "auto":
                raise ArgumentError(
                    f"the env factories cannot be sent to a worker that was started by {method!r}",
                    why=str(error),
                    hint='start_method="fork", or factories that can be pickled',
                ) from error
            warnings.warn(
                f"forking although it may hang, because of {', '.join(dangers)}: "
                f"the env factories {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return "fork", {}


class Child:
    """A process that we forked.

    Args:
        pid: its process id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None
        self._over = False

    def kill(self) -> None:
        """End it at once."""
        if not self._over:
            with contextlib.suppress(ProcessLookupError):  # somebody else has waited for it
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int | None:
        """Wait for its end."""
        if not self._over:
            self._over = True
            try:
                self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            except ChildProcessError:  # somebody else in this process has waited for it
                self._code = None
        return self._code


def _fork(start: Start, factories: Sequence[Factory], threads: int) -> Child:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    pid = os.fork()
    if pid == 0:
        _be_forked(start, factories, threads)
    return Child(pid)


def _be_forked(start: Start, factories: Sequence[Factory], threads: int) -> NoReturn:
    try:
        birth.after_fork(threads)
        local.run(start, lambda _: factories)
    finally:
        os._exit(1)


def _variables(threads: int) -> dict[str, str]:
    return dict.fromkeys(THREAD_VARIABLES, str(threads)) if threads else {}


def _execute(start: Start, threads: int) -> Process:
    program = Path(envhub.worker.__file__).parent
    argv: list[str | Path] = [sys.executable, program, "local", start.to_json()]
    return proc.start(argv, env=_variables(threads), pass_fds=start.ends)


class Delegate:
    """A process that multiprocessing started.

    Args:
        process: the process.
    """

    def __init__(self, process: multiprocessing.process.BaseProcess) -> None:
        self._process = process
        self.pid = process.pid or 0

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self) -> int | None:
        """Wait for its end."""
        self._process.join()
        return self._process.exitcode


def _delegate(start: Start, method: str, threads: int) -> Delegate:
    context: Any = multiprocessing.get_context(method)
    # A Connection is what multiprocessing can carry a descriptor in.
    ends = [Connection(os.dup(fd)) for fd in start.ends]
    # A fork server is the parent of what it starts, and no client of ours.
    start = start._replace(die_with_parent=start.die_with_parent and method == "spawn")
    process = context.Process(target=_be_delegated, args=(start, ends, threads), daemon=True)
    process.start()
    return Delegate(process)


def _be_delegated(start: Start, ends: list[Connection], threads: int) -> None:
    birth.after_fork(threads)
    fds = Ends(*(os.dup(end.fileno()) for end in ends))
    for end in ends:
        end.close()
    local.run(start._replace(ends=fds), local.unpack)
