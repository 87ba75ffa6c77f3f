"""`envhub cache` lists, verifies and removes what was downloaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from envhub.testing import ServedHub, repos

Cli = Callable[..., Result]


@pytest.fixture
def commits(cli: Cli, hub: ServedHub) -> tuple[str, str, str]:
    """Three commits in the cache: two of you/a, one of you/b."""
    first = hub.add("you/a", repos.COUNTER, tag="v1")
    assert cli("fetch", "you/a@v1").exit_code == 0
    second = hub.add("you/a", {"more.txt": "x"})
    other = hub.add("you/b", repos.CARTPOLE)
    assert cli("fetch", "you/a", "you/b").exit_code == 0
    return first, second, other


def cached(cli: Cli) -> set[str]:
    return {entry["commit"] for entry in json.loads(cli("cache", "ls", "--json").stdout)["entries"]}


def damage(cli: Cli, commit: str) -> Path:
    entries = json.loads(cli("cache", "ls", "--json").stdout)["entries"]
    (folder,) = [entry["folder"] for entry in entries if entry["commit"] == commit]
    path = Path(folder, "tree", "env.py")
    path.chmod(0o644)
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"def", b"fed"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return path


def test_ls(cli: Cli, hub: ServedHub, commits: tuple[str, str, str]) -> None:
    """Every commit is listed with its hub, size and age, and the whole with its size."""
    done = cli("cache", "ls")
    for commit in commits:
        assert commit[:12] in done.stdout
    assert hub.url in done.stdout
    assert "UTC" in done.stdout
    data = json.loads(cli("cache", "ls", "--json").stdout)
    assert data["size"] == sum(entry["size"] for entry in data["entries"]) > 0
    assert all(entry["complete"] for entry in data["entries"])
    assert len(cli("cache", "ls", "-q").stdout.splitlines()) == 3


def test_ls_of_an_empty_cache(cli: Cli, envhub_home: Path) -> None:
    """A cache that was never used is empty, and is not made by looking."""
    done = cli("cache", "ls")
    assert (done.exit_code, "0 B" in done.stdout) == (0, True)
    assert not envhub_home.exists()


def test_ls_of_what_is_damaged(cli: Cli, commits: tuple[str, str, str]) -> None:
    """A download in part, and a listing that cannot be read, are listed as what they are."""
    entries = json.loads(cli("cache", "ls", "--json").stdout)["entries"]
    folder = Path(entries[0]["folder"])
    (folder / "files.json").write_text("{")
    (folder / "tree").rename(folder / "partial")
    assert "in part" in cli("cache", "ls").stdout
    assert "?" in cli("cache", "ls").stdout
    names = cli("cache", "ls", "-q").stdout.split()
    assert cli("cache", "rm", names[0], "-y").exit_code == 0
    assert len(cli("cache", "ls", "-q").stdout.split()) == 2


@pytest.mark.parametrize(
    ("names", "stay"),
    [
        (["you/a"], {2}),
        (["you/a@v1"], {1, 2}),
        (["you/a@{0}"], {1, 2}),
        (["you/a@{0:.8}"], {1, 2}),
        (["you/a@{1:.12}", "you/b"], {0}),
        (["--all"], set()),
    ],
)
def test_rm(cli: Cli, commits: tuple[str, str, str], names: list[str], stay: set[int]) -> None:
    """Repos, tags, commits and abbreviated commits are removed; the others stay."""
    done = cli("cache", "rm", "-y", *(name.format(*commits) for name in names))
    assert done.exit_code == 0
    assert cached(cli) == {commits[index] for index in stay}


def test_rm_asks(cli: Cli, commits: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal it asks first, and takes no for an answer."""
    monkeypatch.setattr("envhub.cli.options.asks", lambda _out: True)
    done = cli("cache", "rm", "you/a", stdin="n\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Remove 2 commits, " in done.stderr
    assert len(cached(cli)) == 3
    done = cli("cache", "rm", "you/a", stdin="y\n")
    assert (done.exit_code, done.stdout.startswith("removed 2 commits")) == (0, True)
    assert len(cached(cli)) == 1


@pytest.mark.parametrize("extra", [[], ["--json"], ["-q"]])
def test_rm_without_a_terminal(cli: Cli, commits: tuple[str, str, str], extra: list[str]) -> None:
    """Where nobody can be asked, -y must be said."""
    done = cli("cache", "rm", "you/a", *extra)
    assert (done.exit_code, "say -y" in done.stderr) == (2, True)
    assert len(cached(cli)) == 3


@pytest.mark.parametrize("words", [[], ["you/a", "--all"]])
def test_rm_must_be_told_what(cli: Cli, words: list[str]) -> None:
    """Neither nothing nor everything is removed by an oversight."""
    assert cli("cache", "rm", "-y", *words).exit_code == 2


def test_rm_of_an_empty_cache(cli: Cli) -> None:
    """There is nothing to ask about."""
    assert cli("cache", "rm", "--all").stdout == "removed 0 commits, 0 B\n"


@pytest.mark.parametrize("name", ["you/c", "you/a@v9", "no ref at all", "./here"])
@pytest.mark.parametrize("command", [["rm", "-y"], ["verify"]])
def test_unknown_name(
    cli: Cli, commits: tuple[str, str, str], command: list[str], name: str
) -> None:
    """A name that means nothing in the cache is an error."""
    done = cli("cache", *command, name)
    assert (done.exit_code, f"the cache has nothing of {name!r}" in done.stderr) == (1, True)


def test_verify(cli: Cli, commits: tuple[str, str, str]) -> None:
    """A cache that is as listed is said to be so."""
    done = cli("cache", "verify")
    assert (done.exit_code, done.stdout) == (0, "3 of 3 commits as listed\n")


def test_verify_and_fix(cli: Cli, hub: ServedHub, commits: tuple[str, str, str]) -> None:
    """Other bytes are found, though the stamp is the same; --fix lets the next load mend them."""
    path = damage(cli, commits[2])
    done = cli("cache", "verify")
    assert done.exit_code == 1
    assert "2 of 3" in done.stdout
    assert "env.py has other bytes" in done.stdout
    assert "→ envhub cache verify --fix" in done.stderr
    assert cli("cache", "verify", "you/a").exit_code == 0
    pinned = f"you/b@{commits[2]}"
    done = cli("cache", "verify", "--fix", pinned, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "right": 0,
        "wrong": {f"you/b@{commits[2][:12]}": ["env.py has other bytes"]},
        "fixed": True,
    }
    hub.requests.clear()
    assert cli("fetch", pinned).exit_code == 0
    assert path.read_text() == repos.CARTPOLE["env.py"]
    assert len([asked for asked in hub.requests if "/resolve/" in asked.path]) == 1
    assert cli("cache", "verify").exit_code == 0


def test_git_repos(cli: Cli, hub: ServedHub) -> None:
    """Repos that came by git are named by their URL."""
    hub.add("you/env", repos.COUNTER, tag="v1")
    url = f"git+{hub.folder.as_uri()}/models/you/env.git"
    assert cli("fetch", f"{url}@v1").exit_code == 0
    assert "of git's" in cli("cache", "ls").stdout
    assert cli("cache", "verify", f"{url}@v1").exit_code == 0
    assert cli("cache", "rm", "-y", url).exit_code == 0
    assert cached(cli) == set()
