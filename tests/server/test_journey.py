"""Unmodified huggingface_hub clients, old and new, do all that they do with the Hub."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
from tests.server.conftest import Running

from envhub.proc import run

JOURNEY = Path(__file__).with_name("journey.py")
VERSIONS = ("0.36.2", "1.10.2", "1.29.0", "2.4.0")


def travel(running: Running, folder: Path, python: str | Path, **more: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    words: list[str | Path] = [running.url, running.tokens["ada"], running.tokens["bob"], folder]
    env = {"HF_ENDPOINT": running.url, "HF_HOME": str(folder / "home")}
    return run([python, "-I", JOURNEY, *words], env={**env, **more}, timeout=170).text


def test_installed_client(running: Running, tmp_path: Path) -> None:
    """The client of this environment, with Xet, completes the journey."""
    assert travel(running, tmp_path / "xet", sys.executable).startswith("ok ")


@pytest.mark.heavy
def test_without_xet(running: Running, tmp_path: Path) -> None:
    """So it does where large files go the LFS way."""
    text = travel(running, tmp_path / "lfs", sys.executable, HF_HUB_DISABLE_XET="1")
    assert text.startswith("ok ")


@pytest.mark.heavy
@pytest.mark.parametrize("version", VERSIONS)
def test_matrix(running: Running, tmp_path: Path, version: str) -> None:
    """Each version in its own venv completes the journey, too."""
    run(["uv", "venv", "-q", "-p", sys.executable, tmp_path / "venv"], timeout=120)
    python = tmp_path / "venv" / "bin" / "python"
    package = f"huggingface_hub=={version}"
    run(["uv", "pip", "install", "-q", "-p", python, package, "hf_xet"], timeout=170)
    assert travel(running, tmp_path / f"v{version}", python).endswith(f" with {version}")


LARGE = """
import os, sys, hashlib, huggingface_hub as hf
endpoint, token, folder = sys.argv[1:]
api = hf.HfApi(endpoint=endpoint, token=token)
api.create_repo("ada/large", exist_ok=True)
data = bytearray(os.urandom(100_000_000))
def send(name):
    api.upload_file(path_or_fileobj=bytes(data), path_in_repo=name, repo_id="ada/large")
    path = hf.hf_hub_download("ada/large", name, endpoint=endpoint, token=token, cache_dir=folder)
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    assert found == hashlib.sha256(data).hexdigest()
send("one.bin")
data[50_000_000:50_000_000] = b"something in between"
send("two.bin")
print("ok")
"""


@pytest.mark.heavy
@pytest.mark.parametrize("disable", ["0", "1"])
def test_large(running: Running, tmp_path: Path, disable: str) -> None:
    """100 MB arrive whole by Xet and by LFS, and what Xet unpacked is not kept beside the files."""
    env = {
        "HF_ENDPOINT": running.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": disable,
    }
    words: list[str | Path] = [running.url, running.tokens["ada"], tmp_path / "cache"]
    assert run([sys.executable, "-c", LARGE, *words], env=env, timeout=170).text == "ok"
    left = sum(path.stat().st_size for path in (running.hub.folder / "xet").glob("*/*"))
    assert left < 5_000_000


def test_fresh_hub_on_an_old_address(running: Running, tmp_path: Path) -> None:
    """A client that remembers chunks of another hub at this address still uploads."""
    code = (
        "import sys, huggingface_hub as hf\n"
        "api = hf.HfApi(endpoint=sys.argv[1], token=sys.argv[2])\n"
        "api.create_repo('ada/again')\n"
        "api.upload_file(path_or_fileobj=sys.argv[3], path_in_repo='a.bin', repo_id='ada/again')\n"
        "api.delete_repo('ada/again')\n"
        "api.create_repo('ada/again')\n"
        "api.upload_file(path_or_fileobj=sys.argv[3], path_in_repo='a.bin', repo_id='ada/again')\n"
    )
    file = tmp_path / "a.bin"
    file.write_bytes(os.urandom(500_000))
    env = {"HF_ENDPOINT": running.url, "HF_HOME": str(tmp_path / "home")}
    run([sys.executable, "-c", code, running.url, running.tokens["ada"], file], env=env, timeout=60)
    answer = running.get("/ada/again/resolve/main/a.bin")
    assert answer.headers["etag"].strip('"') == hashlib.sha256(file.read_bytes()).hexdigest()
