"""`envhub inspect` shows what a repo could do before anything of it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from envhub.cli.inspect import pair
from envhub.testing import ServedHub, repos

Cli = Callable[..., Result]

HOSTILE = {
    **repos.COUNTER,
    "helper.py": "import subprocess\n",
    "requirements.txt": "nunpy\n",
    "envhub.toml": "[permissions]\nnetwork = true\n",
}


def test_people(cli: Cli, hub: ServedHub) -> None:
    """Pin, permissions, requirements, history and every finding with its place and reason."""
    commit = hub.add("you/env", HOSTILE, tag="v1.0", message="Make it <odd>")
    done = cli("inspect", "you/env@v1.0")
    assert done.exit_code == 0
    for part in (commit, "network", "nunpy, is it numpy?", "helper.py:1", "Make it <odd>"):
        assert part in done.stdout
    assert "not a proof" in done.stdout
    assert "2 high" in done.stdout


def test_nothing_runs(cli: Cli, tmp_path: Path) -> None:
    """A canary stays alive: the repo is read, and nobody consented to more."""
    canary = tmp_path / "dead"
    folder = repos.write(repos.canary(canary), tmp_path / "canary")
    assert cli("inspect", folder).exit_code == 0
    assert not canary.exists()


def test_data(cli: Cli, tmp_path: Path) -> None:
    """In JSON everything; quietly, a line per finding."""
    folder = repos.write(HOSTILE, tmp_path / "env")
    data = json.loads(cli("inspect", folder, "--json").stdout)
    assert data["permissions"] == ["network"]
    assert data["history"] == []
    first = cli("inspect", folder, "-q").stdout.splitlines()[0]
    assert first == "high helper.py:1 subprocess import subprocess"


def test_page(cli: Cli, tmp_path: Path) -> None:
    """The page is where it was asked for."""
    folder = repos.write(HOSTILE, tmp_path / "env")
    target = tmp_path / "deep" / "report.html"
    assert str(target) in cli("inspect", folder, "--html", target).stdout
    assert target.read_text().startswith("<!doctype html>")


def test_changes(cli: Cli, hub: ServedHub) -> None:
    """What changed from one tag to another, in code, requirements and permissions."""
    hub.add("you/env", repos.COUNTER, tag="v1")
    hub.add("you/env", HOSTILE, tag="v2")
    done = cli("inspect", "you/env@v1..v2")
    assert done.exit_code == 0
    for part in ("you/env@v1 → you/env@v2", "added helper.py", "+ nunpy", "+ network"):
        assert part in done.stdout
    assert "high: subprocess helper.py:1" in done.stdout
    data = json.loads(cli("inspect", "you/env@v1..v2", "--json").stdout)
    assert (data["old"], data["permissions"]) == ("you/env@v1", ["+ network"])
    back = cli("inspect", "you/env@v2..you/env@v1", "-q").stdout
    assert "removed helper.py" in back


def test_many_findings_are_cut(cli: Cli, tmp_path: Path) -> None:
    """A terminal shows the worst forty, and says where the others are."""
    text = "".join(f"open('/etc/{k}')\n" for k in range(60))
    folder = repos.write({**repos.COUNTER, "many.py": text}, tmp_path / "env")
    assert "20 more: --html or --json" in cli("inspect", folder).stdout


def test_offline(cli: Cli, hub: ServedHub) -> None:
    """What the cache has is read without a question to anybody."""
    hub.add("you/env", HOSTILE)
    assert cli("fetch", "you/env").exit_code == 0
    hub.requests.clear()
    assert "helper.py:1" in cli("inspect", "you/env", "--offline").stdout
    assert hub.requests == []


def test_hub_without_a_history(cli: Cli, hub: ServedHub) -> None:
    """The report does not fail for that."""
    hub.add("you/env", HOSTILE)
    hub.fail(500, on="/commits/")
    assert "helper.py:1" in cli("inspect", "you/env").stdout


def test_index(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if it is asked to, it asks the package index."""
    folder = repos.write({**repos.COUNTER, "requirements.txt": "nunpy==1\n"}, tmp_path / "env")
    empty = tmp_path / "packages"
    empty.mkdir()
    config = tmp_path / "uv.toml"
    config.write_text(f'no-index = true\nfind-links = ["{empty}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(config))
    assert "not-there" not in cli("inspect", folder, "-q").stdout
    assert "not-there" in cli("inspect", folder, "--index", "-q").stdout


PAIRS = {
    "u/r@v1..v2": ("u/r@v1", "u/r@v2"),
    "u/r..v2": ("u/r", "u/r@v2"),
    "u/r@v1:a/env.py..v2": ("u/r@v1:a/env.py", "u/r@v2:a/env.py"),
    "u/r@v1..feature/x:b.py": ("u/r@v1", "u/r@feature/x:b.py"),
    "u/r@v1..other/r@v2": ("u/r@v1", "other/r@v2"),
    "u/r..git+https://h/r@v2": ("u/r", "git+https://h/r@v2"),
    "u/r@v1.../r": ("u/r@v1", "./r"),
    "git+https://h/r@a..b": ("git+https://h/r@a", "git+https://h/r@b"),
    "./old.../new": ("./old", "./new"),
    "./old../new": ("./old", "/new"),
    "../x": None,
    "./a/../b": None,
    "..": None,
    "u/r@v1.0": None,
}


@pytest.mark.parametrize(("text", "both"), PAIRS.items(), ids=PAIRS)
def test_pairs(text: str, both: tuple[str, str] | None) -> None:
    """Two dots stand between two refs, or between two revisions of one; else they are a path."""
    found = pair(text)
    assert (tuple(map(str, found)) if found else None) == both
