"""One load in a fresh process: `python -m benchmarks.loading WAY …` prints its seconds.

Each way first imports what it needs, then starts the clock.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium

Load = Callable[[], Any]


def by_hand(file: str) -> Load:
    """Import the file and make the env: nothing can be faster."""

    def load() -> Any:
        return _import(Path(file)).make_env(n_envs=1, use_async_envs=False)

    return load


def reference(repo: str) -> Load:
    """What LeRobot's loader does: one file of the newest commit, imported, the result wrapped."""
    from huggingface_hub import hf_hub_download

    def load() -> Any:
        module = _import(Path(hf_hub_download(repo, "env.py")))
        return module.make_env(n_envs=1, use_async_envs=False)

    return load


def envhub(ref: str) -> Load:
    """Ours, in the caller's process like the other two."""
    from envhub import make_env

    def load() -> Any:
        return make_env(ref, n_envs=1, trust_remote_code=True, isolation="inline").only

    return load


def snapshot(repo: str) -> Load:
    """Download a whole repo with huggingface_hub."""
    from huggingface_hub import snapshot_download

    def load() -> Any:
        return snapshot_download(repo)

    return load


def envhub_fetch(ref: str) -> Load:
    """Download a whole repo with envhub, verified."""
    from envhub import Client

    def load() -> Any:
        client = Client()
        return client.fetch(client.resolve(ref))

    return load


def _import(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("loaded_env", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WAYS: dict[str, Callable[[str], Load]] = {
    "by-hand": by_hand,
    "reference": reference,
    "envhub": envhub,
    "snapshot": snapshot,
    "envhub-fetch": envhub_fetch,
}


def main(way: str, what: str) -> None:
    """Load once; to the first observation, if there are envs."""
    load = WAYS[way](what)
    start = time.perf_counter()
    loaded = load()
    if isinstance(loaded, gymnasium.vector.VectorEnv):
        loaded.reset(seed=0)
    seconds = time.perf_counter() - start
    if isinstance(loaded, gymnasium.vector.VectorEnv):
        loaded.close()
    json.dump(seconds, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
