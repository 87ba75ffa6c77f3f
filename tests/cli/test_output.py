"""Output: what goes where, in which of the three modes, and how it looks."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import pytest

from envhub.cli import look_plain, look_rich
from envhub.cli.look import Facts, Part, Problem, Table
from envhub.cli.numbers import count, size_text
from envhub.cli.output import ClosedPipeError, Output
from envhub.errors import EntryNotFoundError

TABLE = Table(("name", "size"), [("env.py", "1"), ("[bold]x", "20")], right=("size",), title="T")
SUM = Table(("a",), [("1",), ("2",), ("3",)], last_is_sum=True)
FACTS = Facts("box", [("ref", "you/env"), ("none", None), ("empty", ""), ("two", "a\nb"), ("n", 0)])
PROBLEM = Problem("code", "what happened", "because\nof that", "one\ntwo", "docs/errors.md#code")
LAID_OUT = """\
error[code]: what happened
  because
  of that
  → one
  → two
  see docs/errors.md#code
"""


def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envhub.cli.look_rich", None)
    monkeypatch.delattr("envhub.cli.look_rich", raising=False)


@pytest.mark.parametrize(
    ("args", "mode"),
    [
        (["run", "."], "human"),
        (["run", ".", "--json"], "json"),
        (["run", "-q", "."], "quiet"),
        (["run", "--quiet"], "quiet"),
        (["run", "--quiet", "--json"], "json"),
        (["run", "--", "--json"], "human"),
        ([], "human"),
    ],
)
def test_mode(args: Sequence[str], mode: str) -> None:
    """The mode is read off the words, so that an error in them is told in it."""
    out = Output.for_args(args)
    assert (out.mode, out.args) == (mode, tuple(args))


@pytest.mark.parametrize(
    ("mode", "stdout", "stderr"),
    [
        ("human", "shown\n", "by the way\n"),
        ("json", '{\n  "a": "ü"\n}\n', ""),
        ("quiet", "1\n2\n", ""),
    ],
)
def test_emit(mode: Any, stdout: str, stderr: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Data goes to stdout, and to stderr what people may like to know."""
    out = Output(mode)
    out.note("by the way")
    out.emit({"a": "ü"}, "shown", brief=[1, 2])
    assert capsys.readouterr() == (stdout, stderr)


@pytest.mark.parametrize("rich", [True, False])
def test_error_layout(
    rich: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code, what, why, the lines that fix it, and where to read more: with rich or without."""
    if not rich:
        without_rich(monkeypatch)
    Output().problem(PROBLEM)
    assert capsys.readouterr() == ("", LAID_OUT)


def test_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json an error is one line of JSON on stderr."""
    error = EntryNotFoundError("no env.py", why="the repo has none", hint="envhub info you/env")
    Output("json").problem(Problem.of(error))
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert json.loads(err) == {
        "error": {
            "code": "entry-not-found",
            "what": "no env.py",
            "why": "the repo has none",
            "hint": "envhub info you/env",
            "docs": "docs/errors.md#entry-not-found",
        }
    }


def test_long_hints_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Prose is wrapped; a line that one copies is not, however long it is."""
    Output().problem(Problem("code", "w " * 90, why="word " * 60, hint="envhub " + "x" * 300))
    head, *why, hint = capsys.readouterr().err.splitlines()
    assert head == "error[code]: " + ("w " * 90).rstrip()
    assert len(why) == 4
    assert max(map(len, why)) <= 92
    assert hint == "  → envhub " + "x" * 300


def test_plain_look() -> None:
    """Without rich: columns in line, facts without a value left out."""
    assert look_plain.draw([TABLE, SUM, FACTS, "text"]).splitlines() == [
        "T",
        "name     size",
        "─────────────",
        "env.py      1",
        "[bold]x    20",
        "a",
        "─",
        "1",
        "2",
        "─",
        "3",
        "box",
        "  ref  you/env",
        "  two  a",
        "       b",
        "  n    0",
        "text",
    ]


def test_rich_look() -> None:
    """With rich: the same contents; what looks like markup is text."""
    drawn = look_rich.draw([TABLE, SUM, FACTS, "[red]text"], width=80, color=False)
    for text in ("T", "env.py", "[bold]x", "box", "you/env", "[red]text"):
        assert text in drawn
    assert "none" not in drawn
    assert "\x1b" not in drawn
    assert not [line for line in drawn.splitlines() if line != line.rstrip()]
    assert look_rich.draw([Table(("a",), []), Facts("", [("b", 1)])], width=80, color=False)


@pytest.mark.parametrize(("no_color", "colored"), [(None, True), ("1", False)])
def test_no_color(monkeypatch: pytest.MonkeyPatch, no_color: str | None, colored: bool) -> None:
    """Colours are for terminals, and not for those who say NO_COLOR."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert ("\x1b[1;31m" in look_rich.draw([PROBLEM], width=80, color=True)) is colored


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git+https://me:secret@host/x", "git+https://***@host/x"),
        ("'https://secret@host/x'", "'https://***@host/x'"),
        ("git+ssh://git@host/x", "git+ssh://git@host/x"),
        ("ssh://git:secret@host/x", "ssh://***@host/x"),
        ("https://host/you/env@v1:a.py", "https://host/you/env@v1:a.py"),
        ("see https://host and you@host", "see https://host and you@host"),
    ],
)
@pytest.mark.parametrize("mode", ["human", "json"])
def test_passwords_are_not_shown(
    text: str, shown: str, mode: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a message repeats of what was typed, a password in it is not shown."""
    out = Output(mode)
    out.emit(text, text)
    out.problem(Problem("code", text, hint=text))
    assert "secret" not in "".join(capsys.readouterr())
    out.emit(text, text)
    assert shown in capsys.readouterr().out


def test_parts_stand_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Tables and facts have an empty line between them; lines of text have none."""
    Output().emit({}, "a", "b", Facts("", [("c", 1)]), Facts("", [("d", 2)]), "e")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["a"], ["b"], [], ["c", "1"], [], ["d", "2"], [], ["e"]]


def test_encoding_that_knows_no_arrows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cannot show a character gets a question mark, not a traceback."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    Output().problem(PROBLEM)
    assert b"? one" in stream.buffer.getvalue()


def test_closed_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the reader has gone, the command ends, and Python has nothing to complain about."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(ClosedPipeError):
            Output().emit({}, "text")
        monkeypatch.undo()


@pytest.mark.parametrize("mode", ["human", "json", "quiet"])
def test_warnings(mode: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning of Python's is told like an error, on stderr."""
    with Output(mode).warnings_shown():
        warnings.simplefilter("always")
        warnings.warn("it moved\nfrom here\nto there\n→ go back", UserWarning, stacklevel=1)
    out, err = capsys.readouterr()
    expected = "warning[UserWarning]: it moved\n  from here\n  to there\n  → go back\n"
    assert out == ""
    assert mode == "json" or err == expected
    if mode == "json":
        assert json.loads(err)["warning"]["hint"] == "go back"


def test_strangers(capfd: pytest.CaptureFixture[str]) -> None:
    """What strange code prints goes to stderr, also past Python and from other programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "__stdout__", sys.stdout)
        with Output().strangers():
            sys.stdout.write("from Python\n")
            os.write(1, b"from C\n")
        sys.stdout.write("ours\n")
    out, err = capfd.readouterr()
    assert out == "ours\n"
    assert sorted(err.splitlines()) == ["from C", "from Python"]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal for stderr, and a bar that does not wait."""
    monkeypatch.setattr("envhub.cli.output.PATIENCE", -1)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def show_bar(out: Output, terminal: Terminal) -> None:
    with contextlib.redirect_stderr(terminal), out.bar("playing", 4) as bar:
        for done in range(4):
            bar(done, "a note")


def test_bar(terminal: Terminal) -> None:
    """On a terminal there is a bar with its label and a note, and it vanishes."""
    show_bar(Output(), terminal)
    assert "playing" in terminal.getvalue()
    assert "a note" in terminal.getvalue()
    assert "\x1b[2K" in terminal.getvalue()


def test_bar_waits(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over at once gets no bar."""
    monkeypatch.setattr("envhub.cli.output.PATIENCE", 60)
    show_bar(Output(), terminal)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("why", ["json", "quiet", "no rich", "switched off", "no terminal"])
def test_no_bar(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """Programs, pipes and those who switched it off get no bar."""
    if why == "no rich":
        without_rich(monkeypatch)
    if why == "switched off":
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if why == "no terminal":
        monkeypatch.setattr(Terminal, "isatty", lambda _: False)
    modes: dict[str, Any] = {"json": "json", "quiet": "quiet"}
    show_bar(Output(modes.get(why, "human")), terminal)
    assert terminal.getvalue() == ""


EVIL = "a\x1b]0;title\x07\x1b[2Jb\u202egnp.exe\x9b31m\rc\udcff"
SEEN = r"a\u001b]0;title\u0007\u001b[2Jb\u202egnp.exe\u009b31m\u000dc\udcff"


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize(
    "part",
    [
        EVIL,
        Table(("name",), [(EVIL,)]),
        Table(("name",), [("x" * 90,)], title=EVIL),
        Facts("", [(EVIL, 1)]),
        Facts(EVIL, [("name", EVIL)]),
        Problem("usage", EVIL, EVIL, EVIL),
    ],
)
def test_no_word_of_a_stranger_steers_the_terminal(
    part: Part, rich: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, cards and errors come from strangers: what a terminal would obey is written out."""
    if not rich:
        without_rich(monkeypatch)
    Output().emit({}, part)
    Output("quiet").emit({}, brief=[EVIL])
    shown = capsys.readouterr().out
    assert shown.count(SEEN) >= 2
    assert not set(shown) & set("\x1b\x07\x9b\r\u202e")
    Output().emit({}, "two\r\nlines of text\u00a0…")
    assert capsys.readouterr().out == "two\nlines of text\u00a0…\n"


def test_width_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal lines are as long as it is wide."""
    parts: list[Part] = [Facts("title", [("name", "word " * 100)])]
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((40, 20)))
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    Output().emit({}, *parts)
    assert max(map(len, stream.getvalue().splitlines())) <= 40 + len("\x1b[2m\x1b[0m") * 2


SIZES = {
    0: "0 B",
    999: "999 B",
    1000: "1.0 kB",
    2_500_000: "2.5 MB",
    3e9: "3.0 GB",
    4.2e12: "4.2 TB",
    5e15: "5000.0 TB",
}


@pytest.mark.parametrize(("size", "text"), SIZES.items())
def test_size(size: float, text: str) -> None:
    """Sizes have the unit that leaves the fewest digits."""
    assert size_text(size) == text


def test_count() -> None:
    """One of a kind has no s."""
    assert [count(n, "env") for n in (0, 1, 2000)] == ["0 envs", "1 env", "2,000 envs"]
