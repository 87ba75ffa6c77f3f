"""The battery as a test: every attack works without a cage, and is stopped by those that say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STRANGER = 61777
"""A user that nobody is."""


def run(tmp_path: Path, *words: str, python: str = sys.executable, user: int | None = None) -> Any:
    """What the battery says, as root or as somebody else."""
    tmp_path.chmod(0o777)
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    if user is not None:
        os.chown(home, user, user)
    out = home / "rows.json"
    packages = sysconfig.get_paths()["purelib"]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src"), packages]),
        "HOME": str(home),
        "SECRET_OF_THE_TRAINER": "its environment is read off by this",
    }
    done = subprocess.run(
        [python, "-m", "tests.battery", *words, "--json", str(out)],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    assert out.exists(), done.stdout[-3000:]
    return json.loads(out.read_text())


def python_for_all() -> str:
    """A Python of our version that any user may run, and our packages may be read by any user."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for program in (Path(sys.executable).resolve(), Path("/usr/bin") / version):
        open_to_all = all(parent.stat().st_mode & 0o5 == 0o5 for parent in program.parents)
        if program.exists() and open_to_all:
            break
    else:
        pytest.skip("no Python of this version can be run by another user")
    if not all(parent.stat().st_mode & 0o5 == 0o5 for parent in (ROOT, *ROOT.parents)):
        pytest.skip("another user cannot read these files")
    return str(program)


@pytest.mark.timeout(300)
def test_what_can_be_stolen_and_harmed_cannot_be_from_a_cage(tmp_path: Path) -> None:
    """As whoever runs the tests: every cage of this machine stops what works without one."""
    said = run(tmp_path, "--fast")
    assert len(said["rows"]) >= 60
    assert not said["problems"]


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_the_same_as_a_normal_user(tmp_path: Path) -> None:
    """Without any rights the cages are the same, made by other means."""
    python = python_for_all()
    # pytest's own folders are closed to others.
    with_room = Path("/tmp") / tmp_path.name
    with_room.mkdir(mode=0o777, exist_ok=True)
    try:
        said = run(with_room, "--fast", python=python, user=STRANGER)
    finally:
        subprocess.run(["rm", "-rf", with_room], check=True)
    assert said["who"] == "a user"
    assert not said["problems"]


@pytest.mark.heavy
@pytest.mark.timeout(3000)
def test_the_whole_battery(tmp_path: Path) -> None:
    """All attacks, bombs and attacks on the trainer included, at all levels."""
    said = run(tmp_path)
    assert len(said["rows"]) >= 100
    assert not said["problems"]
