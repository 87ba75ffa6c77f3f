"""Promises, and tables of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NOTHING = "–"


@dataclass(frozen=True)
class Verdict:
    """A promise and what was measured; `at_most` promises are about cost."""

    name: str
    against: str
    goal: float
    measured: float | None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether it is kept; `None` if it could not be measured."""
        if self.measured is None:
            return None
        return self.measured <= self.goal if self.at_most else self.measured >= self.goal


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table that is readable as plain text too: first column left, others right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = "| " + " | ".join("-" * (w - (i > 0)) + ":" * (i > 0) for i, w in enumerate(widths))
    return "\n".join([line(head), rule + " |", *map(line, rows)])


def goal_table(verdicts: Sequence[Verdict]) -> str:
    """The promises, each with what was measured."""
    marks = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        (
            verdict.name,
            verdict.against,
            f"{'≤' if verdict.at_most else '≥'} {verdict.goal:g}",
            NOTHING if verdict.measured is None else f"{verdict.measured:.2f}",
            marks[verdict.reached],
        )
        for verdict in verdicts
    ]
    return table(("what", "against", "goal", "measured", "reached"), rows)


def steps(rate: float | None) -> str:
    """A rate in three digits."""
    if rate is None:
        return NOTHING
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if rate >= 10 * size or (letter == "M" and rate >= size):
            return f"{rate / size:.3g}{letter}"
    return f"{rate:,.0f}"


def times(ratio: float | None) -> str:
    """A multiple in two or three digits."""
    return NOTHING if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.3g}"


def share(ratio: float | None) -> str:
    """A share of 1."""
    return NOTHING if ratio is None else f"{ratio:.2f}"
