"""The pages are tests: their Python examples run, from the folder of this file."""

from __future__ import annotations

from doctest import ELLIPSIS
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection
from sybil.typing import Parser

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


CARDS = "examples/*/README.md"

pytest_collect_file = SybilCollection(
    [
        Sybil(PARSERS, patterns=["README.md", "docs/*.md"], excludes=[CARDS], fixtures=["page"]),
        Sybil(PARSERS, patterns=[CARDS], fixtures=["gallery"]),
    ]
).pytest()
