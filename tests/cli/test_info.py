"""`envhub info` shows what a ref is, and runs nothing of it without consent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from gymnasium import spaces

from envhub.check import space_text
from envhub.errors import CorruptSourceError
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.testing import ServedHub, repos

Cli = Callable[..., Result]

CARD = """---
license: mit
tags:
- envhub
- robotics
---

# Title
"""


def test_everything_about_a_repo(cli: Cli, hub: ServedHub) -> None:
    """Pin, hub, commit, digest, files, sizes, requirements and card, in JSON."""
    requirements = "# what it needs\nnumpy>=1  # arrays\n\ngymnasium\n"
    files = {**repos.COUNTER, "README.md": CARD, "requirements.txt": requirements}
    commit = hub.add("you/env", files, tag="v1.0")
    data = json.loads(cli("info", "you/env@v1.0", "--json").stdout)
    assert data["ref"] == "you/env@v1.0"
    assert data["pinned_ref"] == f"you/env@{commit}"
    assert (data["hub"], data["repo_type"], data["path"]) == (hub.url, "model", "env.py")
    assert data["digest"].startswith("sha256:")
    assert [file["path"] for file in data["files"]] == ["README.md", "env.py", "requirements.txt"]
    assert data["size"] == sum(file["size"] for file in data["files"])
    assert data["requirements"] == ["numpy>=1", "gymnasium"]
    assert data["card"] == {"license": "mit", "tags": ["envhub", "robotics"]}
    assert data["tasks"] is None


def test_manifest(cli: Cli, tmp_path: Path) -> None:
    """What the env declares is shown: packages, Python, permissions, agreements."""
    toml = """
requires-python = ">=3.8"
requirements = ["numpy>=1"]
[accept]
EULA = "YES"
[permissions]
network = true
env = ["SUMO_HOME"]
"""
    folder = repos.write({**repos.COUNTER, "envhub.toml": toml}, tmp_path / "env")
    shown = cli("info", folder).stdout
    for part in ("numpy>=1", ">=3.8", "network, env:SUMO_HOME", "EULA=YES"):
        assert part in shown
    data = json.loads(cli("info", folder, "--json").stdout)
    assert data["requirements"] == ["numpy>=1"]
    assert data["manifest"]["permissions"] == {"network": True, "env": ["SUMO_HOME"]}


def test_manifest_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    """A manifest that says what cannot be is told, and the rest is shown."""
    folder = repos.write({**repos.COUNTER, "requirements.txt": "-e ."}, tmp_path / "env")
    done = cli("info", folder)
    assert (done.exit_code, "installs a folder" in done.stderr) == (0, True)
    assert "-e ." in done.stdout


@pytest.mark.parametrize(
    ("more", "fetched"),
    [
        ({}, {"README.md", "env.py"}),
        ({"envhub.toml": "requirements = []"}, {"README.md", "envhub.toml"}),
        ({"README.md": CARD * 50_000}, {"env.py"}),
    ],
    ids=["block in the entry file", "manifest", "a card that nobody wrote"],
)
def test_only_the_manifest_and_the_card_are_downloaded(
    cli: Cli, hub: ServedHub, more: dict[str, str], fetched: set[str]
) -> None:
    """A repo with large assets is shown without them; code only where a manifest may be in it."""
    hub.add("you/env", {**repos.big(30, 1000), "README.md": CARD, **more})
    assert cli("info", "you/env").exit_code == 0
    paths = [asked.path for asked in hub.requests if "/resolve/" in asked.path]
    assert sorted(path.rpartition("/")[2] for path in paths) == sorted(fetched)
    assert cli("cache", "ls", "-q").stdout.count("you/env") <= 1


def test_what_is_cached_is_not_fetched_again(cli: Cli, hub: ServedHub) -> None:
    """After a fetch nothing is downloaded, and offline it works too."""
    hub.add("you/env", {**repos.COUNTER, "README.md": CARD})
    assert cli("fetch", "you/env").exit_code == 0
    hub.requests.clear()
    assert "mit" in cli("info", "you/env", "--offline").stdout
    assert hub.requests == []


def test_offline_without_the_files(cli: Cli, hub: ServedHub) -> None:
    """Offline, with only the listing known, the listing is shown."""
    hub.add("you/env", {**repos.COUNTER, "README.md": CARD})
    assert cli("info", "you/env").exit_code == 0
    done = cli("info", "you/env", "--offline", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["card"] == {}
    assert len(json.loads(done.stdout)["files"]) == 2


def test_for_people(cli: Cli, tmp_path: Path) -> None:
    """People see the same, and what they would have to say to see more."""
    folder = repos.write({**repos.big(30, 8), "README.md": CARD}, tmp_path / "env")
    done = cli("info", folder)
    for part in ("sha256:", "32 files", "… 12 more", "envhub, robotics", "license"):
        assert part in done.stdout
    assert "--trust-remote-code" in done.stderr
    assert cli("info", folder, "-q").stdout == f"{folder}\n"


def test_no_code_runs_without_consent(cli: Cli, tmp_path: Path) -> None:
    """Suites and spaces need the code to run, so they need consent: now, or remembered."""
    folder = repos.write(repos.canary(tmp_path / "dead"), tmp_path / "env")
    assert cli("info", folder).exit_code == 0
    assert not (tmp_path / "dead").exists()
    assert cli("trust", "add", folder).exit_code == 0
    done = cli("info", folder, "--json")
    assert (tmp_path / "dead").exists()
    assert json.loads(done.stdout)["tasks"] == [
        {
            "suite": "hub_env",
            "task": 0,
            "observation_space": "Box(-1, 2.14748e+09, (2,), int64)",
            "action_space": "Discrete(2)",
            "render_mode": None,
        }
    ]


def test_tasks(cli: Cli, suites: Path) -> None:
    """Every task is listed, and none of several is built."""
    done = cli("info", suites, "--trust-remote-code")
    assert [line.split()[0] for line in done.stdout.splitlines()[-3:]] == [
        "short/0",
        "short/1",
        "long/0",
    ]
    assert "observation space" not in done.stdout


def test_spaces(cli: Cli, suites: Path) -> None:
    """For its spaces one env is built, that of the first task; without consent none is."""
    refused = cli("info", suites, "--spaces")
    assert (refused.exit_code, "untrusted" in refused.stderr) == (1, True)
    done = cli("info", suites, "--trust-remote-code", "--spaces", "--json")
    first, *others = json.loads(done.stdout)["tasks"]
    assert first["action_space"] == "Discrete(2)"
    assert others == [{"suite": "short", "task": 1}, {"suite": "long", "task": 0}]


def test_what_the_manifest_says(cli: Cli, tmp_path: Path) -> None:
    """Parameters and tasks that are declared are shown without running anything."""
    manifest = """
[parameters.lap]
type = "float"
max = 1
help = "how much of it"
[suites.short]
[suites.short.tasks.0]
description = "Do it."
"""
    files = {**repos.canary(tmp_path / "dead"), "envhub.toml": manifest}
    folder = repos.write(files, tmp_path / "env")
    done = cli("info", folder, "--trust-remote-code")
    assert [line.split() for line in done.stdout.splitlines() if line][-1][:2] == ["short/0", "Do"]
    for part in ("lap", "float, at most 1", "how much of it", "Do it."):
        assert part in done.stdout
    assert not (tmp_path / "dead").exists()
    data = json.loads(cli("info", folder, "--json").stdout)
    assert data["tasks"] == [{"suite": "short", "task": "0", "description": "Do it."}]


def test_task_that_cannot_be_made(cli: Cli, tmp_path: Path) -> None:
    """A task whose env cannot be made is told, and the others are listed."""
    code = str(repos.SUITES["env.py"]).replace(
        "return {", 'return {"bad": {0: gym.vector.SyncVectorEnv([lambda: 1 / 0])}, ', 1
    )
    folder = repos.write({"env.py": code}, tmp_path / "env")
    done = cli("info", folder, "--trust-remote-code", "--spaces", "--json")
    tasks = json.loads(done.stdout)["tasks"]
    assert "ZeroDivisionError" in tasks[0]["error"]
    assert [task["task"] for task in tasks] == [0, 0, 1, 0]
    assert "ZeroDivisionError" in cli("info", folder, "--trust-remote-code", "--spaces").stdout


@pytest.mark.parametrize(
    "card", ["", "# Title", "---\n[: no yaml\n---\n", "---\n- a list\n---\n", "---\nno end: 1\n"]
)
def test_card_without_front_matter(cli: Cli, tmp_path: Path, card: str) -> None:
    """A card that says nothing, or nothing that can be read, is no error."""
    folder = repos.write({**repos.COUNTER, "README.md": card}, tmp_path / "env")
    done = cli("info", folder, "--json")
    assert (done.exit_code, json.loads(done.stdout)["card"]) == (0, {})


def test_bytes_are_verified(cli: Cli, hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are shown without being fetched as a whole are verified, too."""
    hub.add("you/env", {**repos.COUNTER, "README.md": CARD})
    real = HuggingFaceHub.download

    def lying(self: HuggingFaceHub, *args: Any) -> None:
        real(self, *args)
        (args[3] / "README.md").write_text("other")

    monkeypatch.setattr(HuggingFaceHub, "download", lying)
    done = cli("info", "you/env")
    assert (done.exit_code, CorruptSourceError.code in done.stderr) == (1, True)


def test_read_only_cache(cli: Cli, hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache cannot remember the listing, the hub is asked again."""
    hub.add("you/env", repos.COUNTER)
    monkeypatch.setattr("envhub.store.Store.recall", lambda *_: None)
    assert "env.py" in cli("info", "you/env").stdout


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (spaces.Box(-1, 1, (2, 2)), "Box(-1, 1, (2, 2), float32)"),
        (spaces.Discrete(3), "Discrete(3)"),
        (spaces.Dict(a=spaces.Discrete(2)), "Dict(a: Discrete(2))"),
    ],
)
def test_space(space: Any, text: str) -> None:
    """A space fits on a line."""
    assert space_text(space) == text


def test_permissions(cli: Cli, tmp_path: Path) -> None:
    """A repo that asks for more than its files is run with what it gets, or refused by name."""
    asks = {**repos.COUNTER, "envhub.toml": "[permissions]\nnetwork = true\n"}
    folder = repos.write(asks, tmp_path / "asks")
    done = cli("info", folder, "--trust-remote-code")
    assert done.exit_code == 1
    assert f"→ envhub info {folder} --trust-remote-code --allow network" in done.stderr
    done = cli("info", folder, "--trust-remote-code", "--allow", "none", "--json")
    assert json.loads(done.stdout)["tasks"]


def test_what_push_wrote_is_shown_in_parts(cli: Cli, tmp_path: Path) -> None:
    """The machine's part of a card is rows of its own, and all of it is in JSON."""
    claims = "envhub:\n  action: Discrete(2)\n  suites: {easy: 3, hard: 4}\n"
    files = {**repos.COUNTER, "README.md": f"---\nlicense: mit\n{claims}---\n"}
    folder = repos.write(files, tmp_path / "env")
    shown = cli("info", folder).stdout
    for part in ("card: action", "Discrete(2)", "easy: 3, hard: 4"):
        assert part in shown
    data = json.loads(cli("info", folder, "--json").stdout)
    assert data["card"]["envhub"]["suites"] == {"easy": 3, "hard": 4}
