"""Keeps a cage: starts what is in it, watches how much that takes, and leaves nothing of it behind.

It is a process of its own, outside the cage, that runs none of the env's code. It ends everything
that was started in the cage, however well that hides, when the program in it ends, when it is told
to (SIGTERM), when the client is gone, and when the cage takes more than it may. The client's other
threads may come and go, and its children may hold on to what they inherited: only the end of the
process itself counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Sequence

from . import sweep, syscalls, usage

SUBREAPER, DIE_WITH_PARENT = 36, 1
PAUSE_MS = 200
PATIENCE = 10.0


def main(text: str) -> NoReturn:
    """Run the program that follows on the command line.

    Args:
        text: JSON with `parent`, the client's process id; `budget`, see `usage.Budget`; `shell`,
            whether the program tells deaths by signals as a shell does (128 and more); `folder`,
            which is removed at the end.
    """
    told = json.loads(text)
    watch = _open_parent(told["parent"])
    wakeup = _hear_signals()
    syscalls.prctl(SUBREAPER, 1)
    child = _start(sys.argv[3:])
    _hold_only({watch, *wakeup})
    code = Keeper(child, watch, wakeup[0], told).keep()
    sweep.clear(told["folder"])
    _leave(code, shell=told["shell"])


class Keeper:
    """Watches one cage.

    Args:
        child: the program in it.
        parent: a descriptor that stands for the client.
        wakeup: is readable when a signal has come.
        told: what `main` was told.
    """

    def __init__(self, child: int, parent: int, wakeup: int, told: Mapping[str, Any]) -> None:
        self.child = child
        self.wakeup = wakeup
        self.budget = usage.Budget(**told["budget"])
        self.poll = select.poll()
        for fd in (parent, wakeup):
            self.poll.register(fd, select.POLLIN)
        self.parent = parent
        self.code: Optional[int] = None

    def keep(self) -> int:
        """Wait for the end, and bring it about; the exit status as `waitpid` tells it."""
        while self.code is None and not self._is_over():
            too_much = self.budget.excess(os.getpid())
            if too_much:
                _say("the sandbox was ended: " + too_much)
                break
            self._reap()
        self._end()
        return signal.SIGKILL if self.code is None else self.code

    def _is_over(self) -> bool:
        for fd, _ in self.poll.poll(PAUSE_MS):
            if fd == self.parent or signal.SIGTERM in os.read(self.wakeup, 4096):
                return True
        return False

    def _end(self) -> None:
        until = time.monotonic() + PATIENCE
        self.poll.unregister(self.parent)
        while end_all(os.getpid()) and time.monotonic() < until:
            if self.poll.poll(PAUSE_MS // 20):
                os.read(self.wakeup, 4096)
            self._reap()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == self.child:
                    self.code = status
                if not pid:
                    return


def end_all(root: int) -> List[int]:
    """Kill all that descends from a process; who was found."""
    found, _ = usage.family(root)
    # Stopped first, so that none is born behind our back.
    for wanted in (signal.SIGSTOP, signal.SIGKILL):
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, wanted)
    return found


def _open_parent(pid: int) -> int:
    """A descriptor that is readable when the client's process has ended."""
    watch = syscalls.call("pidfd_open", pid, 0)
    if os.getppid() != pid:  # it has ended before we could look
        os._exit(1)
    return watch


def _hear_signals() -> List[int]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):  # the terminal's; what they mean is the client's
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return [read, write]


def _start(command: Sequence[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        # A group, and no session: Linux schedules sessions against each other, and a worker that
        # is waited for would get its turn late.
        os.setpgid(0, 0)
        syscalls.prctl(DIE_WITH_PARENT, signal.SIGKILL)
        os.execv(command[0], list(command))  # noqa: S606 — a shell would only be one thing more
    except OSError as error:
        _say("{}: {}".format(command[0], error))
    finally:
        os._exit(127)


def _hold_only(wanted: "set[int]") -> None:
    """Close what was only passed on: who waits for its end must not wait for ours."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in wanted:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _leave(status: int, *, shell: bool) -> NoReturn:
    """End as the program has ended."""
    code = os.WEXITSTATUS(status)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if shell and code > 128:
        number = code - 128
    if number in _numbers():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(code)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text.encode("utf-8", "replace") + b"\n")


def _numbers() -> Dict[int, str]:
    return {int(each): each.name for each in signal.Signals}
