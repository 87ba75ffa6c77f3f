"""`envhub bench` measures an env and says how to step it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from envhub.bench import Row
from envhub.cli import bench

Cli = Callable[..., Result]

QUICK = ("--trust-remote-code", "--seconds", 0.01, "--isolation", "inline")


def test_table(cli: Cli, counter: Path) -> None:
    """People get a row per measurement, and the arguments to copy."""
    done = cli("bench", counter, *QUICK, "--n-envs", 1, "--n-envs", 2, "--workers", 2)
    assert (done.exit_code, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert rows[0] == ["envs", "workers", "how", "steps/s", "×", "first"]
    expected = [["1", "1", "step"], ["2", "2", "step"], ["2", "2", "send,"]]
    assert [row[:3] for row in rows[2:5]] == expected
    assert rows[2][-1] == "1.0"
    assert ["task", "hub_env/0"] in rows
    assert ["isolation", "inline"] in rows
    assert "use_async_envs=True, vector=Options(num_workers=" in done.stdout


def test_json(cli: Cli, counter: Path) -> None:
    """Programs get every measurement, and the advice."""
    done = cli("bench", counter, *QUICK, "--n-envs", 2, "--workers", 1, "--json")
    data = json.loads(done.stdout)
    (row,) = data["rows"]
    assert (row["n_envs"], row["num_workers"], row["batch_size"]) == (2, 1, None)
    assert data["advice"] == {"step": row, "send_recv": None}
    assert data["digest"].startswith("sha256:")


def test_quiet_and_isolated(cli: Cli, counter: Path) -> None:
    """The bare essential is the speed that is advised; by default the env runs isolated."""
    words = ("--trust-remote-code", "--seconds", 0.01, "--n-envs", 2, "--workers", 2)
    done = cli("bench", counter, *words, "--quiet")
    assert done.exit_code == 0, done.stderr
    assert int(done.stdout) > 0


def test_one_task(cli: Cli, suites: Path) -> None:
    """Of several tasks the first is measured, or the one that is named."""
    for words, task in (((), "short/0"), (("--task", "long"), "long/0")):
        done = cli("bench", suites, *QUICK, "--n-envs", 1, *words, "--json")
        assert json.loads(done.stdout)["task"] == task
    done = cli("bench", suites, *QUICK, "--task", "lang", "--json")
    assert done.exit_code == 1
    assert "has no task 'lang'" in done.stderr


def test_consent(cli: Cli, counter: Path) -> None:
    """Nothing is measured without consent."""
    done = cli("bench", counter)
    assert done.exit_code == 1
    assert "trust-remote-code" in done.stderr


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row(8, None, None, 10.0), "n_envs=8, use_async_envs=True"),
        (
            Row(8, 8, 4, 10.0),
            "n_envs=8, use_async_envs=True, vector=Options(num_workers=8, batch_size=4)",
        ),
    ],
)
def test_what_to_copy(row: Row, words: str) -> None:
    """The advice is written as arguments of `envhub.make_env`."""
    told: list[Any] = list(bench._advice("advice", row))
    assert told[1] == ("", words)
