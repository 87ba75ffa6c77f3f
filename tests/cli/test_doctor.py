"""`envhub doctor` tells what this machine has, honestly, and no secret."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from envhub.testing import ServedHub

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def _few_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only git's folder is searched."""
    monkeypatch.setenv("PATH", str(Path(shutil.which("git") or "/usr/bin/git").parent))


def examine(cli: Cli, *words: str, status: int = 0) -> dict[str, dict[str, str]]:
    done = cli("doctor", "--json", *words)
    assert done.exit_code == status
    return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}


def test_healthy(cli: Cli, hub: ServedHub, envhub_home: Path) -> None:
    """Versions, programs, interpreters, hubs, folders and isolation levels are all there."""
    found = examine(cli)
    for name in ("gymnasium", "numpy", "huggingface-hub", "rich", "av", "pillow"):
        assert found[name]["value"] == metadata.version(name)
    for name in ("envhub", "Python", "platform", "git", "uv", "interpreters", "lock file"):
        assert found[name]["state"] == "ok"
    assert found["hub"]["value"] == f"{hub.url}: answers"
    assert str(envhub_home) in found["cache"]["value"]
    assert found["isolation inline"]["state"] == "ok"


def test_for_people(cli: Cli, hub: ServedHub) -> None:
    """People get a table; quiet is quiet where all is well."""
    done = cli("doctor")
    assert "✓" in done.stdout
    assert "inline" in done.stdout
    assert cli("doctor", "-q").stdout == ""


def test_offline_asks_nobody(cli: Cli, hub: ServedHub) -> None:
    """Offline, no hub is asked."""
    assert "not asked" in examine(cli, "--offline")["hub"]["value"]
    assert hub.requests == []


@pytest.mark.parametrize(("status", "state"), [(418, "warn"), (500, "warn")])
def test_hub_that_fails(cli: Cli, hub: ServedHub, status: int, state: str) -> None:
    """A hub that answers with a failure is not well."""
    hub.fail(status)
    assert examine(cli)["hub"]["state"] == state


def test_hub_that_is_not_there(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that cannot be reached is a warning, with the way to work without it."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub = examine(cli)["hub"]
    assert (hub["state"], "ENVHUB_OFFLINE=1" in hub["hint"]) == ("warn", True)


def test_repo_of_that_name(cli: Cli, hub: ServedHub) -> None:
    """A hub that happens to have the repo that is asked for answers, too."""
    hub.add("envhub/doctor", {"env.py": ""})
    assert "answers" in examine(cli)["hub"]["value"]


def test_tokens_are_not_shown_and_not_sent(
    cli: Cli, hub: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there are tokens is told; what they are is not, and no hub gets one."""
    assert "none" in examine(cli)["token"]["value"]
    monkeypatch.setenv("HF_TOKEN", "hf_secret1")
    monkeypatch.setenv("ENVHUB_TOKEN", "hf_secret2")
    done = cli("doctor", "--json")
    assert "there" in done.stdout
    assert "hf_secret" not in done.stdout + done.stderr
    assert [asked.token for asked in hub.requests if asked.token] == []


def test_missing_extras(cli: Cli, hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is not installed comes with the line that installs it."""
    version = metadata.version

    def without(name: str) -> str:
        if name in {"rich", "av", "pillow"}:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    found = examine(cli)
    assert found["rich"]["hint"] == 'pip install "gym-envhub[cli]"'
    assert found["av"]["hint"] == 'pip install "gym-envhub[video]"'


def test_missing_programs(cli: Cli, hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git and uv the rest still works, and so does the Python that runs this."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("uv.find_uv_bin", lambda: "/nowhere/uv")
    found = examine(cli)
    assert [found[name]["state"] for name in ("git", "uv")] == ["warn"] * 2
    assert platform.python_version() in found["interpreters"]["value"]


def test_cache_that_cannot_be_written(
    cli: Cli, hub: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a cache folder nothing works: status 1."""
    monkeypatch.setattr("os.access", lambda *_: False)
    found = examine(cli, status=1)
    assert (found["cache"]["state"], found["cache"]["hint"]) == (
        "bad",
        "ENVHUB_HOME=another folder",
    )
    assert cli("doctor", "-q").stdout == "cache\n"


def test_policy_that_cannot_be_read(cli: Cli, hub: ServedHub, envhub_isolated: Path) -> None:
    """A broken policy file is found, and the other findings are shown."""
    path = envhub_isolated / "config" / "envhub" / "trust.toml"
    path.parent.mkdir(parents=True)
    path.write_text("nonsense = 1")
    found: dict[str, Any] = examine(cli, status=1)
    assert found["policy-invalid"]["state"] == "bad"
    assert "isolation inline" in found
