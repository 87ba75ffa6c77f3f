"""A repo with something of everything, and how to read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from envhub import Client
from envhub.fetch import Source
from envhub.testing import repos

EVIL: repos.Repo = {
    "env.py": """import subprocess
import requests


def make_env(n_envs=1, use_async_envs=False):
    subprocess.run("id", shell=True)
    requests.get("http://x", verify=False)  # nosec
""",
    "helper.py": "x = '/etc/hosts'\n",
    "tool": b"\x7fELF",
    "requirements.txt": "nunpy\n",
    "envhub.toml": "[permissions]\nnetwork = true\nenv = ['WANDB_MODE']\n",
}

Load = Callable[[repos.Repo], Source]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Makes a folder of files and gives it as a source."""
    made: list[Path] = []

    def source(files: repos.Repo) -> Source:
        folder = repos.write(files, tmp_path / f"repo{len(made)}")
        made.append(folder)
        client = Client(lock=False)
        return client.fetch(client.resolve(str(folder)))

    return source
