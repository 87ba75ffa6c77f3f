"""How things look with rich, which is imported here and nowhere else."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import singledispatch

from rich import box
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text

from envhub.cli.look import Facts, Part, Problem, Table, problem_lines

_STYLES = {
    ("head", "error"): "bold red",
    ("head", "warning"): "bold yellow",
    "hint": "green",
    "docs": "dim",
}


def draw(parts: Sequence[Part], *, width: int, color: bool) -> str:
    """The parts, one below the other, each ending in a line break.

    Args:
        parts: what to show.
        width: columns of the terminal.
        color: whether escape codes are wanted; `NO_COLOR` is heeded.
    """
    page = io.StringIO()
    console = Console(file=page, force_terminal=color, width=width, highlight=False)
    for part in parts:
        # Lines of text must stay whole, so that commands and paths can be copied.
        console.print(_of(part), soft_wrap=isinstance(part, str | Problem))
    lines = page.getvalue().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


@singledispatch
def _of(part: Part) -> RenderableType:
    return Text(str(part))


@_of.register
def _(table: Table) -> RenderableType:
    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        title=Text(table.title) if table.title else None,
        title_justify="left",
    )
    for head in table.columns:
        right = head in table.right
        drawn.add_column(Text(head), justify="right" if right else "left", overflow="fold")
    for row in table.rows[:-1]:
        drawn.add_row(*map(Text, row))
    if table.rows:
        if table.last_is_sum:
            drawn.add_section()
        drawn.add_row(*map(Text, table.rows[-1]), style="bold" if table.last_is_sum else None)
    return drawn


@_of.register
def _(facts: Facts) -> RenderableType:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.known:
        grid.add_row(Text(name), Text(value))
    if not facts.title:
        return grid
    return Panel(grid, title=Text(facts.title), title_align="left", expand=False, box=box.ROUNDED)


@_of.register
def _(problem: Problem) -> RenderableType:
    lines = [
        Text(line, _STYLES.get((role, problem.kind)) or _STYLES.get(role, ""))
        for role, line in problem_lines(problem)
    ]
    return Text("\n").join(lines)


def progress() -> Progress:
    """A bar on standard error that vanishes when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
