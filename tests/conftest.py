"""Fixtures that every test gets."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _isolated(envhub_isolated: Path) -> None:
    """No test touches the user's files or another machine, and none leaves anything behind."""
