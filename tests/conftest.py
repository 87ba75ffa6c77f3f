"""Fixtures that every test gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _isolated(envhub_isolated: Path) -> None:
    """No test touches the user's files or another machine, and none leaves anything behind."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the heavy tests out unless they are asked for; begin with those that fork.

    A fork takes as long as the forking process is large, and each test makes this one larger.
    """
    items.sort(key=lambda item: "vector" not in item.path.parts)
    if os.environ.get("ENVHUB_HEAVY") != "1":
        for item in items:
            if item.get_closest_marker("heavy"):
                item.add_marker(pytest.mark.skip(reason="heavy: ENVHUB_HEAVY=1 runs it"))
