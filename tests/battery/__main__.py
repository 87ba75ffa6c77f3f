"""Runs the battery and says what happened: `python -m tests.battery [--fast] [--json FILE]`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.battery import attacks, protocol
from tests.battery.arena import arena
from tests.battery.attacks import LEVELS
from tests.battery.cages import battery, fence

from envhub.isolation.launch import PROGRAM

FAST = ("landlock", "bubblewrap")
"""What the quick run looks at, beside the control."""

Happened = Callable[[str], list[str]]


@dataclass(frozen=True)
class Row:
    """What became of one attack.

    Attributes:
        group: of the table.
        name: of the attack.
        title: in words.
        must: the levels that must stop it.
        why: why it is harmless where it is not stopped.
        found: what it did, by level; `none` is the control.
    """

    group: str
    name: str
    title: str
    must: tuple[str, ...]
    why: str
    found: dict[str, list[str]]

    @property
    def problems(self) -> list[str]:
        """What is not as it must be."""
        bad = [f"{self.name}: {level}: {self.found[level]}" for level in self.found
               if level in self.must and self.found[level]]  # fmt: skip
        if "none" in self.found and not self.found["none"]:
            bad.append(f"{self.name}: the control shows nothing")
        return bad


def levels() -> list[str]:
    """The levels that this machine has, the weakest first."""
    there = []
    for level in LEVELS:
        with contextlib.suppress(LookupError):
            fence(level)
            there.append(level)
    return there


def run(chosen: Sequence[str], *, fast: bool) -> Iterator[Row]:
    """Carry the attacks out, one after the other."""
    groups = {"": attacks.GENTLE} if fast else {"": attacks.GENTLE, "Resources": attacks.RESOURCES}
    with arena() as targets:
        os.environ["HF_TOKEN"] = targets.secret
        with battery(targets) as tools:
            for attack in (each for group in groups.values() for each in group):
                if not _possible(attack):
                    continue

                def happened(level: str, attack: attacks.Attack = attack) -> list[str]:
                    return tools.happened(attack, level)

                group = next(name for name, some in attacks.GROUPS.items() if attack in some)
                yield _row(group, attack, attack.why, chosen, happened)
    for trainer in () if fast else protocol.ATTACKS:

        def became(level: str, trainer: protocol.Attack = trainer) -> list[str]:
            return protocol.happened(trainer, level)

        yield _row("Trainer", trainer, "", chosen, became)


def _possible(attack: attacks.Attack) -> bool:
    """Whether it works for this user at all."""
    if attack.name == "envhubs_own_code":
        return os.access(PROGRAM, os.W_OK)
    return not attack.root or os.geteuid() == 0


def _row(
    group: str,
    attack: attacks.Attack | protocol.Attack,
    why: str,
    chosen: Sequence[str],
    happened: Happened,
) -> Row:
    must = tuple(level for level in LEVELS if level in attack.stopped)
    found = {level: happened(level) for level in ("none", *chosen)}
    return Row(group, attack.name, attack.title, must, why, found)


def main(words: Sequence[str]) -> int:
    """Run the battery; 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(prog="scripts/battery", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="without what takes minutes")
    parser.add_argument("--json", type=Path, help="write the rows here")
    asked = parser.parse_args(words)
    chosen = [level for level in levels() if not asked.fast or level in FAST]
    rows, problems = [], []
    for row in run(chosen, fast=asked.fast):
        rows.append(row)
        problems += row.problems
        marks = "  ".join(f"{level}: {_mark(row, level)}" for level in row.found)
        sys.stdout.write(f"{row.group:10} {row.title:48} {marks}\n")
        sys.stdout.flush()
    for problem in problems:
        sys.stdout.write(f"NOT AS IT MUST BE  {problem}\n")
    who = "root" if os.geteuid() == 0 else "a user"
    summary: dict[str, Any] = {"who": who, "levels": chosen, "problems": problems}
    sys.stdout.write(f"{len(rows)} attacks, as {who}, at {', '.join(chosen)}\n")
    if asked.json:
        told = {**summary, "rows": [vars(row) for row in rows]}
        asked.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return bool(problems)


def _mark(row: Row, level: str) -> str:
    return "happens" if row.found[level] else "stopped"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
