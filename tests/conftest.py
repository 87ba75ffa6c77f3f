"""Fixtures that every test gets."""

from __future__ import annotations

pytest_plugins: list[str] = []
