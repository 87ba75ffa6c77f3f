"""The cache under fire: many processes at once, processes killed at any moment, no network."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from envhub import proc
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.refs import parse
from envhub.resolve import resolve
from envhub.store import Store
from envhub.testing import ServedHub, serve_hub

FILES: dict[str, str | bytes | None] = {
    "env.py": "from helpers import build\n",
    "helpers.py": "build = 1\n",
    "assets/robot.bin": bytes(range(256)) * 20_000,
    "configs/task.yaml": "n: 1\n",
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHub]:
    with serve_hub(tmp_path / "hub", lfs_over=1_000_000) as hub:
        hub.add("u/r", FILES, tag="v1")
        yield hub


def loading(what: str, served: ServedHub, cache: Path, *more: str) -> list[str]:
    """Run a part of loading.py; the lines that it printed."""
    program = Path(__file__).with_name("loading.py")
    ref, *rest = more
    done = proc.run([sys.executable, program, what, served.url, cache, ref, *rest], timeout=120)
    return done.text.splitlines()


def test_ten_at_once(served: ServedHub, tmp_path: Path) -> None:
    """Ten processes that load the same new ref at once download each file once, and all load it."""
    *roots, ended = loading("together", served, tmp_path / "cache", "u/r@v1", "10")
    assert len(roots) == 10
    assert len(set(roots)) == 1
    assert ended == f"ended {[0] * 10}"
    paths = [r.path.rpartition("/resolve/")[2] for r in served.requests if "/resolve/" in r.path]
    assert set(Counter(paths).values()) == {1}
    assert len(paths) == len(FILES)


@pytest.mark.parametrize("seed", ["1"])
def test_killed(seed: str, served: ServedHub, tmp_path: Path) -> None:
    """Whenever a download is killed, the next load succeeds and the cache has no fault."""
    (line,) = loading("killed", served, tmp_path / "cache", "u/r@v1", "50", seed)
    assert int(line.split()[1]) >= 45  # threads: now and then a load has fewer moments


def test_unplugged(served: ServedHub, tmp_path: Path) -> None:
    """Offline, with what is needed in the cache, no socket is touched."""
    (line, _) = loading("together", served, tmp_path / "cache", "u/r@v1", "1")
    pin = resolve(parse("u/r@v1"), HuggingFaceHub(served.url), Store(tmp_path / "cache"))
    for ref in ("u/r@v1", pin.pinned_ref):
        assert loading("unplugged", served, tmp_path / "cache", ref) == [line]
