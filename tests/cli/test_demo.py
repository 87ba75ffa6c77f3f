"""`envhub demo` publishes, finds, refuses, runs and films, on a machine without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import Result

import envhub
from envhub.cli import demo, gallery
from envhub.cli.report import Report
from envhub.cli.run import perform
from envhub.errors import EnvHubError
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.testing import OwnHub

Cli = Callable[..., Result]

GALLERY = {entry.parent.name for entry in gallery.GALLERY.glob("*/env.py")}


def test_demo(cli: Cli, tmp_path: Path) -> None:
    """The gallery is published and found, one is refused as a user sees it, then run and filmed."""
    done = cli("demo", "--into", tmp_path / "demo")
    assert done.exit_code == 0, done.stderr
    heads = [line for line in done.stderr.splitlines() if " · " in line]
    assert [head[0] for head in heads] == ["1", "2", "3", "4"]
    for name in GALLERY:
        assert f"gallery/{name}" in done.stderr
    assert "$ envhub search pusht" in done.stderr
    assert "error[untrusted]: Refusing to execute remote code" in done.stderr
    assert "→ envhub run gallery/pusht@" in done.stderr
    assert "mean" in done.stdout
    assert f"Watch {tmp_path}/demo/pusht.mp4" in done.stdout
    with av.open(str(tmp_path / "demo" / "pusht.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) > 50


def test_demo_as_data(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON it is one value; without gym-pusht, cartpole is what runs."""
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    done = cli("demo", "--into", tmp_path, "--json")
    assert done.exit_code == 0, done.stderr
    data = json.loads(done.stdout)
    assert {repo["name"] for repo in data["published"]} == GALLERY
    assert "gallery/cartpole" in {repo["ref"] for repo in data["found"]}
    assert data["refusal"]["code"] == "untrusted"
    assert (data["run"]["repo"], data["run"]["hub"]) == ("gallery/cartpole", data["hub"])
    assert data["run"]["commit"] in {repo["commit"] for repo in data["published"]}
    assert Path(data["run"]["videos"][0]).is_file()


def test_published_repos(envhub_hub: OwnHub) -> None:
    """Published again, nothing changes: the same commit and tag, and every file is there."""
    first = list(gallery.publish(gallery.GALLERY, envhub_hub.inside))
    assert list(gallery.publish(gallery.GALLERY, envhub_hub.inside)) == first
    cartpole = next(repo for repo in first if repo.name == "cartpole")
    assert cartpole.ref == "gallery/cartpole@v1.0"
    assert cartpole.files == len(list((gallery.GALLERY / "cartpole").glob("*")))
    assert envhub.Client().resolve(cartpole.ref).commit == cartpole.commit


def test_without_a_checkout(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed envhub has no gallery, and says so."""
    monkeypatch.setattr(gallery, "GALLERY", tmp_path)
    done = cli("demo", "--into", tmp_path)
    assert (done.exit_code, "run it in a checkout: make demo" in done.stderr) == (1, True)


def test_refusal_must_happen(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the repo ran unasked the demo would fail rather than go on."""
    monkeypatch.setattr(demo, "perform", lambda *_: None)
    done = cli("demo", "--into", tmp_path)
    assert done.exit_code == 1
    assert "ran although nobody consented" in done.stderr


def test_failure_of_the_search(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing can be found the demo fails, too."""

    def failing(*_: Any) -> Any:
        raise EnvHubError("the hub is mute")

    monkeypatch.setattr(HuggingFaceHub, "repos", failing)
    done = cli("demo", "--into", tmp_path)
    assert (done.exit_code, "the hub is mute" in done.stderr) == (1, True)


def test_failure_of_the_env(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the env fails, so does the demo."""

    def failing(*args: Any) -> Report:
        report = perform(*args)
        for task in report.tasks:
            object.__setattr__(task, "error", EnvHubError("the env failed"))
        return report

    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    monkeypatch.setattr(demo, "perform", failing)
    done = cli("demo", "--into", tmp_path)
    assert (done.exit_code, "the env failed" in done.stderr) == (1, True)
