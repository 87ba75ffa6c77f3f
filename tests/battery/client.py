"""A trainer with one env, as a program: by what becomes of it, protocol attacks are judged."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.battery.cages import PACKAGES, fence

from envhub.errors import EnvHubError
from envhub.fetch import Source, fetch
from envhub.hubs.local import LocalFolder
from envhub.isolation.inline import Inline
from envhub.isolation.process import Process
from envhub.isolation.world import callers
from envhub.refs import parse
from envhub.resolve import resolve
from envhub.store import Store
from envhub.vector.options import Options
from envhub.worker.call import Request

PATIENCE = 2.0


def main(folder: str, level: str) -> None:
    """Load the env, step it, close it, and say how the trainer fares."""
    root = Path(folder)
    source = _source(root)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    told: dict[str, Any] = {"error": "", "long": 0, "escape": False, "foreign": "", "seen": 0.0}
    try:
        told["seen"] = _use(_maker(source, root, level))
    except EnvHubError as error:
        text = str(error)
        told |= {"error": error.code, "long": len(text), "escape": "\x1b" in text}
        told["text"] = text[:2000]
    except Exception as error:  # noqa: BLE001 — whatever the env throws at its trainer
        text = str(error)
        told |= {"foreign": type(error).__name__, "long": len(text), "escape": "\x1b" in text}
    told["seconds"] = time.monotonic() - begun
    told["grown"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10
    told["folder"] = Path.cwd() != root
    told["poison"] = "POISON" in os.environ or "poison" in vars(json)
    told["deaf"] = signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    sys.stdout.write("\n" + json.dumps(told) + "\n")
    sys.stdout.flush()


def _source(root: Path) -> Source:
    hub, store = LocalFolder(root / "repo"), Store(root / "cache")
    return fetch(resolve(parse(f"{root / 'repo'}:env.py"), hub, store), hub, store)


def _maker(source: Source, root: Path, level: str) -> Callable[[], Any]:
    use_async = (root / "async").exists()
    request = Request(1, use_async, None, {})
    if level == "none":
        sys.path.append(str(root / "packages"))
        return lambda: Inline().make(source, request)
    packages = (*PACKAGES, root / "packages")
    world = replace(callers(), packages=packages, startup_timeout=3 * PATIENCE)
    options = Options(step_timeout=PATIENCE, reset_timeout=PATIENCE, start_timeout=3 * PATIENCE)
    return lambda: Process(world, options, fence(level)).make(source, request)


def _use(make: Callable[[], Any]) -> float:
    env = next(iter(next(iter(make().values())).values()))
    try:
        observation, info = env.reset(seed=0)
        json.dumps({name: str(value) for name, value in info.items()})
        for _ in range(3):
            observation, *_, info = env.step(env.action_space.sample())
            json.dumps({name: str(value) for name, value in info.items()})
        return float(observation.sum())
    finally:
        env.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
