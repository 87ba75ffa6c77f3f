"""`envhub cache` knows venvs, too: what they are, whether they are right, and their removal."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from envhub.interpreters import own
from envhub.records import cached, verify
from envhub.requirements import lock_requirements
from envhub.testing.packages import only, wheel
from envhub.uvprogram import Uv
from envhub.venvs import Venv, build, health

Cli = Callable[..., Result]


@pytest.fixture
def venv(tmp_path: Path, envhub_home: Path, monkeypatch: pytest.MonkeyPatch) -> Venv:
    """A venv in the cache, with an apple in it."""
    folder = only(monkeypatch, tmp_path / "links")
    wheel(
        folder, "apple", files={"apple.py": "x = 1\n", "apple-1.0.data/scripts/eat": "#!python\n"}
    )
    uv = Uv(envhub_home)
    return build(lock_requirements(["apple"], own(), uv), own(), uv)


def test_ls(cli: Cli, venv: Venv) -> None:
    """Venvs are listed with their Python and the number of their packages, and add to the size."""
    assert f"venv:{venv.key[:12]}" in cli("cache", "ls").stdout
    data = json.loads(cli("cache", "ls", "--json").stdout)
    (listed,) = data["venvs"]
    assert listed["packages"] == ["apple-1.0"]
    assert listed["python"] == str(own().version)
    assert data["size"] > listed["size"] > 0
    assert "of downloaded packages" in cli("cache", "ls").stdout
    assert cli("cache", "ls", "-q").stdout == f"venv:{venv.key[:12]}\n"


def test_rm(cli: Cli, venv: Venv, envhub_home: Path) -> None:
    """A venv goes by its name, and with everything."""
    assert cli("cache", "rm", "venv:0000", "-y").exit_code == 1
    assert not health(venv)
    done = cli("cache", "rm", f"venv:{venv.key[:6]}", "-y")
    assert "removed 0 commits and 1 venv" in done.stdout
    assert health(venv)
    assert cached(envhub_home) == []
    assert "0 commits" in cli("cache", "rm", "--all", "-y").stdout
    assert not (envhub_home / "uv").exists()


def test_right(cli: Cli, venv: Venv) -> None:
    """A venv that nobody touched is right."""
    assert "1 of 0 commits and 1 venv as listed" in cli("cache", "verify").stdout


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("apple.py", "has other bytes than were installed"),
        ("../../../bin/eat", "has other bytes than were installed"),
        ("__pycache__/apple.{tag}.pyc", "was changed"),
        ("evil.pth", "was added"),
    ],
)
def test_changed(path: str, what: str, cli: Cli, venv: Venv) -> None:
    """What was changed or added is found, whatever the file's times say; `--fix` builds anew."""
    file = (venv.site_packages / path.format(tag=sys.implementation.cache_tag)).resolve()
    file.parent.chmod(0o755)
    if file.exists():
        file.chmod(0o644)
    file.write_bytes(b"x = 2\n")
    done = cli("cache", "verify", "--json")
    assert done.exit_code == 1
    wrong = json.loads(done.stdout)["wrong"]
    (faults,) = wrong.values()
    assert [fault.partition(" ")[2] for fault in faults] == [what]
    assert cli("cache", "verify", "--fix").exit_code == 0
    assert health(venv)


def test_missing(venv: Venv, envhub_home: Path) -> None:
    """A file that is gone is a fault, once."""
    venv.site_packages.chmod(0o755)
    (venv.site_packages / "apple.py").unlink()
    (each,) = cached(envhub_home)
    assert [fault.what for fault in verify(each)] == ["is missing"]


def test_in_part(cli: Cli, venv: Venv, envhub_home: Path) -> None:
    """A venv that was never finished is listed as such; nothing in it is in use."""
    (venv.path.parent / "ready.json").unlink()
    (each,) = cached(envhub_home)
    assert verify(each) == ()
    assert "in part" in cli("cache", "ls").stdout
    assert cli("cache", "verify").exit_code == 0
    shutil.rmtree(venv.path.parent, ignore_errors=True)
