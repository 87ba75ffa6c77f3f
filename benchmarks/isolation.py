"""What a process of its own costs an env: `python -m benchmarks.isolation --help`.

All ways of stepping take turns in one run, so that ratios hold on a busy machine. "ping" is the
least that two processes can do: 12 bytes over a pipe there, 12 bytes back.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import envhub
from benchmarks.tables import Verdict, goal_table
from envhub.isolation.world import callers
from envhub.vector import AsyncVectorEnv, Options

REPO = """
import gymnasium as gym
import numpy as np

class Env(gym.Env):
    action_space = gym.spaces.Discrete(2)
    def __init__(self, shape, dtype):
        self.observation_space = gym.spaces.Box(0, 255, shape, dtype)
        self.observation, self.info = np.zeros(shape, dtype), {}
    def reset(self, *, seed=None, options=None):
        return self.observation, {}
    def step(self, action):
        return self.observation, 0.0, False, False, self.info

def make_env(n_envs=1, use_async_envs=False, shape=(4,), dtype="float32"):
    kind = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return kind([lambda: Env(tuple(shape), dtype)] * n_envs)
"""
IMPORT = "import site, sys; [site.addsitedir(p) for p in sys.argv[1:]]; import gymnasium.vector"
WAYS = ("ping", "inline", "engine", "isolated")

Work = Callable[[], Any]
Seconds = dict[str, float]


class Bench:
    """Envs of one repo in every way.

    Args:
        folder: where the repo is written.
        sandbox: what is put around isolated envs.
        repetitions: turns of each way.
    """

    def __init__(self, folder: Path, sandbox: str, repetitions: int) -> None:
        (folder / "env.py").write_text(REPO)
        self.repo, self.sandbox, self.repetitions = str(folder), sandbox, repetitions
        names: dict[str, Any] = {}
        exec(REPO, names)
        self.kind = names["Env"]

    def isolated(self, n_envs: int = 1, workers: int = 1, **params: Any) -> Any:
        """The envs in a process of their own."""
        return envhub.make_env(
            self.repo,
            n_envs,
            workers > 1,
            trust_remote_code=True,
            isolation="process",
            sandbox=self.sandbox,
            vector=Options(num_workers=workers),
            **params,
        )

    def steps(self, n_envs: int, workers: int, shape: tuple[int, ...], dtype: str) -> Seconds:
        """Seconds of a step in every way, and of a copy of the observations."""
        makes = [lambda: self.kind(shape, dtype)] * n_envs
        inline = gym.vector.SyncVectorEnv(makes)
        engine = AsyncVectorEnv(makes, num_workers=workers)
        ping = Ping()
        with self.isolated(n_envs, workers, shape=list(shape), dtype=dtype) as envs:
            actions = np.ones(n_envs, np.int64)
            ways: dict[str, Work] = {"ping": ping, "copy": np.zeros((n_envs, *shape), dtype).copy}
            for name, env in (("inline", inline), ("engine", engine), ("isolated", envs.only)):
                env.reset(seed=1)
                ways[name] = partial(env.step, actions)
            found = in_turns(ways, self.repetitions, 100)
        ping.close()
        engine.close()
        return found

    def starts(self) -> Seconds:
        """Seconds to a first observation, with one worker and with eight; and of the import."""
        world = callers()
        words = [str(world.python), "-I", "-S", "-c", IMPORT, *map(str, world.packages)]
        ways: dict[str, Work] = {
            "import": lambda: subprocess.run(words, check=True),
            "one": lambda: self.first(1),
            "eight": lambda: self.first(8),
        }
        for work in ways.values():
            work()
        return in_turns(ways, max(3, self.repetitions // 4), 1)

    def first(self, count: int) -> None:
        """Start, have a first observation, end."""
        with self.isolated(count, count) as envs:
            envs.only.reset(seed=1)


class Ping:
    """A process that answers 12 bytes with 12 bytes; calling this asks it once."""

    def __init__(self) -> None:
        there_read, self._write = os.pipe()
        self._read, there_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._write)
            while data := os.read(there_read, 12):
                os.write(there_write, data)
            os._exit(0)
        os.close(there_read)
        os.close(there_write)

    def __call__(self) -> None:
        """Ask once."""
        os.write(self._write, bytes(12))
        os.read(self._read, 12)

    def close(self) -> None:
        """End the process."""
        os.close(self._write)
        os.close(self._read)
        os.waitpid(self.pid, 0)


def in_turns(ways: dict[str, Work], repetitions: int, calls: int) -> Seconds:
    """The least median of each way's calls; the ways take turns."""
    medians: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, work in ways.items():
            medians[name].append(statistics.median(_seconds(work) for _ in range(calls)))
    return {name: min(found) for name, found in medians.items()}


def _seconds(work: Work) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def verdicts(bench: Bench) -> list[Verdict]:
    """Measure and compare; prints what was measured."""
    one = show("1 env, 4 floats", bench.steps(1, 1, (4,), "float32"))
    many = show("64 envs, 2 workers", bench.steps(64, 2, (4,), "float32"))
    pixels = show("480x640x3", bench.steps(1, 1, (480, 640, 3), "uint8"))
    starts = show("start", bench.starts())
    added, least = one["isolated"] - one["inline"], pixels["ping"] + pixels["copy"]
    late = starts["one"] - starts["import"]
    eight = starts["eight"] - 0.1
    rows = [
        ("a step, times as long", "ping", 1.5, one["isolated"] / one["ping"]),
        ("a step, times as long", "the engine alone", 1.05, one["isolated"] / one["engine"]),
        ("a step, µs more", "inline", 25, added * 1e6),
        ("64 envs, times as long", "the engine alone", 1 / 0.95, many["isolated"] / many["engine"]),
        ("480x640x3, times as long", "copy and ping", 1.15, pixels["isolated"] / least),
        ("first observation, ms more", "the import", 150, late * 1e3),
        ("8 workers but 100 ms, times as long", "1 worker", 1.3, eight / starts["one"]),
    ]
    return [Verdict(*row, at_most=True) for row in rows]


def show(title: str, seconds: Seconds) -> Seconds:
    """Print what was measured."""
    told = ", ".join(f"{name} {value * 1e6:,.1f}" for name, value in seconds.items())
    print(f"{title}: {told} µs", flush=True)
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, then show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--sandbox", choices=["auto", "off"], default="auto")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.sandbox, options.repetitions)
        print(f"\n{os.cpu_count()} cores\n\n{goal_table(verdicts(bench))}")


if __name__ == "__main__":
    main()
