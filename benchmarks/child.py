"""The process of one engine: builds, measures and closes vector envs as told on standard input.

Commands are lines: `build WORKLOAD N` (answer: seconds to the end of the first step), `measure S`
(env steps per second), `close` (seconds that took). Answers are lines of JSON, `[number, ""]` or
`[0, "what went wrong"]`, on what was standard output when it started; whatever engines print goes
to standard error instead.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable

from benchmarks.engines import Engine
from benchmarks.peers import ENGINES
from benchmarks.workloads import WORKLOADS

WARM_UP = 0.02  # seconds: while it was stopped, the processor's caches went to others


class Host:
    """One engine, with at most one vector env at a time."""

    def __init__(self, engine: str) -> None:
        self.kind = ENGINES[engine]
        importlib.import_module(self.kind.module)
        self.envs: Engine | None = None

    def build(self, workload: str, n_envs: str) -> float:
        """Seconds to the end of the first step."""
        what = WORKLOADS[workload]
        what.make().close()  # imports whatever the env imports
        self.envs = self.kind.build(what, int(n_envs))
        return self.envs.start_seconds

    def measure(self, seconds: str) -> float:
        """Env steps per second."""
        assert self.envs is not None
        self.envs.measure(WARM_UP)
        return self.envs.measure(float(seconds))

    def close(self) -> float:
        """Seconds that closing took."""
        start = time.perf_counter()
        if self.envs is not None:
            self.envs.close()
        self.envs = None
        return time.perf_counter() - start

    def obey(self, verb: str, *words: str) -> tuple[float, str]:
        """Do as told; any error of any engine is an answer like another."""
        verbs: dict[str, Callable[..., float]] = {
            "build": self.build,
            "measure": self.measure,
            "close": self.close,
        }
        try:
            return verbs[verb](*words), ""
        except Exception as error:  # noqa: BLE001 -- engines raise what they like; it is reported
            return 0.0, f"{type(error).__name__}: {error}".splitlines()[0]


def main(engine: str) -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    host = Host(engine)
    for line in sys.stdin:
        print(json.dumps(host.obey(*line.split())), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
