"""What the command line says, and where: data to stdout, all else to stderr.

The only file that prints. With `--json`, stdout is one JSON value, and stderr has one JSON object
per line: `{"warning": {…}}` or `{"error": {…}}`. With `--quiet`, stdout is the bare essential, one
value per line.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TextIO

from envhub.cli import look_plain
from envhub.cli.look import Part, Problem, plain, plain_part
from envhub.errors import RefMovedWarning

Mode = Literal["human", "json", "quiet"]

PIPE_WIDTH = 200
"""Columns where nobody looks at a terminal: wide, so that no line is cut."""

_LOGIN = re.compile(r"(https?://)[^/@\s\"']+@|(://)[^/@:\s\"']*:[^/@\s\"']*@")

PATIENCE = 0.3
"""Seconds that something may take before it gets a progress bar."""


class ClosedPipeError(Exception):
    """Whoever read our output has gone, as `| head -1` does."""


class Output:
    """One command's way to the user.

    Args:
        mode: `human`, `json` or `quiet`.
        args: the words of the command line, for hints that repeat them.
    """

    def __init__(self, mode: Mode = "human", args: Sequence[str] = ()) -> None:
        self.mode = mode
        self.args = tuple(args)

    @property
    def shows_progress(self) -> bool:
        """Whether somebody may be watching."""
        # Here, since `envhub --help` must not wait for it.
        from envhub.settings import Settings

        return self.mode == "human" and Settings.from_environ().progress

    @staticmethod
    def for_args(args: Sequence[str]) -> Output:
        """The output that the arguments ask for, so that wrong arguments are told in it too."""
        options = args[: list(args).index("--")] if "--" in args else args
        if "--json" in options:
            return Output("json", args)
        return Output("quiet" if {"-q", "--quiet"} & set(options) else "human", args)

    def emit(self, data: Any, *parts: Part, brief: Iterable[object] = ()) -> None:
        """Say what the command found out.

        Args:
            data: for `--json`.
            parts: for people.
            brief: for `--quiet`, one line each.
        """
        if self.mode == "json":
            _write(sys.stdout, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        elif self.mode == "quiet":
            _write(sys.stdout, "".join(f"{plain(str(line))}\n" for line in brief))
        else:
            _write(sys.stdout, _drawn(parts, sys.stdout))

    def note(self, *parts: Part) -> None:
        """Say something by the way, to people only."""
        if self.mode == "human":
            _write(sys.stderr, _drawn(parts, sys.stderr))

    def problem(self, problem: Problem) -> None:
        """Say what went wrong."""
        if self.mode == "json":
            line = json.dumps({problem.kind: problem.as_dict()}, ensure_ascii=False)
            _write(sys.stderr, f"{line}\n")
        else:
            _write(sys.stderr, _drawn([problem], sys.stderr))

    @contextlib.contextmanager
    def warnings_shown(self) -> Iterator[None]:
        """Show Python's warnings as problems, for as long as the block runs."""

        def show(message: Warning | str, category: type[Warning], *_where: Any) -> None:
            what, _, more = str(message).partition("\n")
            why, _, hint = more.partition("→ ")
            self.problem(Problem(category.__name__, what, why.strip(), hint, kind="warning"))

        with warnings.catch_warnings():
            warnings.simplefilter("always", RefMovedWarning)
            warnings.showwarning = show  # type: ignore[assignment]  # the rest of it in *_where
            yield

    @contextlib.contextmanager
    def strangers(self) -> Iterator[None]:
        """Send what an env's code prints to stderr, so that stdout has our data alone."""
        sys.stdout.flush()
        with contextlib.ExitStack() as undo:
            if sys.stdout is sys.__stdout__:  # libraries in C and workers write past sys.stdout
                kept = os.dup(1)
                undo.callback(os.close, kept)
                undo.callback(os.dup2, kept, 1)
                os.dup2(2, 1)
            undo.enter_context(contextlib.redirect_stdout(sys.stderr))
            yield

    @contextlib.contextmanager
    def bar(self, label: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """A progress bar on a terminal; the block calls what it gets with `(done, note)`."""
        with contextlib.ExitStack() as stack:
            drawn: list[Callable[[int, str], None]] = []
            begin = time.monotonic()

            def update(done: int, note: str = "") -> None:
                if not drawn and time.monotonic() - begin > PATIENCE:
                    drawn.append(self._bar(stack, label, total))
                if drawn:
                    drawn[0](done, note)

            yield update

    def _bar(
        self, stack: contextlib.ExitStack, label: str, total: int
    ) -> Callable[[int, str], None]:
        if not self.shows_progress or not sys.stderr.isatty():
            return lambda _done, _note: None
        try:
            # Here, since rich is an optional extra, and 30 ms that most commands do not need.
            from envhub.cli import look_rich
        except ImportError:
            return lambda _done, _note: None
        bars = stack.enter_context(look_rich.progress())
        task = bars.add_task(label, total=total, note="")
        return lambda done, note: bars.update(task, completed=done, note=note)


def masked(text: str) -> str:
    """The text without the user names and passwords of its URLs."""
    return _LOGIN.sub(r"\1\2***@", text)


def _drawn(parts: Sequence[Part], stream: TextIO) -> str:
    parts = _spaced([plain_part(part) for part in parts])
    try:
        # Here, since rich is an optional extra, and 30 ms that `--help` does not need.
        from envhub.cli import look_rich
    except ImportError:
        return look_plain.draw(parts)
    is_terminal = stream.isatty()
    width = os.get_terminal_size(stream.fileno()).columns if is_terminal else 0
    # A terminal that does not know its width says 0, too.
    return look_rich.draw(parts, width=width or PIPE_WIDTH, color=is_terminal)


def _spaced(parts: Sequence[Part]) -> list[Part]:
    """The parts with an empty line between them, but not between lines of text."""
    spaced: list[Part] = []
    for part in parts:
        if spaced and not (isinstance(part, str) and isinstance(spaced[-1], str)):
            spaced.append("")
        spaced.append(part)
    return spaced


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    safe = masked(text).encode(encoding, "replace").decode(encoding)
    try:
        print(safe, end="", file=stream, flush=True)
    except BrokenPipeError as error:
        # What is still in the buffer would be complained about when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise ClosedPipeError from error
