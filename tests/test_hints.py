"""Errors name commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import click

import envhub
from envhub.cli import main

SOURCE = Path(envhub.__file__).parent
COMMAND = re.compile(r"envhub ([a-z]+)(?: ([a-z]+))?\b")


def test_every_command_in_a_hint_exists() -> None:
    """A command that a message tells the user to run is one that envhub has."""
    known = set(main.list_commands(click.Context(main)))
    named = {
        (file.name, found.group(1))
        for file in SOURCE.rglob("*.py")
        for hint in re.findall(r'hint=\(?f?"([^"]*)"', file.read_text())
        for found in COMMAND.finditer(hint)
    }
    assert named
    assert sorted((file, name) for file, name in named if name not in known) == []
