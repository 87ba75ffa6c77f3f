"""The processes of workers that are not our children."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from envhub.errors import WorkerError, WorkerProtocolError
from envhub.isolation.zygote import Zygote, ended
from envhub.worker.wire import close_all

END = 5.0
REAP = 1.0


class Forked:
    """A worker that a zygote has forked.

    Args:
        zygote: its parent, which knows its exit status.
        inner: its process id as the zygote sees it.
        fds: a descriptor that stands for the process, if the zygote could make one; owned.

    Raises:
        WorkerProtocolError: it is not a process of the zygote's.

    Attributes:
        pid: its process id here.
    """

    def __init__(self, zygote: Zygote, inner: int, fds: list[int]) -> None:
        self._zygote = zygote
        self._inner = inner
        self._fds = fds
        self._code: int | None = None
        self._over = False
        self.pid = _pid_of(fds[0]) if fds else inner
        # Else a host that lies could have us kill a process of the user's.
        if self.pid and not descends(self.pid, zygote.pid):
            raise WorkerProtocolError("the env's process gave a process that is not its own")

    def kill(self) -> None:
        """End it at once."""
        if not self._over:
            with contextlib.suppress(OSError):
                if self._fds:
                    signal.pidfd_send_signal(self._fds[0], signal.SIGKILL)
                else:
                    os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int | None:
        """Its exit status, if its parent is there to tell it."""
        if self._over:
            return self._code
        if self._fds:
            ended(self._fds[0], END)
        self._over = True
        close_all(self._fds)
        told = {"do": "reap", "pid": self._inner}
        if self._zygote.is_alive:
            with contextlib.suppress(WorkerError):
                reply, fds = self._zygote.ask("the end", told, deadline=time.monotonic() + REAP)
                close_all(fds)
                code = reply.get("code")
                self._code = code if isinstance(code, int) else None
        return self._code

    def cause(self) -> str:
        """What was said around the zygote when it was ended, if it was."""
        return "" if self._zygote.is_alive else self._zygote.cause()

    def __del__(self) -> None:
        """Let go of a process that nobody waited for."""
        if not self._over:
            close_all(self._fds)


class Program:
    """A worker that was started as a program of its own.

    Args:
        program: the program.
    """

    def __init__(self, program: Zygote) -> None:
        self._program = program
        self._cause = ""
        self.pid = program.pid

    def kill(self) -> None:
        """End it at once."""
        self._program.kill()

    def wait(self) -> int | None:
        """Its exit status."""
        code = self._program.wait()
        self._cause = self._cause or self._program.cause()
        self._program.close()
        return code

    def cause(self) -> str:
        """What was said around it when it was ended."""
        return self._cause


def _pid_of(pidfd: int) -> int:
    """The number of a process in our namespace; 0 if it has ended.

    Raises:
        WorkerProtocolError: the descriptor stands for no process.
    """
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").splitlines()
    found = [line.partition(":")[2] for line in lines if line.startswith("Pid:")]
    if not found:
        raise WorkerProtocolError("the env's process gave a descriptor that is no process")
    return max(0, int(found[0]))


def descends(pid: int, ancestor: int) -> bool:
    """Whether a process was started by another one, or by what that has started."""
    while pid > 1 and pid != ancestor:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:  # it has ended, so that nothing can be done to it
            return True
        pid = int(stat.rpartition(")")[2].split()[1])
    return pid == ancestor
