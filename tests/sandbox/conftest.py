"""Repos in a folder, as the tests of isolation have them."""

from __future__ import annotations

from tests.isolation.conftest import prepare

__all__ = ["prepare"]
