"""`envhub lock`, `sync` and `fetch`: pins in a file, files in the cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from envhub.lockfile import Lock
from envhub.testing import ServedHub, repos

Cli = Callable[..., Result]


def test_lock_and_move(cli: Cli, hub: ServedHub) -> None:
    """Refs are pinned; when a branch moves, the lock says so only when asked anew."""
    old = hub.add("you/env", repos.COUNTER)
    done = cli("lock", "you/env", "--json")
    assert done.exit_code == 0
    data = json.loads(done.stdout)
    assert Path(data["lock"]) == Path("envhub.lock").absolute()
    assert [(pin["ref"], pin["commit"], pin["change"]) for pin in data["pins"]] == [
        ("you/env", old, "new")
    ]
    new = hub.add("you/env", {"more.txt": "x"})
    words = ("you/env", "--trust-remote-code", "--episodes", 1, "--json")
    assert json.loads(cli("run", *words).stdout)["commit"] == old
    (pin,) = json.loads(cli("lock", "--json").stdout)["pins"]
    assert (pin["commit"], pin["change"]) == (new, f"was {old[:19]}")
    assert Lock.read(Path("envhub.lock")).pins[0].commit == new
    assert "same" in cli("lock").stdout


def test_lock_adds(cli: Cli, hub: ServedHub, counter: Path) -> None:
    """Further refs come beside those that are there, folders included."""
    hub.add("you/env", repos.COUNTER)
    assert cli("lock", "you/env").exit_code == 0
    done = cli("lock", counter)
    assert "envhub.lock has 2 pins" in done.stdout
    assert len(cli("lock", "-q").stdout.splitlines()) == 2


@pytest.mark.parametrize("command", ["lock", "sync"])
def test_nothing_to_lock(cli: Cli, command: str) -> None:
    """Without a lock file there is nothing to do, and the way to one is shown."""
    done = cli(command)
    assert (done.exit_code, "→ envhub lock owner/name" in done.stderr) == (1, True)


def test_sync(cli: Cli, hub: ServedHub) -> None:
    """After a sync everything of the lock loads without a request."""
    hub.add("you/a", repos.COUNTER)
    hub.add("you/b", repos.CARTPOLE)
    assert cli("lock", "you/a", "you/b").exit_code == 0
    done = cli("sync", "-q")
    folders = [Path(line) for line in done.stdout.splitlines()]
    assert [folder.joinpath("env.py").is_file() for folder in folders] == [True, True]
    hub.requests.clear()
    words = ("--offline", "--trust-remote-code", "--episodes", 1, "--locked")
    assert [cli("run", name, *words).exit_code for name in ("you/a", "you/b")] == [0, 0]
    assert hub.requests == []


def test_sync_refuses_other_files(cli: Cli, counter: Path) -> None:
    """A folder that changed since it was locked is refused, with what differs."""
    assert cli("lock", counter).exit_code == 0
    (counter / "env.py").write_text("other = 1\n")
    done = cli("sync")
    assert done.exit_code == 1
    assert "error[lock-mismatch]" in done.stderr
    assert "tree digest" in done.stderr


def test_fetch(cli: Cli, hub: ServedHub, tmp_path: Path) -> None:
    """Several refs are fetched; nothing of them runs, and no consent is needed."""
    hub.add("you/a", repos.canary(tmp_path / "dead"))
    hub.add("you/b", repos.CARTPOLE, tag="v1.0")
    done = cli("fetch", "you/a", "you/b@v1.0", "--json")
    assert done.exit_code == 0
    data = json.loads(done.stdout)
    assert [pin["ref"] for pin in data] == ["you/a", "you/b@v1.0"]
    assert Path(data[1]["folder"], "env.py").read_text() == repos.CARTPOLE["env.py"]
    assert not (tmp_path / "dead").exists()
    assert "you/b@v1.0" in cli("fetch", "you/b@v1.0", "--offline").stdout


def test_fetch_needs_a_ref(cli: Cli) -> None:
    """Nothing to fetch is wrong usage."""
    assert cli("fetch").exit_code == 2
