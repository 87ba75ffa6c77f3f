"""What can be shown: text, tables, facts and problems, as values that know no terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from envhub.errors import EnvHubError

TEXT_WIDTH = 90
"""Prose is not wider than this, however wide the terminal is."""


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        columns: the heads.
        rows: as many cells each.
        right: heads of the columns that are numbers.
        title: a line above.
        last_is_sum: whether a rule stands before the last row.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Collection[str] = ()
    title: str = ""
    last_is_sum: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and values; those without a value are left out.

    Attributes:
        title: the head of a frame around them; without one there is no frame.
        pairs: name and value; a value may have several lines.
    """

    title: str
    pairs: Sequence[tuple[str, object]]

    @property
    def known(self) -> list[tuple[str, str]]:
        """The pairs that have a value."""
        texts = ((name, "" if value is None else str(value)) for name, value in self.pairs)
        return [(name, text) for name, text in texts if text]


@dataclass(frozen=True)
class Problem:
    """What went wrong; the four fields of an `EnvHubError`, and where to read more.

    Attributes:
        kind: `error` or `warning`.
    """

    code: str
    what: str
    why: str = ""
    hint: str = ""
    docs: str = ""
    kind: str = "error"

    @staticmethod
    def of(error: EnvHubError) -> Problem:
        """The problem that an error of ours is; its section is in docs/errors.md."""
        return Problem(**error.as_dict(), docs=f"docs/errors.md#{error.code}")

    def as_dict(self) -> dict[str, str]:
        """The fields, for `--json`."""
        return {name: value for name, value in vars(self).items() if name != "kind"}


Part: TypeAlias = str | Table | Facts | Problem


# What steers a terminal or turns the direction of writing, but line breaks and tabs.
_STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """The text with what would steer a terminal written out; names and words are strangers'."""
    text = text.replace("\r\n", "\n")
    return _STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain_part(part: Part) -> Part:
    """The same part with `plain` text."""
    match part:
        case Table():
            rows = [[plain(cell) for cell in row] for row in part.rows]
            return replace(part, rows=rows, title=plain(part.title))
        case Facts():
            pairs = [(plain(name), plain(value)) for name, value in part.known]
            return replace(part, title=plain(part.title), pairs=pairs)
        case Problem():
            return replace(part, **{name: plain(text) for name, text in part.as_dict().items()})
    return plain(part)


def problem_lines(problem: Problem) -> list[tuple[str, str]]:
    """The lines of a problem, each with its role: head, why, hint or docs."""
    lines = [("head", f"{problem.kind}[{problem.code}]: {problem.what}")]
    lines += [("why", f"  {line}") for line in _wrap(problem.why)]
    lines += [("hint", f"  → {line}") for line in problem.hint.splitlines()]
    if problem.docs:
        lines.append(("docs", f"  see {problem.docs}"))
    return lines


def _wrap(text: str) -> list[str]:
    return [
        short
        for line in text.splitlines()
        for short in textwrap.wrap(
            line, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False, drop_whitespace=False
        )
        or [""]
    ]
