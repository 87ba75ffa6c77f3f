"""An env's data sheet: the hub's block about it, in the order and the words of the page.

The block may lack anything: it grows while the hub looks at a commit, and what an older hub found
stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

SHOWN_TASKS = 200
WORDS = {
    "network": "reach other machines",
    "gpu": "use the GPU",
    "display": "open a window",
}
CHECKS = {
    "manifest": "Manifest is valid",
    "entry": "Entry file is there",
    "loads": "Loads",
    "steps": "Resets and steps",
    "deterministic": "Same seed, same trajectory",
}

_HASH = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")


@dataclass(frozen=True, slots=True)
class Space:
    """A space that several tasks may have in common.

    Attributes:
        name: `Observation` or `Action`.
        rows: its parts, as in `envhub.server.about.Leaf`.
        tasks: the tasks that have it.
    """

    name: str
    rows: list[Mapping[str, Any]]
    tasks: list[str]


class Sheet:
    """What the page says of an env.

    Args:
        block: as in `envhub.server.about`; empty if the hub knows nothing.
    """

    def __init__(self, block: Mapping[str, Any]) -> None:
        self._block = block

    def __bool__(self) -> bool:
        return bool(self._block)

    def text(self, name: str) -> str:
        """A word of the block, empty if it is not there."""
        found = self._block.get(name)
        return found if isinstance(found, str) else ""

    def words(self, name: str) -> list[str]:
        """A list of the block."""
        return [str(each) for each in self._block.get(name) or ()]

    @property
    def waiting(self) -> bool:
        """Whether the hub will soon know more."""
        return self.text("state") == "waiting"

    @property
    def examined(self) -> str:
        """The day on which the hub looked."""
        return self.text("examined")[:10]

    @cached_property
    def suites(self) -> list[dict[str, Any]]:
        """Suites and their tasks."""
        found: Mapping[str, Any] = self._block.get("suites") or {}
        return [
            {
                "name": name,
                "description": suite.get("description", ""),
                "tasks": [
                    {"id": number, **task}
                    for number, task in list((suite.get("tasks") or {}).items())[:SHOWN_TASKS]
                ],
                "more": max(len(suite.get("tasks") or {}) - SHOWN_TASKS, 0),
            }
            for name, suite in found.items()
        ]

    @property
    def n_tasks(self) -> int:
        """Of all suites together; 0 if nobody knows."""
        return int(self._block.get("n_tasks") or 0)

    @cached_property
    def spaces(self) -> list[Space]:
        """Each space once, the observations first."""
        found: dict[str, Space] = {}
        for part in ("observation", "action"):
            for suite in self.suites:
                for task in suite["tasks"]:
                    rows = task.get(part) or []
                    label = f"{suite['name']} {task['id']}"
                    key = f"{part} {rows!r}"
                    if rows:
                        found.setdefault(key, Space(part.capitalize(), rows, [])).tasks.append(
                            label
                        )
        return list(found.values())

    @property
    def speed(self) -> float:
        """Steps per second of the fastest task that was run; 0 if none was."""
        speeds = [task.get("steps_per_second") for suite in self.suites for task in suite["tasks"]]
        return max((float(speed) for speed in speeds if speed), default=0.0)

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """Keyword arguments of its `make_env`."""
        found: Mapping[str, Any] = self._block.get("parameters") or {}
        return [
            {
                "name": name,
                "type": each.get("type", "str"),
                "default": each.get("default"),
                "range": _values(each),
                "help": each.get("help", ""),
            }
            for name, each in found.items()
        ]

    @property
    def permissions(self) -> list[tuple[str, str]]:
        """What it asks for: the word of grants, and what it means."""
        return [(word, _meaning(word)) for word in self.words("permissions")]

    @property
    def checks(self) -> list[dict[str, Any]]:
        """What was looked at, and how it is."""
        marks = {True: ("pass", "passed"), False: ("fail", "failed"), None: ("open", "not told")}
        return [
            {
                "title": CHECKS.get(check.get("name", ""), check.get("name", "")),
                "text": _HASH.sub(r"\1…", check.get("text", "")),
                "mark": marks.get(check.get("ok"), marks[None]),
            }
            for check in self._block.get("checks") or ()
        ]

    @property
    def verdict(self) -> str:
        """All checks in one word: `pass`, `fail`, or nothing if there are none."""
        marks = {check["mark"][0] for check in self.checks}
        return "fail" if "fail" in marks else "pass" if "pass" in marks else ""

    @property
    def findings(self) -> list[Mapping[str, Any]]:
        """What the inspection found in the code, the worst first."""
        return list(self._block.get("findings") or ())

    @property
    def severities(self) -> list[tuple[str, int]]:
        """How many findings there are of each severity, if any."""
        found: Mapping[str, int] = self._block.get("severities") or {}
        return [(name, found[name]) for name in ("high", "medium", "low") if found.get(name)]

    @property
    def preview(self) -> tuple[str, bool]:
        """Where its picture is, and whether that is a video."""
        address = self.text("preview")
        return (address, self.text("preview_type").startswith("video/"))


def _values(parameter: Mapping[str, Any]) -> str:
    """Which values a parameter can have."""
    if parameter.get("choices"):
        return ", ".join(map(str, parameter["choices"]))
    low, high = parameter.get("min"), parameter.get("max")
    if low is None and high is None:
        return ""
    if high is None:
        return f"≥ {low:g}"
    return f"≤ {high:g}" if low is None else f"{low:g} … {high:g}"


def _meaning(word: str) -> str:
    kind, _, name = word.partition(":")
    if kind == "write":
        return f"write to its folder {name}"
    if kind == "env":
        return f"read the variable {name}"
    return WORDS.get(word, "")
