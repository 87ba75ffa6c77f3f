"""The command as the shell sees it: a process, its status, its streams, its signals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envhub.testing import repos

ENVHUB = [sys.executable, "-m", "envhub"]

ENDLESS = str(repos.COUNTER["env.py"]).replace(
    "self.count += 1",
    "self.count += 1\n        open('started', 'w').close()",
)


def start(
    *words: object, cwd: Path | None = None, group: int | None = None
) -> subprocess.Popen[str]:
    argv = [*ENVHUB, *map(str, words)]
    pipe = subprocess.PIPE
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a suite in the background ignores it
    try:
        return subprocess.Popen(
            argv, stdout=pipe, stderr=pipe, text=True, cwd=cwd, process_group=group
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An env that never ends, and leaves a file when it began to step."""
    monkeypatch.chdir(tmp_path)
    code = ENDLESS.replace("self.count >= self.limit", "False")
    return repos.write({"env.py": code}, tmp_path / "env")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--version"], 0),
        (["run", "./nowhere"], 1),
        (["run"], 2),
        (["nonsense"], 2),
    ],
)
def test_exit_status(words: list[str], status: int) -> None:
    """0 done, 1 an explained error, 2 wrong usage."""
    process = start(*words)
    process.communicate()
    assert process.returncode == status


def test_exit_status_of_a_bug(tmp_path: Path) -> None:
    """3 is a bug: a short message, and the traceback in a file."""
    code = (
        "import envhub.cli.numbers, envhub.cli as cli\n"
        "envhub.cli.numbers.count = None\n"
        "cli.main(['lock', '.'])"
    )
    (tmp_path / "env.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    head, _, hint = done.stderr.splitlines()
    assert head.startswith("error[bug]: this is a mistake in envhub: TypeError")
    assert "Traceback" in Path(hint.partition(": ")[2]).read_text()


def interrupted(process: subprocess.Popen[str], began: Path) -> tuple[str, str]:
    while not began.exists():
        assert process.poll() is None
        os.sched_yield()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    return out, err


@pytest.mark.parametrize("extra", [[], ["--async", "--n-envs", "2"]])
def test_interrupt(endless: Path, extra: list[str]) -> None:
    """Ctrl-C ends a run with 130 and one line, with and without worker processes."""
    words = ("run", endless, "--trust-remote-code", "--max-steps", 10**9, *extra)
    out, err = interrupted(start(*words, group=0), Path("started"))
    assert out == ""
    assert err.splitlines()[-1] == "error[interrupted]: stopped by Ctrl-C"
    if not extra:
        assert err.strip().count("\n") == 0


def test_closed_pipe(tmp_path: Path) -> None:
    """`| head -1` ends the command silently."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*ENVHUB, "cache", "ls"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


JSON = [
    ["run", "./env", "--trust-remote-code", "--episodes", "1"],
    ["info", "./env"],
    ["fetch", "./env"],
    ["lock", "./env"],
    ["trust", "add", "./env"],
    ["trust", "list"],
    ["cache", "ls"],
    ["cache", "verify"],
    ["cache", "rm", "--all", "-y"],
    ["doctor", "--offline"],
    ["completion", "bash"],
]


@pytest.mark.parametrize("words", JSON, ids=lambda words: " ".join(words[:2]))
def test_json(words: list[str], tmp_path: Path) -> None:
    """With --json stdout is one JSON value and nothing else, whatever the env prints."""
    code = "print('noise')\nimport os\nos.system('echo noise of a child')\n"
    repos.write({"env.py": code + str(repos.COUNTER["env.py"])}, tmp_path / "env")
    process = start(*words, "--json", cwd=tmp_path)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(out)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo terminal: our end and the command's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def at_terminal(ends: tuple[int, int], *words: str, **variables: str) -> bytes:
    ours, theirs = ends
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", **variables}
    process = subprocess.Popen([*ENVHUB, *words], stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    process.wait()
    return text


def _read(end: int) -> bytes:
    try:
        return os.read(end, 4096)
    except OSError:  # Linux's way to say that nobody has the other end
        return b""


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours(terminal: tuple[int, int], variables: dict[str, str], colored: bool) -> None:
    """A terminal gets colours, unless NO_COLOR is set."""
    text = at_terminal(terminal, "nonsense", **variables)
    assert b"error[usage]" in text
    assert (b"\x1b[1;31m" in text) is colored
