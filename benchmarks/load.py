"""Loading an env repo, beside the reference's way: `python -m benchmarks.load --help`.

Everything goes over a hub on this machine, every load in a fresh process, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.process import python_path
from benchmarks.tables import Verdict, goal_table
from envhub.testing import ServedHub, repos, serve_hub

ENV = '''"""Cart-pole."""

import gymnasium as gym


def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")] * n_envs)
'''
SMALL, LARGE, LARGE_FILES = "bench/cartpole", "bench/large", 300


class Bench:
    """Runs loads against a hub, with caches in a folder."""

    def __init__(self, hub: ServedHub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder

    def seconds(self, way: str, what: str, cache: str) -> float:
        """Load once in a fresh process, with the named cache; seconds that took."""
        home = self.folder / cache
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.loading", way, what],
            cwd=self.folder,
            env={
                **python_path(),
                "HF_ENDPOINT": self.hub.url,
                "HF_HOME": str(home / "hf"),
                "ENVHUB_HOME": str(home / "envhub"),
                "ENVHUB_CONFIG": str(home / "config"),
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "PYTHONWARNINGS": "ignore",
            },
            stdout=subprocess.PIPE,
            check=True,
        )
        return float(json.loads(done.stdout))

    def warm(self, repetitions: int) -> list[Verdict]:
        """Load what is in the cache: a pinned ref, against the newest commit and a plain import."""
        commit = self.hub.add(SMALL, {"env.py": ENV})
        file = self.folder / "by_hand.py"
        file.write_text(ENV)
        ways = {"envhub": f"{SMALL}@{commit}", "reference": SMALL, "by-hand": str(file)}
        for way, what in ways.items():
            self.seconds(way, what, "warm")
        asked = 0
        rounds: list[dict[str, float]] = []
        for _ in range(repetitions):
            taken = {}
            for way, what in ways.items():
                before = len(self.hub.requests)
                taken[way] = self.seconds(way, what, "warm")
                asked += (len(self.hub.requests) - before) if way == "envhub" else 0
            rounds.append(taken)
        ratio = statistics.median(r["reference"] / r["envhub"] for r in rounds)
        above = statistics.median(r["envhub"] - r["by-hand"] for r in rounds)
        _tell("warm load to the first observation", rounds)
        return [
            Verdict("warm load of a pinned ref, times as fast", "reference, unpinned", 3, ratio),
            Verdict(
                "warm load, milliseconds above", "import by hand", 20, above * 1e3, at_most=True
            ),
            Verdict("warm load, requests", "nothing", 0, asked, at_most=True),
        ]

    def cold(self, repetitions: int) -> list[Verdict]:
        """Load with an empty cache: a repo of many files."""
        commit = self.hub.add(LARGE, repos.big(LARGE_FILES))
        ways = {"envhub-fetch": f"{LARGE}@{commit}", "snapshot": LARGE}
        rounds = [
            {way: self.seconds(way, what, f"cold-{way}-{i}") for way, what in ways.items()}
            for i in range(repetitions)
        ]
        ratio = statistics.median(r["snapshot"] / r["envhub-fetch"] for r in rounds)
        _tell(f"cold load of {LARGE_FILES} files", rounds)
        return [
            Verdict(
                f"cold load of {LARGE_FILES} files, times as fast", "snapshot_download", 1, ratio
            )
        ]


def _tell(title: str, rounds: list[dict[str, float]]) -> None:
    medians = {way: statistics.median(r[way] for r in rounds) for way in rounds[0]}
    said = ", ".join(f"{way} {seconds * 1e3:.0f} ms" for way, seconds in medians.items())
    print(f"{title}: {said}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, then show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name, serve_hub(Path(name) / "hub") as hub:
        bench = Bench(hub, Path(name))
        verdicts = [*bench.warm(options.repetitions), *bench.cold(options.repetitions)]
    print(f"\n{os.cpu_count()} cores\n\n{goal_table(verdicts)}")


if __name__ == "__main__":
    main()
