"""`envhub search` finds env repos on several hubs at once; `envhub browse` opens their pages."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from envhub.testing import ServedHub, repos, serve_hub

Cli = Callable[..., Result]

CARD = """---
license: {licence}
tags: [envhub, {tag}]
envhub:
  action: "{action}"
  observation: "{seen}"
  suites: {{main: {tasks}}}
  requires-python: ">=3.9"
  requirements: ["{package}"]
---
"""
PICTURE = "Dict(pixels: Box(0, 255, (96, 96, 3), uint8), pos: Box(-1, 1, (2,), float32))"
DOWN = "http://127.0.0.1:9"


def add(hub: ServedHub, name: str, **said: object) -> None:
    usual = {"licence": "mit", "tag": "toy", "seen": "Box(-1, 1, (4,), float32)", "tasks": 1}
    usual |= {"action": "Discrete(2)", "package": "gymnasium"}
    hub.add(name, {**repos.CARTPOLE, "README.md": CARD.format(**{**usual, **said})})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    """A hub that knows nothing of envs but what their cards say."""
    with serve_hub(tmp_path_factory.mktemp("hub")) as hub:
        add(hub, "lab/pole")
        add(hub, "lab/push", action="Box(-1, 1, (2,), float32)", seen=PICTURE, package="mujoco>=3")
        add(hub, "you/many", tasks=40, licence="apache-2.0", tag="robotics")
        hub.add("you/model", {"README.md": "---\nlicense: mit\n---\n", "model.bin": "weights"})
        hub.add("lab/room", repos.CARTPOLE, repo_type="space")
        hub.add("lab/pole", {"README.md": "a pull request"}, branch="refs/pr/1")
        yield hub


@pytest.fixture
def filled(made: ServedHub, monkeypatch: pytest.MonkeyPatch) -> ServedHub:
    """The same, as the hub that `owner/name` means."""
    for name in ("ENVHUB_ENDPOINT", "HF_ENDPOINT"):
        monkeypatch.setenv(name, made.url)
    made.page = 1000
    made.requests.clear()
    return made


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", {"lab/pole", "lab/push", "you/many"}),
        ("pole", {"lab/pole"}),
        ("--tag robotics", {"you/many"}),
        ("--licence mit", {"lab/pole", "lab/push"}),
        ("--license mit --tag toy --action discrete", {"lab/pole"}),
        ("--action continuous", {"lab/push"}),
        ("--pixels", {"lab/push"}),
        ("--tasks >10", {"you/many"}),
        ("--tasks <=40", {"lab/pole", "lab/push", "you/many"}),
        ("--tasks 1 --engine mujoco", {"lab/push"}),
        ("--python 3.11", {"lab/pole", "lab/push", "you/many"}),
        ("--python 3.8", set()),
        ("--all", {"lab/pole", "lab/push", "you/many", "you/model"}),
        ("nobody-has-this", set()),
    ],
)
def test_what_fits(cli: Cli, filled: ServedHub, words: str, names: set[str]) -> None:
    """By words, tags and what the env is; a hub that cannot filter by that is read instead."""
    done = cli("search", *words.split(), "--json")
    assert done.exit_code == 0, done.stderr
    assert {each["repo"] for each in json.loads(done.stdout)["found"]} == names


def test_table(cli: Cli, filled: ServedHub) -> None:
    """People get a row each, without the columns that would be empty, and what to do next."""
    done = cli("search", "push")
    for part in ("lab/push", "continuous", "pixels", "mujoco", ">=3.9", "mit"):
        assert part in done.stdout
    assert "private" not in done.stdout
    assert "look closer: envhub info lab/push" in done.stderr
    assert cli("search", "push", "--quiet").stdout == "lab/push\n"
    assert "nothing fits" in cli("search", "nobody").stderr


def test_everything_in_json(cli: Cli, filled: ServedHub) -> None:
    """Programs get all that is known."""
    (found,) = json.loads(cli("search", "push", "--json").stdout)["found"]
    assert found.pop("modified").startswith("20")
    assert "toy" in found.pop("tags")
    assert found == {
        "hub": filled.url,
        "repo": "lab/push",
        "ref": "lab/push",
        "actions": ["continuous"],
        "observations": ["pixels"],
        "n_tasks": 1,
        "python": ">=3.9",
        "engines": ["mujoco"],
        "licence": "mit",
        "downloads": 0,
        "private": False,
        "gated": False,
    }


def test_several_hubs(cli: Cli, filled: ServedHub, tmp_path: Path) -> None:
    """All are asked; what another hub than one's own has is a ref that says where it is."""
    with serve_hub(tmp_path / "second") as second:
        second.add("far/pole", repos.CARTPOLE, gated=True)
        done = cli("search", "pole", "--hub", filled.url, "--hub", f"{second.url}/", "--quiet")
        assert done.stdout == f"lab/pole\nhub+{second.url}/far/pole\n"
        assert "gated" in cli("search", "--hub", second.url).stdout


def test_hugging_face_by_name(cli: Cli, filled: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hf` is Hugging Face, whose refs begin with `hf://` where it is not one's own hub."""
    monkeypatch.setenv("ENVHUB_ENDPOINT", DOWN)
    assert cli("search", "pole", "--hub", "hf", "--quiet").stdout == "hf://lab/pole\n"


def test_one_hub_is_down(cli: Cli, filled: ServedHub) -> None:
    """The others' repos are shown, with a warning; in JSON it says which hub failed, and why."""
    done = cli("search", "pole", "--hub", DOWN, "--hub", filled.url)
    assert (done.exit_code, "lab/pole" in done.stdout) == (0, True)
    assert f"warning[hub-unreachable]: {DOWN} could not be reached" in done.stderr
    done = cli("search", "pole", "--hub", DOWN, "--hub", filled.url, "--json")
    (failed,) = json.loads(done.stdout)["failed"]
    assert (failed["hub"], failed["code"]) == (DOWN, "hub-unreachable")
    done = cli("search", "--hub", DOWN)
    assert (done.exit_code, "error[hub-unreachable]" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "many"], "'many' is no number of tasks"),
        (["--hub", "envs.lab.org"], "'envs.lab.org' is no address of a hub"),
    ],
)
def test_wrong_words(cli: Cli, words: list[str], said: str) -> None:
    """What cannot be meant is told, with what can."""
    done = cli("search", *words)
    assert (done.exit_code, said in done.stderr) == (1, True)


def test_offline(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network nothing can be asked."""
    monkeypatch.setenv("ENVHUB_OFFLINE", "1")
    assert "error[offline]" in cli("search", "pole").stderr


def test_a_long_list_is_read_no_further_than_needed(cli: Cli, filled: ServedHub) -> None:
    """Pages are asked for as they are needed."""
    filled.page = 1
    assert len(cli("search", "--limit", 2, "--quiet").stdout.split()) == 2
    asked = [request for request in filled.requests if request.path == "/api/models"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("ref", "page"),
    [
        ("lab/pole", "{hub}/lab/pole"),
        ("lab/pole@main", "{hub}/lab/pole/tree/main"),
        ("lab/pole@refs/pr/1:env.py", "{hub}/lab/pole/blob/refs%2Fpr%2F1/env.py"),
        ("lab/pole:env.py", "{hub}/lab/pole/blob/main/env.py"),
        ("lab/room", "{hub}/spaces/lab/room"),
        ("git+https://git.lab.org/sims/arm@v2", "https://git.lab.org/sims/arm"),
        ("/somewhere/env", "file:///somewhere/env"),
    ],
)
def test_browse(
    cli: Cli, filled: ServedHub, ref: str, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that shows what a ref means is opened, and its address is printed."""
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    url = page.format(hub=filled.url)
    assert cli("browse", ref, "--print").stdout == f"{url}\n"
    assert opened == []
    assert json.loads(cli("browse", ref, "--json").stdout) == {"url": url, "opened": True}
    assert opened == [url]


def test_nothing_to_browse(cli: Cli, filled: ServedHub) -> None:
    """What has no page, or is not there, says so."""
    assert "has no page" in cli("browse", "pypi:gymnasium==1.0#CartPole-v1").stderr
    assert "error[repo-not-found]" in cli("browse", "lab/nothing").stderr
