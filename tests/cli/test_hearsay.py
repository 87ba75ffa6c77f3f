"""What a hub found out about envs is shown by `envhub info`, and found by `envhub search`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from envhub.cli.hearsay import space_text, understood
from envhub.errors import HubUnreachableError
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.server.about import About, Check, Leaf, Suite, Task
from envhub.server.facets import facets
from envhub.testing import OwnHub, ServedHub, repos

Cli = Callable[..., Result]

PIXELS = Leaf("camera", "Box", (64, 64, 3), "uint8", "0", "255")
STATE = Leaf("pos", "Box", (4,), "float32", "-inf", "inf")
ACTION = Leaf("", "Discrete", (), "int64", "0", "1")
TASK = Task("put it there", True, (PIXELS, STATE), (ACTION,), 1234.0)
CHECKED = About(
    "checked",
    entry="env.py",
    python=">=3.9",
    engines=("mujoco",),
    suites={"main": Suite("", {"0": TASK, "1": Task("twice")})},
    n_tasks=2,
    checks=(Check("loads", True), Check("steps", False, "it hung"), Check("deterministic", None)),
)


def know(hub: OwnHub, repo: str, about: About) -> None:
    """Let the hub have found that out, as its background job does."""
    found = hub.inside.repos.find("model", repo)
    assert found
    told = msgspec.structs.replace(about, facets=facets(about))
    hub.inside.abouts.put(found.id, found.head, told, None, ran=True)
    hub.inside.index.update(found, force=True)


@pytest.fixture
def knowing(envhub_hub: OwnHub) -> OwnHub:
    """A hub that has run `you/arm`, which has no card at all, and read `you/pole`."""
    for name in ("you/arm", "you/pole", "you/model"):
        envhub_hub.add(name, repos.COUNTER if name != "you/model" else {"weights.bin": "1"})
    know(envhub_hub, "you/arm", CHECKED)
    know(envhub_hub, "you/pole", About("read", entry="env.py", n_tasks=1))
    return envhub_hub


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", {"you/arm", "you/pole"}),
        ("--pixels", {"you/arm"}),
        ("--action discrete --tasks 2", {"you/arm"}),
        ("--tasks <2", {"you/pole"}),
        ("--python 3.9 --engine mujoco", {"you/arm"}),
        ("--action continuous", set()),
        ("--all", {"you/arm", "you/pole", "you/model"}),
    ],
)
def test_search(cli: Cli, knowing: OwnHub, words: str, names: set[str]) -> None:
    """The hub filters by what it found out, and knows an env without a card for one."""
    found = json.loads(cli("search", *words.split(), "--json").stdout)["found"]
    assert {each["repo"] for each in found} == names


def test_info(cli: Cli, knowing: OwnHub) -> None:
    """Tasks, spaces and checks are shown although nothing was run here."""
    done = cli("info", "you/arm")
    assert done.exit_code == 0, done.stderr
    for part in ("main/0", "put it there", "Discrete(0 … 1)", "it hung", "mujoco"):
        assert part in done.stdout
    assert "camera: Box(0, 255, (64, 64, 3), uint8), pos: Box(-inf, inf, (4,), float32)" in (
        done.stdout
    )
    assert "--trust-remote-code" not in done.stderr
    data = json.loads(cli("info", "you/arm", "--json").stdout)
    assert data["env"]["state"] == "checked"
    assert data["tasks"][0]["steps_per_second"] == 1234.0
    assert [task["task"] for task in data["tasks"]] == ["0", "1"]


def test_info_with_consent(cli: Cli, knowing: OwnHub) -> None:
    """What was found here beats what the hub says."""
    data = json.loads(cli("info", "you/arm", "--trust-remote-code", "--json").stdout)
    assert [task["suite"] for task in data["tasks"]] == ["hub_env"]


def test_info_without_the_hub(
    cli: Cli, knowing: OwnHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be asked now is left out: offline, of a folder, of a hub that just went down."""

    def env(*words: object) -> Any:
        done = cli("info", *words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)["env"]

    assert cli("fetch", "you/arm").exit_code == 0
    assert env("you/arm", "--offline") is None
    assert env(repos.write(repos.COUNTER, tmp_path / "env")) is None

    def gone(*_: object) -> Any:
        raise HubUnreachableError("it went down")

    monkeypatch.setattr(HuggingFaceHub, "about", gone)
    assert env("you/arm") is None


def test_info_of_a_hub_that_knows_nothing(cli: Cli, hub: ServedHub) -> None:
    """Other hubs have no such block; one that makes no sense is data, and no more."""
    hub.add("you/env", repos.COUNTER)
    assert json.loads(cli("info", "you/env", "--json").stdout)["env"] is None
    assert understood({"state": "of another time"}) is None
    assert understood({}) is None


def test_long_spaces() -> None:
    """Of many parts the first are told, and how many more there are."""
    assert space_text([STATE] * 9).endswith(", … 3 more")
    assert space_text([]) == ""
    assert space_text([Leaf("", "Text")]) == "Text()"
