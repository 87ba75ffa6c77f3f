"""From an exception to an exit status, and to words that help."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import pytest

from envhub.cli.blame import blaming, env_failed, where
from envhub.cli.failures import status_of, verdict
from envhub.cli.output import ClosedPipeError, Output
from envhub.cli.run import closing
from envhub.cli.tracebacks import write_log
from envhub.client import Client
from envhub.errors import ArgumentError, EnvExitError, EnvFailedError, RefError


def failing(error: BaseException) -> Any:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (RefError("no ref", hint="owner/name"), 1, "error[ref-invalid]: no ref\n  → owner/name"),
        (click.UsageError("no"), 2, "error[usage]: no\n  → envhub --help"),
        (click.ClickException("no"), 1, "error[failed]: no"),
        (KeyboardInterrupt(), 130, "error[interrupted]: stopped by Ctrl-C"),
        (click.Abort(), 130, "error[interrupted]"),
        (PermissionError(13, "Permission denied", "/there/x"), 1, "error[system]: /there/x: "),
        (ZeroDivisionError("oh"), 3, "error[bug]: this is a mistake in envhub: ZeroDivisionError"),
        (OSError("of nowhere"), 3, "error[bug]"),
        (ClosedPipeError(), 1, ""),
    ],
)
def test_status(
    error: BaseException, status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind of exception has its status and its words; a closed pipe has none."""
    assert status_of(Output(), failing(error)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(says)
    assert "Traceback" not in err


def test_failure_after_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    """What fails while tidying up after Ctrl-C does not hide that it was Ctrl-C."""

    def command() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise EnvFailedError("could not be closed") from EOFError()

    def outer() -> None:
        try:
            command()
        except EnvFailedError as error:
            raise RuntimeError("on the way out") from error

    assert status_of(Output(), outer) == 130
    assert "Ctrl-C" in capsys.readouterr().err


def test_exception_that_is_its_own_cause() -> None:
    """A ring of causes has an end."""
    first, second = ArgumentError("a"), ArgumentError("b")
    first.__cause__, second.__context__ = second, first
    assert status_of(Output(), failing(first)) == 1
    first.__cause__ = first
    assert status_of(Output(), failing(first)) == 1


@pytest.mark.parametrize(("result", "status"), [(None, 0), (1, 1), ("text", 0)])
def test_no_exception(result: Any, status: int) -> None:
    """What a command returns is its status only if it is a number."""
    assert status_of(Output(), lambda: result) == status


def test_bug_is_logged(envhub_home: Path) -> None:
    """A bug says where its traceback is; the file has all that a report needs."""
    try:
        raise ZeroDivisionError("deep inside")
    except ZeroDivisionError as error:
        _, problem = verdict(error)
    assert problem
    log = Path(problem.hint.partition(": ")[2])
    assert log.parent == envhub_home / "logs"
    text = log.read_text()
    for part in ("envhub 0.", "Python 3.", f"command: {sys.argv[0]}", "deep inside", __file__):
        assert part in text


def test_log_has_no_password() -> None:
    """A log is sent to somebody: what was typed is in it, the password is not."""
    log = write_log(ValueError("cannot read https://me:secret@host/x")).read_text()
    assert "https://***@host/x" in log
    assert "secret" not in log


def test_log_of_a_read_only_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache folder cannot be written, the log goes to the temporary folder."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("ENVHUB_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert write_log(ValueError()).parent == tmp_path
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file" / "none"))
    assert write_log(ValueError()).parent == Path()


def run_file(folder: Path, code: str) -> None:
    path = folder / "env.py"
    path.write_text(code)
    exec(compile(code, path, "exec"), {})


def test_blame_the_env(tmp_path: Path) -> None:
    """An exception that came through a file of the repo is the env's."""
    with (
        pytest.raises(EnvFailedError, match="failed with an error of its own code") as caught,
        blaming(Client(), str(tmp_path)),
    ):
        run_file(tmp_path, "\n1 / 0")
    assert caught.value.why == "ZeroDivisionError: division by zero (env.py:2)"


@pytest.mark.parametrize(
    "head", ["in the env's process", "in the process of env 3", "raised by env 3 in worker 1"]
)
def test_blame_the_env_in_its_own_process(tmp_path: Path, head: str) -> None:
    """What came over from an env's process is its author's, and so is the place in it."""
    error = ValueError("boom")
    error.add_note(
        f'{head}:\n  File "/x/envhub/zygote.py", line 1\n  File "/x/env.py", line 7, in f'
    )
    with pytest.raises(EnvFailedError) as caught, blaming(Client(), str(tmp_path)):
        raise error
    assert caught.value.why == "ValueError: boom (env.py:7)"


def test_blame_envhub(tmp_path: Path) -> None:
    """An exception that did not is ours, and stays what it is; so do errors of ours."""
    with pytest.raises(ZeroDivisionError), blaming(Client(), str(tmp_path)):
        failing(ZeroDivisionError())()
    with pytest.raises(ArgumentError), blaming(Client(), str(tmp_path)):
        run_file(tmp_path, "from envhub.errors import *\nraise ArgumentError('no')")


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), EOFError()])
def test_blame_for_a_lost_process(tmp_path: Path, error: Exception) -> None:
    """When a process of the env's has gone, its end of a pipe breaks; that is no closed stdout."""
    with pytest.raises(EnvFailedError), blaming(Client(), str(tmp_path)):
        failing(error)()


class Stubborn:
    """An env that cannot be closed."""

    closed = False

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def close(self) -> None:
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), KeyboardInterrupt()])
def test_close_that_fails(error: BaseException) -> None:
    """What fails first is told; only if nothing else failed is it the closing."""
    env: Any = Stubborn(error)
    with pytest.raises(ZeroDivisionError), closing(env):
        failing(ZeroDivisionError())()
    assert env.closed is True
    with pytest.raises(type(error)), closing(env):
        pass


def test_blame_for_leaving(tmp_path: Path) -> None:
    """An env that ends the program is told so."""
    with pytest.raises(EnvExitError, match=r"sys.exit\(0\)"), blaming(Client(), str(tmp_path)):
        sys.exit(0)


def test_error_without_a_traceback() -> None:
    """An exception that was never raised has no place, and is told all the same."""
    assert where(ValueError("no")) == "ValueError: no"
    ours = ArgumentError("no")
    assert env_failed(ours, "env") is ours
