"""The only door to subprocess: run a program, keep its last words; or talk to it while it runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from envhub import settings
from envhub.errors import CommandError

LAST_LINES = 20

Running = subprocess.Popen[bytes]
"""A program that runs beside us."""


@dataclass(frozen=True)
class Completed:
    """What a program left behind: exit status and everything that it printed."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text, without the final line break."""
        return self.stdout.decode(errors="replace").rstrip("\n")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
    check: bool = True,
    heard: Callable[[str], object] | None = None,
) -> Completed:
    """Run a program to its end, without a shell.

    Args:
        argv: the program and its arguments.
        cwd: the folder to run it in.
        env: variables on top of our own environment; `None` takes one out.
        stdin: bytes for its standard input; it never reads the terminal.
        timeout: seconds after which it is killed.
        check: raise if its exit status is not 0.
        heard: called with each line that it writes to standard error, when it writes it.

    Raises:
        CommandError: the program is missing, took too long, or failed; `why` has its last lines.
    """
    words = tuple(str(word) for word in argv)
    try:
        with _listen(heard) as (stderr, said):
            done = subprocess.run(
                words,
                cwd=cwd,
                env=settings.child_environ(env),
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                timeout=timeout,
                check=False,
            )
    except FileNotFoundError as error:
        raise _missing(words[0]) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(
            f"{words[0]} did not end within {timeout:g} s", why=" ".join(words)
        ) from error
    completed = Completed(words, done.returncode, done.stdout, done.stderr or b"".join(said))
    if check and done.returncode:
        raise failure(completed)
    return completed


@contextmanager
def _listen(heard: Callable[[str], object] | None) -> Iterator[tuple[int, list[bytes]]]:
    """A pipe to write to, and the lines that were written to it when the block ends."""
    if heard is None:
        yield subprocess.PIPE, []
        return
    read, write = os.pipe()
    said: list[bytes] = []

    def listen() -> None:
        with open(read, "rb") as lines:  # noqa: PTH123 - a pipe has no path
            for line in lines:
                said.append(line)
                heard(line.decode(errors="replace").rstrip())

    thread = Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield write, said
    finally:
        os.close(write)
        thread.join()


@contextmanager
def talk(
    argv: Sequence[str | Path], *, env: Mapping[str, str | None] | None = None
) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Run a program for as long as the block runs; yields its standard input and output.

    Its standard error is thrown away. It ends when its input does, at the end of the block.

    Raises:
        CommandError: the program is missing.
    """
    words = tuple(str(word) for word in argv)
    pipe = subprocess.PIPE
    environ = settings.child_environ(env)
    try:
        process = subprocess.Popen(
            words, env=environ, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise _missing(words[0]) from error
    with process:
        assert process.stdin  # noqa: S101 - it was asked for above
        assert process.stdout  # noqa: S101 - as above
        try:
            yield process.stdin, process.stdout
        except BaseException:
            process.kill()  # it may be writing to a pipe that nobody reads any more
            raise


def start(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str | None] | None = None,
    pass_fds: Sequence[int] = (),
    output: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that runs beside us, without input.

    Args:
        argv: the program and its arguments.
        env: variables on top of our own environment; `None` takes one out.
        pass_fds: file descriptors that it inherits, under the same numbers.
        output: a file for what it prints, and it is in a group of its own; by default it prints
            where we do, and gets what the terminal sends us.

    Raises:
        CommandError: the program is missing.
    """
    words = tuple(str(word) for word in argv)
    try:
        return subprocess.Popen(
            words,
            env=settings.child_environ(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=tuple(pass_fds),
            process_group=None if output is None else 0,
        )
    except FileNotFoundError as error:
        raise _missing(words[0]) from error


def _missing(program: str) -> CommandError:
    return CommandError(f"the program {program!r} was not found", hint=f"install {program}")


def failure(completed: Completed) -> CommandError:
    """The error for a program that ended with a bad exit status."""
    said = (completed.stderr or completed.stdout).decode(errors="replace").strip()
    return CommandError(
        f"`{' '.join(completed.argv)}` failed with exit status {completed.returncode}",
        why="\n".join(said.splitlines()[-LAST_LINES:]),
    )
