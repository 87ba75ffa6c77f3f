"""An env runs with what it declares: found, locked, installed and used by one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import envhub
from envhub.cli import main
from envhub.client import Client
from envhub.errors import (
    ArgumentError,
    LockError,
    LockMismatchError,
    MissingDependencyError,
    UntrustedError,
)
from envhub.lockfile import Lock
from envhub.testing import ServedHub, repos
from envhub.testing.packages import lend, serve_index, wheel
from envhub.wishes import Wishes

CODE = str(repos.COUNTER["env.py"]).replace("limit=10", "limit=apple.seeds")
APPLE: repos.Repo = {"env.py": f"import apple\n{CODE}", "requirements.txt": "apple\n"}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An index on loopback with an apple, and with what every env needs."""
    folder = lend(tmp_path / "links")
    grow(folder, "1.0", seeds=3)
    monkeypatch.setenv("ENVHUB_ISOLATION", "auto")
    monkeypatch.setenv("ENVHUB_SANDBOX", "off")  # what is lent lies outside of the venv
    monkeypatch.chdir(tmp_path)
    with serve_index(folder) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        yield folder


def grow(folder: Path, version: str, seeds: int) -> None:
    wheel(folder, "apple", version, files={"apple.py": f"seeds = {seeds}\n"})


def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


@pytest.fixture
def apple(tmp_path: Path) -> Path:
    """A folder with an env that has as many steps as an apple has seeds."""
    return repos.write(APPLE, tmp_path / "apple")


def steps(envs: envhub.EnvDict) -> int:
    """The length of an episode."""
    with envs:
        env = envs.only
        env.reset(seed=0)
        count, over = 1, env.step([0])[2]
        while not over[0]:
            count, over = count + 1, env.step([0])[2]
        return count


def load(ref: object, **more: Any) -> int:
    return steps(envhub.make_env(str(ref), trust_remote_code=True, **more))


def test_declared(apple: Path) -> None:
    """The env runs with packages that the caller does not have."""
    envs = envhub.make_env(str(apple), trust_remote_code=True)
    assert "venv" in repr(envs)
    assert steps(envs) == 3
    with pytest.raises(ModuleNotFoundError):
        __import__("apple")


def test_consent_first(apple: Path, tmp_path: Path) -> None:
    """Nothing is looked for or installed before somebody consents."""
    client = Client(cache=tmp_path / "cache")
    with pytest.raises(UntrustedError):
        client.make_env(str(apple))
    assert not (tmp_path / "cache").exists()


def test_caller(apple: Path) -> None:
    """With the caller's packages it does not run, and nothing is installed there."""
    with pytest.raises(MissingDependencyError):
        load(apple, isolation="process")
    with pytest.raises(ArgumentError, match="venv of the env's own"):
        load(apple, isolation="inline", extra_requirements=["apple"])


def test_missing(apple: Path, index: Path) -> None:
    """A package that is not declared is named, with the call that adds it."""
    (apple / "requirements.txt").write_text("gymnasium\n")
    with pytest.raises(MissingDependencyError) as caught:
        load(apple, n_envs=2)
    line = f'envhub.make_env("{apple}", n_envs=2, trust_remote_code=True, '
    assert caught.value.hint == line + 'extra_requirements=["apple"])'
    assert load(apple, extra_requirements=["apple"]) == 3


def test_missing_behind_a_package(apple: Path, index: Path) -> None:
    """So is one that a package of the env's forgot to declare."""
    wheel(index, "pear", files={"pear.py": "import apple\nseeds = apple.seeds\n"})
    (apple / "requirements.txt").write_text("pear\n")
    code = (apple / "env.py").read_text()
    (apple / "env.py").write_text(code.replace("apple", "pear"))
    with pytest.raises(MissingDependencyError, match="imports apple") as caught:
        load(apple)
    assert 'extra_requirements=["apple"]' in caught.value.hint
    assert load(apple, extra_requirements=["apple"]) == 3


def test_locked(hub: ServedHub, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is locked is what runs, whatever the index has since; offline, too."""
    hub.add("you/env", APPLE)
    client = Client()
    lock = client.lock(["you/env"], wishes=Wishes(exclude_newer="never"))
    grow(index, "2.0", seeds=7)
    (world,) = lock.entries[0].worlds
    assert [each.name for each in world.packages] == ["apple", "gymnasium", "numpy"]
    assert "http" not in Path("envhub.lock").read_text().replace(hub.url, "")
    with pytest.raises(UntrustedError):
        client.sync()
    client.sync(trust_remote_code=True)
    no_index(monkeypatch)
    assert load("you/env", offline=True) == 3
    assert load("you/env") == 3


def test_lock_anew(hub: ServedHub, index: Path) -> None:
    """Without a lock file a commit keeps the packages that it was first run with."""
    hub.add("you/env", APPLE)
    assert load("you/env", exclude_newer="never") == 3
    grow(index, "2.0", seeds=7)
    assert load("you/env", exclude_newer="never") == 3
    Client().lock(["you/env"], wishes=Wishes(exclude_newer="never"))
    assert load("you/env") == 7


def test_strict(hub: ServedHub) -> None:
    """A locked load installs nothing that is not in the lock file."""
    hub.add("you/env", APPLE)
    Client().lock(["you/env"])
    text = Path("envhub.lock").read_text()
    Path("envhub.lock").write_text(text.partition("\n[[env.world]]")[0])
    with pytest.raises(LockError, match="has no packages for"):
        Client(locked=True).make_env("you/env", trust_remote_code=True)
    Path("envhub.lock").write_text(text.replace("linux", "plan9"))
    with pytest.raises(LockMismatchError):
        load("you/env")


def test_lock_of_the_callers_packages(apple: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where envs run with the caller's packages, none are locked."""
    monkeypatch.setenv("ENVHUB_ISOLATION", "inline")
    no_index(monkeypatch)
    assert Client().lock([str(apple)]).entries[0].worlds == ()


def test_nothing_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An env that declares nothing asks no index, is locked and synced without consent."""
    no_index(monkeypatch)
    folder = repos.write(repos.COUNTER, tmp_path / "counter")
    assert Client().lock([str(folder)]).entries[0].worlds == ()
    assert len(Client().sync()) == 1
    assert load(folder) == 10


def cli(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_command_line(apple: Path) -> None:
    """The command line says the same in its own words."""
    (apple / "requirements.txt").write_text("gymnasium\n")
    words = ("run", apple, "--trust-remote-code", "--episodes", "1")
    done = cli(*words)
    assert done.exit_code == 1
    added = f"envhub run {apple} --trust-remote-code --episodes 1 --extra-requirement apple"
    assert added in done.stderr.replace("\n", " ").replace("  ", " ")
    assert cli(*words, "--extra-requirement", "apple").exit_code == 0
    assert cli("lock", apple, "--extra-requirement", "apple").exit_code == 0
    assert "3 packages" in cli("lock", "--extra-requirement", "apple").stdout
    assert cli("sync").exit_code == 1
    assert cli("sync", "--trust-remote-code").exit_code == 0
    assert cli(*words, "--locked").exit_code == 0
    assert Lock.read(Path("envhub.lock")).entries[0].worlds[0].requirements == (
        "gymnasium",
        "apple",
    )
