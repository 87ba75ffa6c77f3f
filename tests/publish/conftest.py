"""A hub that runs for a whole module, and clients of its users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from envhub import Client
from envhub.server.config import Config
from envhub.settings import Settings
from envhub.testing import OwnHub, own_hub, repos

LARGE = 100_000
"""Files of more bytes are kept outside git."""

_numbers = count(1)
As = Callable[[str], Client]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnHub]:
    """A hub that keeps small files outside git, too."""
    rules = Config(durable=False, requests_per_minute=0, examine=False, lfs_over=LARGE)
    with own_hub(tmp_path_factory.mktemp("hub"), rules) as running:
        yield running


@pytest.fixture(scope="module")
def tokens(served: OwnHub) -> dict[str, str]:
    """Of its users ada and bob; each exists once, since a second one would replace it."""
    return {user: served.token_of(user) for user in ("ada", "bob")}


@pytest.fixture
def as_user(served: OwnHub, tokens: dict[str, str], envhub_isolated: Path) -> As:
    """A client of a user of that hub; of nobody if the name is empty."""

    def client(name: str) -> Client:
        settings = replace(Settings.from_environ(), endpoint=served.url, token=tokens.get(name))
        return Client(settings, lock=False)

    return client


@pytest.fixture
def ada(as_user: As) -> Client:
    return as_user("ada")


@pytest.fixture
def api(served: OwnHub, tokens: dict[str, str], envhub_isolated: Path) -> HfApi:
    """huggingface_hub's own client, as ada."""
    return HfApi(endpoint=served.url, token=tokens["ada"])


@pytest.fixture
def name() -> str:
    """A repo of ada's that no other test has."""
    return f"ada/env{next(_numbers)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an env repo."""
    return repos.write({**repos.COUNTER, "notes.txt": "of mine\n"}, tmp_path / "counter")
