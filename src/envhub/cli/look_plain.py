"""How things look where rich is not installed: as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from envhub.cli.look import Facts, Part, Problem, Table, problem_lines


def draw(parts: Sequence[Part]) -> str:
    """The parts, one below the other, each ending in a line break."""
    return "".join(f"{_OF[type(part)](part)}\n" for part in parts)


def _table(table: Table) -> str:
    rows = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_row(table, row, widths) for row in rows]
    rule = "─" * (sum(widths) + 2 * len(widths) - 2)
    lines.insert(1, rule)
    if table.last_is_sum:
        lines.insert(-1, rule)
    return "\n".join(([table.title] if table.title else []) + lines)


def _row(table: Table, row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if head in table.right else cell.ljust(width)
        for head, cell, width in zip(table.columns, row, widths, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _facts(facts: Facts) -> str:
    room = max((len(name) for name, _ in facts.known), default=0)
    lines = [
        f"  {name.ljust(room)}  {value}".replace("\n", "\n" + " " * (room + 4))
        for name, value in facts.known
    ]
    return "\n".join([facts.title, *lines] if facts.title else lines)


def _problem(problem: Problem) -> str:
    return "\n".join(line for _, line in problem_lines(problem))


_OF: dict[type, Callable[[Any], str]] = {
    str: str,
    Table: _table,
    Facts: _facts,
    Problem: _problem,
}
