"""The pages are tests: their Python examples run, from the folder of this file."""

from __future__ import annotations

from doctest import ELLIPSIS
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection
from sybil.typing import Parser
from xdist.scheduler import LoadScopeScheduling

from envhub.testing import ServedHub, isolated

ROOT = Path(__file__).parent
PARSERS: list[Parser] = [PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run the example of a page away from the user's files and network.

    What it opens may stay open, since the next example of the page goes on with it.
    """
    isolated.isolate(monkeypatch, tmp_path)
    isolated.block_network(monkeypatch)
    monkeypatch.chdir(ROOT)


@pytest.fixture
def gallery(hub: ServedHub) -> None:
    """A hub with the repos of examples/ as their cards say: `gallery/<name>@v1.0`."""
    for card in ROOT.glob("examples/*/README.md"):
        hub.add(f"gallery/{card.parent.name}", card.parent, tag="v1.0")


LIGHT = ("car-racing", "cartpole", "multitask", "pusht")
CARDS = [f"examples/{name}/README.md" for name in LIGHT]
"""Those whose packages the tests have."""


class PagesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Shares the tests out one by one, but keeps a page's examples in one process, in order."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.endswith(".md") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> PagesTogether:
    """Called by pytest-xdist."""
    return PagesTogether(config, log)


pytest_collect_file = SybilCollection(
    [
        Sybil(
            PARSERS,
            patterns=["README.md", "docs/*.md"],
            excludes=["examples/*/README.md"],
            fixtures=["page"],
        ),
        Sybil(PARSERS, patterns=CARDS, fixtures=["gallery"]),
    ]
).pytest()
