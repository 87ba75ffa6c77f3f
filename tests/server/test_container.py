"""The container file, as far as it can be tried without containers: what it runs is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from envhub.proc import run

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def words(instruction: str) -> list[str]:
    """The words of an instruction that is a list."""
    (line,) = (line for line in LINES if line.startswith(instruction))
    found: list[str] = json.loads(line[line.index("[") :])
    return found


def test_what_it_runs(tmp_path: Path) -> None:
    """The command of the container serves a hub, which its health check finds well."""
    (command, *rest), (python, *check) = words("ENTRYPOINT"), words("HEALTHCHECK")
    assert (command, rest, python) == ("envhub", [], "python")
    here = {"/data": str(tmp_path / "data"), "0.0.0.0": "127.0.0.1"}
    asked = [here.get(word, word) for word in words("CMD")]
    argv = [sys.executable, "-m", "envhub", *asked, "--port", "0", "--quiet"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        url = process.stdout.readline().strip()
        code = [word.replace("http://127.0.0.1:8765", url) for word in check]
        assert code != check
        run([sys.executable, *code], timeout=60)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
        process.stdout.close()
    with pytest.raises(Exception, match="refused"):
        run([sys.executable, *code], timeout=60)


def test_what_it_is_built_from() -> None:
    """The build sees what the package is made of, and nothing that was not meant to be in it."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in kept)
    assert {"src", "pyproject.toml", "README.md", "LICENSE"} <= kept


def test_it_is_not_root() -> None:
    """The hub runs as a user who owns its data and nothing else."""
    users = [line.split()[1] for line in LINES if line.startswith("USER ")]
    assert users[-1] == "10001"
    assert any("useradd" in line and "--home-dir /data" in line for line in LINES)
