"""What an inspection can find, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["high", "medium", "low"]

SEVERITIES: Final[tuple[Severity, ...]] = ("high", "medium", "low")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    Attributes:
        severity: how much it matters.
        why: why it does, in one sentence.
    """

    severity: Severity
    why: str


KINDS: Final[dict[str, Kind]] = {
    "dynamic-code": Kind("high", "runs code that cannot be read here"),
    "subprocess": Kind("high", "starts other programs, which can do whatever you can"),
    "pickle": Kind("high", "unpickling runs whatever code the file's author put into it"),
    "secrets": Kind("high", "reads what opens your accounts to others"),
    "bidi": Kind("high", "marks that reorder text: what you read is not what runs"),
    "look-alike": Kind("high", "letters of another script: two names that look the same are not"),
    "binary": Kind("high", "compiled code, which nobody can read"),
    "pickled-file": Kind("high", "opening it with pickle runs what its author put into it"),
    "squat": Kind("high", "one slip away from a well-known package; is it the one you expect?"),
    "refused": Kind("high", "envhub does not install it: no package by name"),
    "manifest": Kind("high", "envhub does not load a repo whose manifest it does not understand"),
    "not-there": Kind("high", "your package index has no such package; anybody could register it"),
    "network": Kind("medium", "talks to other machines; it gets that only with the permission"),
    "native-code": Kind("medium", "calls compiled code, past all that Python checks"),
    "hub-call": Kind("medium", "downloads without a revision: what comes can change any day"),
    "invisible": Kind("medium", "characters that nobody sees"),
    "unreadable": Kind("medium", "could not be read as Python, so nothing is known about it"),
    "blob": Kind("medium", "a long text that only a program can read"),
    "yanked": Kind("medium", "its authors took that version back"),
    "archive": Kind("medium", "files in a file, not looked into"),
    "files": Kind("low", "names a place outside the repo"),
    "environment": Kind("low", "reads environment variables; it sees those it was granted"),
    "own-repo": Kind("low", "names its own repo: what it downloads from there is not pinned"),
    "unpinned": Kind("low", "any version may come; envhub.lock fixes one"),
    "unknown": Kind("low", "not among the well-known packages"),
    "script": Kind("low", "code in another language, not looked into"),
}
"""All kinds that this package finds by itself; the others are bandit's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at before saying yes.

    Attributes:
        kind: a key of `KINDS`, or `bandit-B…`.
        severity: how much it matters.
        path: the file in the repo.
        line: where in the file it is first; 0 if that means nothing.
        what: what was found there.
        why: why it matters.
        count: how often it is in the file.
    """

    kind: str
    severity: Severity
    path: str
    line: int
    what: str
    why: str
    count: int = 1

    @staticmethod
    def of(kind: str, path: str, line: int, what: str, count: int = 1) -> Finding:
        """A finding of one of our own kinds."""
        known = KINDS[kind]
        return Finding(kind, known.severity, path, line, shown(what), known.why, count)

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.path}:{self.line}" if self.line else self.path

    @property
    def rank(self) -> tuple[int, str, int, str]:
        """The order in which one wants to read them."""
        return (SEVERITIES.index(self.severity), self.path, self.line, self.kind)


def shown(text: str, most: int = 80) -> str:
    """Text of a stranger's as it can be shown: one line, nothing in it that moves or hides."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in short)


class Found:
    """The findings in one file, each thing once.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._places: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, kind: str, line: int, what: str) -> None:
        """Note something; what was noted before is counted."""
        first, count = self._places.get((kind, what), (line, 0))
        self._places[kind, what] = (min(first, line), count + 1)

    def all(self) -> list[Finding]:
        """What was noted."""
        return [
            Finding.of(kind, self.path, line, what, count)
            for (kind, what), (line, count) in self._places.items()
        ]
