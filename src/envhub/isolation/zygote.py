"""The client's end of a zygote: the program is started, asked, heard and ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace

from envhub import proc
from envhub.errors import WorkerError
from envhub.isolation.launch import Launch
from envhub.isolation.spawner import spawn
from envhub.vector.failures import exit_text, kind_of
from envhub.worker import block, lastwords, sweep
from envhub.worker.doorbell import BellError, HangupError, LateError
from envhub.worker.trouble import harmless
from envhub.worker.wire import Message, close_all, pair

QUIET_END = 0.5
REAPED = 5.0


class Zygote:
    """A host program that was started.

    Args:
        launch: how.

    Attributes:
        process: the program, or the sandbox around it.
        spent: whether it has become a worker, so that nothing can be asked any more.
    """

    def __init__(self, launch: Launch) -> None:
        self.spent = False
        self._lock = threading.Lock()
        self._folder = launch.folder
        self._ending = launch.ending
        self._log_fd, self._early_fd = block.create(), block.create()
        self._line, theirs = pair()
        self._code: int | None = None
        self._over = False
        told = {**launch.told, "control": theirs.fileno(), "log": self._log_fd}
        launch = replace(launch, told=told)
        fds = (theirs.fileno(), self._log_fd)
        try:
            self.process = spawn(
                lambda: proc.start(
                    launch.argv, env=launch.variables, pass_fds=fds, output=self._early_fd
                )
            )
        except BaseException:
            self._release()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked something."""
        return not self._over and not self._line.hung_up()

    def ask(
        self, what: str, message: Message, fds: Sequence[int] = (), *, deadline: float
    ) -> tuple[Message, list[int]]:
        """Say something and wait for the answer.

        Args:
            what: what it is asked to do, for the error.
            message: what to say.
            fds: descriptors to send.
            deadline: a time of `time.monotonic()`.

        Returns:
            The answer, and descriptors, which are the caller's.

        Raises:
            WorkerError: there is none; the program is ended.
        """
        try:
            with self._lock:
                self._line.say(message, fds, deadline)
                return self._line.hear(deadline)
        except BellError as error:
            raise self.failure(what, error) from error

    def become(self, message: Message, fds: Sequence[int], *, deadline: float) -> None:
        """Let the program be a worker from now on.

        Raises:
            WorkerError: it does not listen; it is ended.
        """
        self.spent = True
        try:
            self._line.say(message, fds, deadline)
        except BellError as error:
            raise self.failure("start", error) from error

    def failure(self, what: str, error: BellError) -> WorkerError:
        """End the program, and say how it failed."""
        hung_up = isinstance(error, HangupError)
        code = self._ended(QUIET_END) if hung_up else None
        self.kill()
        self.wait()
        said = "did not answer in time" if isinstance(error, LateError) else f"failed: {error}"
        if hung_up:
            said = f"died ({exit_text(code)})"
        last = self.last_words()
        self.close()
        return kind_of(error)(f"the env's process (pid {self.pid}) {said} in {what}", why=last)

    def last_words(self) -> str:
        """The end of what it printed; what went wrong before it could speak, too."""
        said = self.cause(), harmless(lastwords.recall(self._log_fd))
        return "\n".join(part for part in said if part)

    def cause(self) -> str:
        """What was said around it: why it could not start, or why its keeper has ended it."""
        if self._over:
            return ""
        return harmless(
            os.pread(self._early_fd, lastwords.SIZE, 0).decode(errors="replace").strip()
        )

    def kill(self) -> None:
        """End it and all processes of its session's group at once."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, self._ending)
                os.killpg(self.pid, signal.SIGCONT)  # one that is stopped hears nothing else

    def wait(self) -> int | None:
        """Its exit status, when it has ended; `None` if it does not within some seconds."""
        return self._ended(REAPED)

    def close(self) -> None:
        """End it, and remove all that was its; twice is once."""
        if self._over:
            return
        self._over = True
        self._line.close()
        if self._code is None and self._ended(QUIET_END) is None:
            self.kill()
            self._ended(REAPED)
        if self._code is None:  # it does not hear the gentler signal
            self.process.kill()
            self._ended(REAPED)
        self._release()

    def _release(self) -> None:
        self._line.close()
        close_all([self._log_fd, self._early_fd])
        sweep.clear(str(self._folder))

    def _ended(self, seconds: float) -> int | None:
        if self._code is None:
            self._code = _wait_for(self.process, seconds)
        return self._code


def _wait_for(process: proc.Running, seconds: float) -> int | None:
    fd = os.pidfd_open(process.pid)
    try:
        if not ended(fd, seconds):
            return None
        # What it has left in its group, whose number is its own until it was waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
    finally:
        os.close(fd)


def ended(pidfd: int, seconds: float) -> bool:
    """Whether a process ends within some seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
