"""Puts the battery's results into docs/security.md: `python -m tests.battery.table ROWS PAGE`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- battery: written by scripts/battery -->", "<!-- /battery -->"
TITLES = {"process": "process", "landlock": "Landlock", "bubblewrap": "bubblewrap"}


def write(told: dict[str, Any], page: str) -> str:
    """The page with the table of these results."""
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    table = "\n".join(lines(told))
    return between.sub(lambda _: f"{BEGIN}\n\n{table}\n\n{END}", page)


def lines(told: dict[str, Any]) -> Iterator[str]:
    """The table, and a line per level that counts it."""
    shown = told["levels"]
    head = ["", "attack", *(TITLES[level] for level in shown)]
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    group = ""
    for row in told["rows"]:
        marks = [_mark(row, level) for level in shown]
        first = f"**{row['group']}**" if row["group"] != group else ""
        group = row["group"]
        yield f"| {' | '.join([first, row['title'], *marks])} |"
    count = len(told["rows"])
    stopped = {level: sum(not row["found"][level] for row in told["rows"]) for level in shown}
    said = ", ".join(f"{TITLES[level]} {stopped[level]}" for level in shown)
    yield f"\nOf {count} attacks, each of which works without a cage, are stopped: {said}."
    for row in told["rows"]:
        if row["why"]:
            yield f"Not stopped, and harmless: {row['title']}; {row['why']}."


def _mark(row: dict[str, Any], level: str) -> str:
    return "happens" if row["found"][level] else "stopped"


if __name__ == "__main__":
    rows, page = map(Path, sys.argv[1:])
    text = write(json.loads(rows.read_text(encoding="utf-8")), page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
