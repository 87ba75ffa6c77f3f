"""`envhub trust` writes, shows and takes back what may run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from envhub.testing import ServedHub, repos
from envhub.trustfile import Grant, Policy, Rules

Cli = Callable[..., Result]


def policy(home: Path) -> Policy:
    return Policy.read(home / "config" / "envhub" / "trust.toml")


def test_add(cli: Cli, hub: ServedHub, cartpole: str, envhub_isolated: Path) -> None:
    """A grant is for the commit that the ref means now; then the repo runs unasked."""
    ref = "lerobot/cartpole-env@v1.0"
    assert cli("run", ref).exit_code == 1
    done = cli("trust", "add", ref)
    assert done.exit_code == 0
    assert cartpole in done.stdout
    assert f"envhub trust remove {ref}" in done.stdout
    assert policy(envhub_isolated).grants == (Grant(hub.url, "lerobot/cartpole-env", cartpole),)
    assert cli("run", ref, "--episodes", 1).exit_code == 0
    hub.add("lerobot/cartpole-env", {"x.py": ""})
    assert cli("run", "lerobot/cartpole-env").exit_code == 1


def test_list(cli: Cli, cartpole: str, counter: Path, envhub_isolated: Path) -> None:
    """All grants and rules are shown, and the file that they are in."""
    assert "no repo may run unasked" in cli("trust", "list").stdout
    for ref in ("lerobot/cartpole-env", counter):
        assert cli("trust", "add", ref).exit_code == 0
    path = envhub_isolated / "config" / "envhub" / "trust.toml"
    text = cli("trust", "list").stdout
    for part in (cartpole, "counter", "any", "full_commit_only", str(path)):
        assert part in text
    data = json.loads(cli("trust", "list", "--json").stdout)
    assert {grant["repo"] for grant in data["grants"]} == {"lerobot/cartpole-env", "counter"}
    assert data["rules"]["boolean"] is True
    assert cli("trust", "list", "-q").stdout.splitlines() == [
        "counter@any",
        f"lerobot/cartpole-env@{cartpole}",
    ]


def test_remove(cli: Cli, hub: ServedHub, envhub_isolated: Path) -> None:
    """One commit or the whole repo is taken back, without asking the hub."""
    first = hub.add("you/env", repos.COUNTER)
    assert cli("trust", "add", "you/env").exit_code == 0
    second = hub.add("you/env", repos.CARTPOLE)
    assert cli("trust", "add", "you/env").exit_code == 0
    hub.requests.clear()
    done = cli("trust", "remove", f"you/env@{first}", "--json")
    assert [grant["commit"] for grant in json.loads(done.stdout)["removed"]] == [first]
    assert [grant.commit for grant in policy(envhub_isolated).grants] == [second]
    assert cli("trust", "remove", "you/env", "-q").stdout == f"you/env@{second}\n"
    assert policy(envhub_isolated).grants == ()
    assert hub.requests == []


def test_remove_of_a_folder(cli: Cli, counter: Path, envhub_isolated: Path) -> None:
    """The grant of a folder is found by the folder, however it is written."""
    assert cli("trust", "add", counter).exit_code == 0
    assert cli("trust", "remove", counter.parent).exit_code == 1
    assert cli("trust", "remove", f"../{counter.name}").exit_code == 0
    assert policy(envhub_isolated).grants == ()


def test_remove_what_is_not_there(cli: Cli, cartpole: str) -> None:
    """Nothing to take back is an error, since somebody believes it was allowed."""
    done = cli("trust", "remove", "lerobot/cartpole-env")
    assert (done.exit_code, "→ envhub trust list" in done.stderr) == (1, True)


def test_rules_are_kept(cli: Cli, counter: Path, envhub_isolated: Path) -> None:
    """Adding and removing leave other grants and rules as they are."""
    path = envhub_isolated / "config" / "envhub" / "trust.toml"
    before = Policy(
        grants=(Grant("http://hub", "you/*", "any"),),
        rules=Rules(boolean=False, only=("file:///*",)),
    )
    before.write(path)
    assert cli("run", counter, "--trust-remote-code").exit_code == 1
    assert cli("trust", "add", counter).exit_code == 0
    assert cli("run", counter, "--episodes", 1).exit_code == 0
    assert cli("trust", "remove", counter).exit_code == 0
    assert policy(envhub_isolated) == before


def test_broken_policy(cli: Cli, counter: Path, envhub_isolated: Path) -> None:
    """A policy file that cannot be read allows nothing, and is not overwritten."""
    path = envhub_isolated / "config" / "envhub" / "trust.toml"
    path.parent.mkdir(parents=True)
    path.write_text("version = 1\nowner = []\n")
    for words in (("run", counter, "--trust-remote-code"), ("trust", "add", counter)):
        done = cli(*words)
        assert (done.exit_code, "error[policy-invalid]" in done.stderr) == (1, True)
    assert path.read_text() == "version = 1\nowner = []\n"


def test_add_with_permissions(cli: Cli, tmp_path: Path, envhub_isolated: Path) -> None:
    """A repo that asks for more than its files is refused until it gets it, or is denied it."""
    asks = {**repos.COUNTER, "envhub.toml": "[permissions]\nnetwork = true\n"}
    folder = repos.write(asks, tmp_path / "asks")
    assert "it asks for network" in cli("trust", "add", folder).stdout
    done = cli("run", folder, "--episodes", 1)
    assert (done.exit_code, "it asks for network" in done.stderr) == (1, True)
    hint = f"→ envhub run {folder} --episodes 1 --trust-remote-code --allow network"
    assert hint in done.stderr
    assert f"→ or, to remember it: envhub trust add {folder} --allow network" in done.stderr
    assert f"{folder} --episodes 1 --trust-remote-code --allow none   # without it" in done.stderr
    for words in (("--allow", "network"), ("--allow", "none")):
        done = cli("run", folder, "--trust-remote-code", *words, "--episodes", 1)
        assert done.exit_code == 0
    for words in (("--allow", "network"), ("--deny", "network")):
        assert "network" in cli("trust", "add", folder, *words).stdout
        assert cli("run", folder, "--episodes", 1).exit_code == 0
    [grant] = policy(envhub_isolated).grants
    assert (grant.allow, grant.deny) == ((), ("network",))
    assert cli("trust", "add", folder, "--allow", "netwrok").exit_code == 1


def test_refused_again_with_other_permissions(cli: Cli, tmp_path: Path) -> None:
    """The hint repeats the user's command with the permissions that it needs, and no others."""
    asks = {**repos.COUNTER, "envhub.toml": "[permissions]\nnetwork = true\n"}
    folder = repos.write(asks, tmp_path / "asks")
    done = cli("run", folder, "--allow", "gpu", "--allow=gpu")
    assert f"→ envhub run {folder} --trust-remote-code --allow gpu\n" in done.stderr


def test_owner(cli: Cli, hub: ServedHub, cartpole: str, envhub_isolated: Path) -> None:
    """Every repo of an owner runs unasked, until that is taken back."""
    assert cli("trust", "owner", "lerobot", "--deny", "network").exit_code == 0
    expected = Grant(hub.url, "lerobot/*", "any", deny=("network",))
    assert policy(envhub_isolated).grants == (expected,)
    assert cli("run", "lerobot/cartpole-env", "--episodes", 1).exit_code == 0
    assert cli("trust", "remove", "lerobot/cartpole-env").exit_code == 1
    assert cli("trust", "remove", "lerobot", "-q").stdout == "lerobot/*@any\n"
    assert cli("run", "lerobot/cartpole-env").exit_code == 1


def test_the_machines_policy(
    cli: Cli, counter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the machine's file says holds over the user's, and the user sees where it says so."""
    machine = tmp_path / "etc"
    monkeypatch.setattr("envhub.settings.MACHINE", machine)
    assert cli("trust", "add", counter).exit_code == 0
    Policy(rules=Rules(users=False)).write(machine / "trust.toml")
    assert cli("run", counter, "--episodes", 1).exit_code == 1
    assert "this machine takes no grants" in cli("trust", "add", counter).stdout
    assert str(machine / "trust.toml") in cli("trust", "list").stdout
    Policy(rules=Rules(only=("https://huggingface.co/*",))).write(machine / "trust.toml")
    done = cli("run", counter, "--trust-remote-code")
    assert (done.exit_code, "huggingface.co" in done.stderr) == (1, True)
    assert cli("run", counter, "--trust-remote-code").exit_code == 1


def test_log(cli: Cli, counter: Path) -> None:
    """What ran is listed, the newest first; nobody ran anything at first."""
    assert "nothing ran yet" in cli("trust", "log").stdout
    for words in (("--allow", "gpu"), ("--allow", "none")):
        cli("run", counter, "--trust-remote-code", "--episodes", 1, *words)
    text = cli("trust", "log").stdout
    for part in ("counter", "folder", "inline", "argument", "gpu"):
        assert part in text
    data = json.loads(cli("trust", "log", "--json").stdout)
    assert [each["permissions"] for each in data] == [[], ["gpu"]]
    assert len(cli("trust", "log", "-q", "-n", 1).stdout.splitlines()) == 1
