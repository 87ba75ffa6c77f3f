"""What can happen to a worker, and how it is told: in Gymnasium's words where it has some."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gymnasium import logger

from envhub.errors import (
    EnvHubError,
    EnvRaisedError,
    WorkerDiedError,
    WorkerError,
    WorkerProtocolError,
    WorkerTimeoutError,
)
from envhub.faults import error_for
from envhub.worker.codec import Codec, CodecError
from envhub.worker.doorbell import BellError, HangupError, LateError
from envhub.worker.faults import Fault
from envhub.worker.trouble import harmless

KINDS: dict[type[BellError], type[WorkerError]] = {
    HangupError: WorkerDiedError,
    LateError: WorkerTimeoutError,
}


@dataclass(frozen=True)
class Failure:
    """What happened to a worker.

    Attributes:
        kind: the class of the error that tells it.
        worker: number of the worker.
        pid: its process id.
        lo: its first env.
        hi: the one after its last env.
        env: the env that it was at, if it was at one.
        command: what it was asked to do.
        code: its exit status, negative for a signal, if it ended by itself.
        detail: more, like the text of an exception.
        last: the end of what it printed.
    """

    kind: type[WorkerError]
    worker: int
    pid: int
    lo: int
    hi: int
    env: int | None
    command: str
    code: int | None = None
    detail: str = ""
    last: str = ""

    def __str__(self) -> str:
        where = f"at env {self.env}" if self.env is not None else "between two envs"
        return (
            f"worker {self.worker} (envs {self.lo} to {self.hi - 1}, pid {self.pid}) "
            f"{self._what()} during {self.command}, {where}"
        )

    def error(self, hint: str = "") -> WorkerError:
        """The failure as an error to raise."""
        why = "\n".join(part for part in (self.detail, self.last) if part)
        return self.kind(str(self), why=why, hint=hint)

    def _what(self) -> str:
        if self.kind is WorkerDiedError:
            return f"died ({exit_text(self.code)})"
        if self.kind is WorkerTimeoutError:
            return "did not answer in time"
        if self.kind is EnvRaisedError:
            return "had an env that raised"
        return "answered what is no answer"


def kind_of(error: BellError) -> type[WorkerError]:
    """The class of error for what was, or was not, heard of a worker."""
    return KINDS.get(type(error), WorkerProtocolError)


def exit_text(code: int | None) -> str:
    """An exit status in words."""
    if code is None:
        return "exit code unknown"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"


def exception_of(told: dict[str, Any], worker: int, codec: Codec) -> BaseException:
    """The exception that an env raised, as it is if it can be had here.

    Args:
        told: what `trouble.tell` told.
        worker: number of the worker that told it.
        codec: how the exception travelled.
    """
    index = told["index"]
    error: BaseException | None = None
    if codec.trusted and told["pickled"] is not None:
        try:
            error = codec.decode(told["pickled"])
        except CodecError:
            error = None
    if not isinstance(error, BaseException) or isinstance(error, SystemExit | KeyboardInterrupt):
        return _told_error(told)
    error.add_note(f"raised by env {index} in worker {worker}:\n{harmless(told['traceback'])}")
    return error


def _told_error(told: dict[str, Any]) -> EnvHubError:
    fault = told.get("fault")
    if fault is None:
        what = harmless(f"env {told['index']} raised {told['type']}: {told['text']}")
        return EnvRaisedError(what, why=harmless(told["traceback"]))
    error = error_for(Fault(**{name: harmless(str(value)) for name, value in fault.items()}))
    error.add_note(f"in the process of env {told['index']}:\n{harmless(told['traceback'])}")
    return error


def announce(troubles: Sequence[dict[str, Any]]) -> None:
    """Warn of envs that raised, in Gymnasium's words."""
    for told in troubles:
        message = f"Received the following error from Worker-{told['index']} - Shutting it down"
        logger.error(_escaped(message))
        logger.error(_escaped(told["traceback"]))
    logger.error("Raising the last exception back to the main process.")


def _escaped(text: str) -> str:
    # Gymnasium formats its messages with `%`.
    return text.replace("%", "%%")
