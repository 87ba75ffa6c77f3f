"""The host of an env, started by path: it imports the env once, and its workers are forked from it.

Only the standard library is imported here, until the packages of the env are on `sys.path`, and
they are only added after this process has given up its rights: code in them may run at once.

| message | descriptors | answer |
|---|---|---|
| make: place, request | | tasks, dangers; or what was raised |
| describe: task | | what that task is |
| fork: task, spot, spin, threads | bell (2), memory, log | pid, and a descriptor for it |
| work: the same, and make | the same | none: this process is the worker from now on |
| reap: pid | | its exit status |
"""

from __future__ import annotations

import base64
import ctypes
import gc
import importlib
import json
import os
import signal
import site
import socket
import sys
import time
import traceback
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

from . import birth, forking
from .doorbell import BellError
from .faults import Fault
from .scribe import Scribe
from .wire import Line, Message, close_all

PIDFD_OPEN = 434
SUBREAPER = 36
REAP_PATIENCE = 0.5

Reply = Tuple[Message, List[int]]


def main(text: str) -> None:
    """Run the host to its end.

    Args:
        text: JSON with `control` and `log`, descriptors; `folder`, which is removed at the end;
            `lockdown`, what `lockdown.apply` takes, or nothing; `packages`, folders.
    """
    told = json.loads(text)
    line = Line(socket.socket(fileno=told["control"]))
    birth.prepare()
    birth.follow(line.hung_up)
    # What an env leaves behind, its own children too, becomes a child of this process.
    birth.prctl(SUBREAPER, 1)
    if told.get("lockdown") is not None:
        importlib.import_module(".lockdown", __package__).apply(told["lockdown"])
    scribe = Scribe(told["folder"], [told["control"], told["log"]])
    host = Zygote(line, scribe)
    host.speak_to(told["log"])
    add_packages(told["packages"])
    try:
        host.serve()
    except BellError:
        host.end(0)
    except BaseException:  # noqa: BLE001 — the last frame of this process
        traceback.print_exc()
        host.end(1)


def add_packages(folders: Sequence[str]) -> None:
    """Put folders with packages on `sys.path`, and be in their venv, if they are of one."""
    for folder in folders:
        site.addsitedir(folder)
    root = os.path.abspath(os.path.join(folders[0], *[os.pardir] * 3)) if folders else ""
    if os.path.isfile(os.path.join(root, "pyvenv.cfg")):
        sys.prefix = sys.exec_prefix = root
        programs = os.path.join(root, "bin")
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])


class Zygote:
    """Serves one client.

    Args:
        line: where messages come from and answers go.
        scribe: keeps what is printed.
    """

    def __init__(self, line: Line, scribe: Scribe) -> None:
        self.line = line
        self.scribe = scribe
        self.pid = os.getpid()
        self.roster: Any = None
        self._handlers: Dict[str, Callable[[Message, List[int]], Reply]] = {
            "make": self._make,
            "describe": self._describe,
            "fork": self._fork,
            "reap": self._reap,
        }

    def serve(self) -> None:
        """Carry out messages until the client is gone.

        Raises:
            BellError: it is gone.
        """
        while True:
            hold_standard()
            told, fds = self.line.hear()
            if told["do"] == "work":
                self._work(told, fds)
            try:
                reply, theirs = self._handlers[told["do"]](told, fds)
            except BaseException as error:  # noqa: BLE001 — whatever it is, the client is told
                reply, theirs = tell(error), []
            finally:
                close_all(fds)
            self.line.say(reply, theirs)
            close_all(theirs)

    def speak_to(self, log_fd: int) -> None:
        """Let all that is printed from now on be remembered in another place."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        pipe = self.scribe.attach(log_fd)
        os.dup2(pipe, 1)
        os.dup2(pipe, 2)
        os.close(pipe)

    def end(self, code: int) -> NoReturn:
        """End this process and all that it has started; nothing is run at exit."""
        for pid in forking.children():
            if pid != self.scribe.pid:
                _kill(pid)
        os._exit(code)

    def _make(self, told: Message, _: List[int]) -> Reply:
        roster = self._load(told)
        dangers = forking.dangers()
        if set(forking.children()) - {self.scribe.pid}:
            dangers.append("a child process")
        return {"tasks": roster.tell(), "dangers": dangers, "built": roster.built}, []

    def _load(self, told: Message) -> Any:
        if self.roster is None:
            from .roster import Roster  # needs the packages of the env

            self.roster = Roster(told["place"], base64.b64decode(told["request"]))
        return self.roster

    def _describe(self, told: Message, _: List[int]) -> Reply:
        return self.roster.describe(told["task"]), []

    def _fork(self, told: Message, fds: List[int]) -> Reply:
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            self._be_forked(told, fds)
        return {"pid": pid}, _watch(pid)

    def _be_forked(self, told: Message, fds: List[int]) -> NoReturn:
        self.line.close()
        birth.follow(lambda: os.getppid() != self.pid)
        birth.after_fork(told["threads"])
        if told["spot"][0] == 0:
            self.roster.inherit(told["task"])
        self._serve_shard(told, fds)

    def _work(self, told: Message, fds: List[int]) -> NoReturn:
        if told["threads"] and self.roster is not None:
            birth.limit_threads(told["threads"])
        self._serve_shard(told, fds)

    def _serve_shard(self, told: Message, fds: List[int]) -> NoReturn:
        code = 1
        try:
            read, write, memory, log = fds
            self.speak_to(log)
            from .lastwords import watch_crashes

            watch_crashes(log)
            self._host(told, (read, write, memory))
            code = 0
        except BaseException:  # noqa: BLE001 — the last frame of this process
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            self._leave(code)

    def _leave(self, code: int) -> NoReturn:
        if os.getpid() == self.pid:
            self.end(code)
        os._exit(code)

    def _host(self, told: Message, fds: Tuple[int, int, int]) -> None:
        from .codec import Plain  # these need the packages of the env
        from .doorbell import Bell
        from .host import Host
        from .places import Spot

        read, write, memory = fds
        spot = Spot(*told["spot"])
        rows = slice(None) if told["whole"] else spot.rows

        def find(_: Any) -> Sequence[Callable[[], Any]]:
            factories: Sequence[Callable[[], Any]] = self._load(told).factories(told["task"], rows)
            return factories

        Host(Bell(read, write, spin=told["spin"]), Plain(), spot, memory, find).serve()

    def _reap(self, told: Message, _: List[int]) -> Reply:
        """The exit status of a worker that has ended, or is about to."""
        until = time.monotonic() + REAP_PATIENCE
        while True:
            pid, status = os.waitpid(told["pid"], os.WNOHANG)
            if pid or time.monotonic() > until:
                break
            time.sleep(0.001)
        self.scribe.sync()
        return {"code": _exit_code(status) if pid else None}, []


def hold_standard() -> None:
    """Open what an env has closed of the three standard files, before others get their numbers."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return


def tell(error: BaseException) -> Message:
    """What was raised, as plain text."""
    if isinstance(error, Fault):
        return {"fault": error.as_dict(), "traceback": _cause(error)}
    from .codec import Plain  # needs numpy
    from .trouble import tell as tell_trouble

    return {"raised": tell_trouble(0, error, Plain())}


def _cause(error: BaseException) -> str:
    cause = error.__cause__
    if cause is None:
        return ""
    return "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))[-20_000:]


def _watch(pid: int) -> List[int]:
    """A descriptor that stands for a process, whatever its number is elsewhere, if possible."""
    if hasattr(os, "pidfd_open"):
        try:
            return [os.pidfd_open(pid)]
        except OSError:
            return []
    fd = ctypes.CDLL(None).syscall(PIDFD_OPEN, pid, 0)
    return [fd] if fd >= 0 else []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:  # it has ended
        del error


def _exit_code(status: int) -> Optional[int]:
    if os.WIFSIGNALED(status):
        return -os.WTERMSIG(status)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
