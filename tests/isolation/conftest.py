"""Repos in a folder, and their envs in a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envhub.envdict import EnvDict
from envhub.fetch import Source, fetch
from envhub.hubs.local import LocalFolder
from envhub.make import make
from envhub.refs import parse
from envhub.resolve import resolve
from envhub.store import Store
from envhub.testing.repos import Repo, write
from envhub.trust import Allowed, Consent, decide, require
from envhub.trustfile import Policy

Prepare = Callable[[Repo], tuple[Source, Allowed]]
Make = Callable[..., EnvDict]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """The files of a repo, and the consent to run them."""

    def prepare(repo: Repo) -> tuple[Source, Allowed]:
        root = write(repo, tmp_path / "repo")
        store, hub = Store(tmp_path / "cache"), LocalFolder(root)
        pin = resolve(parse(f"{root}:env.py"), hub, store)
        allowed = require(decide(pin, Policy(), Consent(boolean=True)), pin)
        return fetch(pin, hub, store), allowed

    return prepare


@pytest.fixture
def isolated(prepare: Prepare) -> Iterator[Make]:
    """Makes a repo's envs in a process of their own; they are closed afterwards."""
    made: list[EnvDict] = []

    def make_isolated(repo: Repo | str, **options: Any) -> EnvDict:
        files = {"env.py": repo} if isinstance(repo, str) else repo
        options.setdefault("isolation", "process")
        made.append(make(*prepare(files), **options))
        return made[-1]

    yield make_isolated
    while made:
        made.pop().close()
