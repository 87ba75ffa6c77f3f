"""The command line, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from envhub.cli import main
from envhub.testing import ServedHub, repos


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `envhub` with the given words, in an empty working folder."""
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)

    def run(*words: object, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(word) for word in words], input=stdin)

    return run


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    """A folder with an env whose every number is known: ten steps, reward is the action."""
    return repos.write(repos.COUNTER, tmp_path / "counter")


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """A folder with two suites: `short` with tasks 0 and 1, `long` with task 0."""
    return repos.write(repos.SUITES, tmp_path / "suites")


@pytest.fixture
def cartpole(hub: ServedHub) -> str:
    """The commit of `lerobot/cartpole-env`, tagged v1.0, on the hub of the test."""
    return hub.add("lerobot/cartpole-env", repos.CARTPOLE, tag="v1.0")
