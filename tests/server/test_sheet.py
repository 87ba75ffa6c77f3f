"""An env's data sheet: the hub's block in the page's words, whatever the block lacks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub.server.routes.pages.sheet import SHOWN_TASKS, Sheet

IMAGE = {"path": "", "kind": "Box", "shape": [96, 96, 3], "dtype": "uint8"}
MOVE = {"path": "", "kind": "Discrete", "shape": [], "low": "0", "high": "1"}
HASHED = "sha256:" + 64 * "a"
FIELDS = (
    "state", "entry", "python", "requirements", "permissions", "parameters", "engines", "suites",
    "n_tasks", "findings", "severities", "checks", "sandbox", "examined", "preview", "preview_type",
)  # fmt: skip


def suites(number: int, **task: Any) -> dict[str, Any]:
    tasks = {str(each): {"description": "", **task} for each in range(number)}
    return {"suites": {"s": {"description": "", "tasks": tasks}}, "n_tasks": number}


def everything(sheet: Sheet) -> list[Any]:
    """All that a page asks of a sheet."""
    return [
        bool(sheet), sheet.waiting, sheet.examined, sheet.suites, sheet.n_tasks, sheet.spaces,
        sheet.speed, sheet.parameters, sheet.permissions, sheet.checks, sheet.verdict,
        sheet.findings, sheet.severities, sheet.preview, sheet.text("python"),
        sheet.words("engines"),
    ]  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), st.none()))
def test_nothing_is_needed(block: dict[str, None]) -> None:
    """A block may lack anything."""
    assert not any(everything(Sheet(block))[1:13])


def test_spaces_are_shown_once() -> None:
    """Tasks that have the same spaces share the rows; the observation comes first."""
    sheet = Sheet(suites(3, observation=[IMAGE], action=[MOVE], steps_per_second=10.0))
    assert [(space.name, len(space.tasks)) for space in sheet.spaces] == [
        ("Observation", 3),
        ("Action", 3),
    ]
    assert sheet.speed == 10.0


def test_many_tasks() -> None:
    """Of hundreds of tasks some are shown, and the rest counted."""
    sheet = Sheet(suites(SHOWN_TASKS + 7))
    assert (len(sheet.suites[0]["tasks"]), sheet.suites[0]["more"]) == (SHOWN_TASKS, 7)
    assert sheet.spaces == []
    assert sheet.speed == 0.0


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ({"choices": ["a", 1, True]}, "a, 1, True"),
        ({"min": 0.0}, "≥ 0"),
        ({"max": 1.5}, "≤ 1.5"),
        ({"min": -1, "max": 1}, "-1 … 1"),
        ({}, ""),
    ],
)
def test_values_of_parameters(parameter: dict[str, Any], words: str) -> None:
    """Which values a parameter can have is said in a few signs."""
    sheet = Sheet({"parameters": {"p": parameter}})
    assert sheet.parameters[0]["range"] == words


def test_permissions_in_words() -> None:
    """Each permission has its meaning beside its word, also one of later times."""
    words = ["network", "write:logs", "env:HOME_SIZE", "telepathy"]
    meanings = dict(Sheet({"permissions": words}).permissions)
    assert meanings["write:logs"] == "write to its folder logs"
    assert meanings["env:HOME_SIZE"] == "read the variable HOME_SIZE"
    assert meanings["network"]
    assert meanings["telepathy"] == ""


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([True, True], "pass"),
        ([True, None], "pass"),
        ([True, False], "fail"),
        ([None], ""),
        ([], ""),
    ],
)
def test_verdict(results: list[bool | None], verdict: str) -> None:
    """One failed check is a failure; what could not be told is none."""
    checks = [{"name": "loads", "ok": each} for each in results]
    assert Sheet({"checks": checks}).verdict == verdict


def test_checks_and_findings() -> None:
    """Checks have titles, findings are counted by how bad they are, and pictures have a kind."""
    sheet = Sheet(
        {
            "state": "waiting",
            "checks": [
                {"name": "steps", "ok": False, "text": HASHED},
                {"name": "new", "ok": None},
            ],
            "severities": {"low": 2, "high": 1, "medium": 0},
            "findings": [{"what": "x"}],
            "preview": "/p",
            "preview_type": "video/mp4",
            "examined": "2026-11-23T04:00:00.000Z",
        }
    )
    assert [(check["title"], check["mark"][0]) for check in sheet.checks] == [
        ("Resets and steps", "fail"),
        ("new", "open"),
    ]
    assert sheet.checks[0]["text"] == "sha256:aaaaaaaaaaaa…"
    assert sheet.severities == [("high", 1), ("low", 2)]
    assert sheet.preview == ("/p", True)
    assert sheet.waiting
    assert sheet.examined == "2026-11-23"
    assert len(sheet.findings) == 1
