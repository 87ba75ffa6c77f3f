"""The pytest plugin: a served hub, and tests that touch nothing of the user's and leave nothing.

| fixture | gives |
|---|---|
| `hub` | a `ServedHub` in a folder of its own, which `owner/name` means during the test |
| `envhub_hub` | an `OwnHub`: envhub's own server, to publish to; the same is true of it |
| `envhub_isolated` | protection for one test; its value is the home folder of the test |
| `envhub_home` | the cache folder of the test (protected too) |

`envhub_isolate = true` in pytest's configuration, or the marker `envhub_isolate`, protects without
asking for the fixture. Nothing else happens to tests that ask for nothing.

This module is loaded by every pytest of every user: it imports nothing but pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from envhub.testing.hub import ServedHub
    from envhub.testing.own import OwnHub

_MARKERS = (
    "envhub_isolate: keep the test away from the user's files, tokens and network",
    "envhub_leaves(reason): the test may leave processes, sockets or shared memory behind",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that protects all tests."""
    help_ = "keep all tests away from the user's files, tokens and network"
    parser.addini("envhub_isolate", help_, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture(autouse=True)
def _envhub_switch(request: pytest.FixtureRequest) -> None:
    marked = request.node.get_closest_marker("envhub_isolate")
    if marked or request.config.getini("envhub_isolate"):
        request.getfixturevalue("envhub_isolated")


@pytest.fixture
def envhub_isolated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Give the test a home folder of its own, no tokens and no network; fail it if it leaks.

    Only loopback addresses can be reached. Child processes, sockets and shared memory that are
    there after the test and were not before are an error.
    """
    from envhub.testing import isolated, leaks  # late, see above

    home = tmp_path_factory.mktemp("home", numbered=True)
    mark = f"ENVHUB_TEST={uuid4().hex}"
    with pytest.MonkeyPatch.context() as patch:
        isolated.isolate(patch, home)
        isolated.block_network(patch)
        patch.setenv(*mark.split("="))
        before = leaks.take()
        yield home
        if request.node.get_closest_marker("envhub_leaves"):
            return
        if found := leaks.wait_for_leaks(before, mark):
            pytest.fail("the test left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture
def envhub_home(envhub_isolated: Path) -> Path:
    """The cache folder of the test; nothing is in it yet."""
    return envhub_isolated / "envhub"


@pytest.fixture
def hub(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServedHub]:
    """A hub of the test's own; `ENVHUB_ENDPOINT` and `HF_ENDPOINT` lead to it."""
    from envhub.testing.hub import serve_hub  # late, see above

    request.getfixturevalue("envhub_isolated")
    with serve_hub(tmp_path / "hub") as served:
        _lead(monkeypatch, served.url)
        yield served


@pytest.fixture
def envhub_hub(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OwnHub]:
    """A hub of envhub's own, empty; `ENVHUB_ENDPOINT` and `HF_ENDPOINT` lead to it. Extra `hub`."""
    from envhub.testing.own import careless, own_hub  # late, see above

    request.getfixturevalue("envhub_isolated")
    with own_hub(tmp_path / "envhub-hub", careless()) as served:
        _lead(monkeypatch, served.url)
        yield served


def _lead(patch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("ENVHUB_ENDPOINT", "HF_ENDPOINT"):
        patch.setenv(name, url)
