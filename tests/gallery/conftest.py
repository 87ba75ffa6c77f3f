"""What tests of real packages share: one cache, and the Pythons of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from envhub.client import Client

_PYENV = Path.home() / ".pyenv"  # before a test moves the home folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder: what one test has downloaded is there for the next."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def client(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Runs envs with what they declare, from the package index that this machine uses."""
    monkeypatch.setenv("ENVHUB_ISOLATION", "auto")
    monkeypatch.setenv("PYENV_ROOT", str(_PYENV))
    return Client(cache=cache, lock=False)
