"""Whose mistake an exception is: that of an env's author, or a bug of envhub's."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import envhub
from envhub.cli.tracebacks import write_log
from envhub.client import Client
from envhub.errors import EnvExitError, EnvFailedError, EnvHubError
from envhub.refs import parse

_ELSEWHERE = re.compile(r"in the (env's process|process of env \d+):|raised by env \d+ ")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


@contextmanager
def blaming(user: Client, ref: str) -> Iterator[None]:
    """Tell what an env's code raises from what is a bug of envhub's.

    Raises:
        EnvFailedError: a file of the repo was running when the exception was raised, or a process
            of the env's has gone.
        EnvExitError: the env's code ended the program.
    """
    place = parse(ref)
    folder = Path(place.location).expanduser().resolve()
    roots = [user.store.root, *([folder] if place.kind == "local" else [])]
    try:
        yield
    except SystemExit as stop:
        raise EnvExitError(
            f"the code of {ref} called sys.exit({stop.code!r})",
            why="an env ends an episode by returning terminated or truncated",
            hint="tell its author",
        ) from stop
    except Exception as error:
        if isinstance(error, EnvHubError):
            raise
        if not (isinstance(error, BrokenPipeError | EOFError) or _ran_in(error, roots)):
            raise
        raise env_failed(error, ref) from error


def env_failed(error: Exception, what: str) -> EnvHubError:
    """The error for what strange code raised; one of ours is explained already."""
    if isinstance(error, EnvHubError):
        return error
    failed = EnvFailedError(
        f"{what} failed with an error of its own code",
        why=where(error),
        hint=f"the whole traceback, for its author: {write_log(error)}",
    )
    failed.__cause__ = error
    return failed


def where(error: BaseException) -> str:
    """An exception in one line, with the place that raised it."""
    here = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    last = (_FRAME.findall(_told(error)) or here)[-1:]
    place = "".join(f" ({Path(name).name}:{line})" for name, line in last)
    return f"{type(error).__name__}: {error}{place}"


def _told(error: BaseException) -> str:
    """The traceback that came with an exception from an env's own process."""
    return "".join(note for note in getattr(error, "__notes__", ()) if _ELSEWHERE.match(note))


def _ran_in(error: BaseException, roots: Sequence[Path]) -> bool:
    if _told(error):
        return True
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    ours = Path(envhub.__file__).parent
    return any(
        file.is_relative_to(root) and not file.is_relative_to(ours)
        for file in files
        for root in roots
    )
