"""From an exception to an exit status and to what the user is told about it.

| status | means |
|---|---|
| 0 | done |
| 1 | an error that can happen: it is explained |
| 2 | the command line makes no sense |
| 3 | a bug of envhub's: the traceback is in a file |
| 130 | interrupted |
"""

from __future__ import annotations

from collections.abc import Callable

import click

from envhub.cli.hints import at_terminal
from envhub.cli.look import Problem
from envhub.cli.output import ClosedPipeError, Output
from envhub.errors import EnvHubError

DONE, FAILED, USAGE, BUG, INTERRUPTED = 0, 1, 2, 3, 130


def status_of(out: Output, command: Callable[[], object]) -> int:
    """Run a command to its end, whatever that is, and return the exit status."""
    try:
        result = command()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place that can say what happened
        cause = _cause(error)
        if isinstance(cause, EnvHubError):
            cause.hint = at_terminal(cause.hint, out.args)
        status, problem = verdict(cause)
        if problem:
            out.problem(problem)
        return status
    return result if isinstance(result, int) else DONE


def verdict(error: BaseException) -> tuple[int, Problem | None]:
    """The exit status for an exception, and what to say about it."""
    match error:
        case EnvHubError():
            return FAILED, Problem.of(error)
        case click.exceptions.NoArgsIsHelpError():
            return USAGE, Problem("usage", "which command?", why=error.format_message())
        case click.UsageError():
            return USAGE, _usage(error)
        case click.ClickException():
            return FAILED, Problem("failed", error.format_message())
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED, Problem("interrupted", "stopped by Ctrl-C")
        case ClosedPipeError():
            return FAILED, None
        case OSError() if error.filename is not None:
            what = f"{error.filename}: {error.strerror}"
            return FAILED, Problem("system", what, docs="docs/cli.md")
    return BUG, _bug(error)


def _cause(error: BaseException) -> BaseException:
    """The exception to judge: Ctrl-C, if what failed was only the tidying up after it."""
    links: list[BaseException | None] = [error]
    for link in links:
        if isinstance(link, KeyboardInterrupt):
            return link
        if link is not None:
            # An exception may be its own cause, by way of others.
            links += [each for each in (link.__cause__, link.__context__) if each not in links]
    if isinstance(error, click.Abort) and isinstance(error.__cause__, EnvHubError):
        return error.__cause__  # a worker's death is an EOFError, which click takes for Ctrl-D
    return error


def _usage(error: click.UsageError) -> Problem:
    hint = f"{error.ctx.command_path} --help" if error.ctx else "envhub --help"
    return Problem("usage", error.format_message(), hint=hint, docs="docs/cli.md")


def _bug(error: BaseException) -> Problem:
    # Here, since `envhub --help` must not wait for what it needs.
    from envhub.cli.tracebacks import write_log

    return Problem(
        "bug",
        f"this is a mistake in envhub: {type(error).__name__}: {error}",
        why="You did nothing wrong, and nothing of yours was lost.",
        hint=f"report it with this file: {write_log(error)}",
    )
