"""What a sandbox costs: `python -m benchmarks.sandbox [--rounds N]`.

Starts and steps of the same env take turns with and without the cage in one run, so that the
differences hold on a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import envhub
from benchmarks.tables import Verdict, goal_table
from envhub.isolation.sandbox import probe

REPO = """
import gymnasium as gym
import numpy as np

class Env(gym.Env):
    observation_space = gym.spaces.Box(0, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)
    observation, info = np.zeros(4, np.float32), {}
    def reset(self, *, seed=None, options=None):
        return self.observation, {}
    def step(self, action):
        return self.observation, 0.0, False, False, self.info

def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([Env for _ in range(n_envs)])
"""
WAYS = ("off", "require")
STEPS = 2000


def make(folder: str, sandbox: str) -> Any:
    """The env, ready to step."""
    envs = envhub.make_env(folder, trust_remote_code=True, isolation="process", sandbox=sandbox)
    envs.only.reset(seed=0)
    return envs


def start(folder: str, sandbox: str) -> float:
    """Seconds from the call to the first observation."""
    begun = time.perf_counter()
    envs = make(folder, sandbox)
    taken = time.perf_counter() - begun
    envs.close()
    return taken


def stepper(folder: str, sandbox: str) -> Callable[[], float]:
    """Measures one step, in seconds: the median of some thousand."""
    env = make(folder, sandbox).only
    actions = env.action_space.sample()

    def measure() -> float:
        taken = []
        for _ in range(STEPS):
            begun = time.perf_counter()
            env.step(actions)
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken)

    return measure


def least(measure: Callable[[str], float], rounds: int) -> dict[str, float]:
    """The least of some measurements of each way, taken in turns."""
    found = [{way: measure(way) for way in WAYS} for _ in range(rounds)]
    return {way: min(row[way] for row in found) for way in WAYS}


def main(argv: Sequence[str]) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each way")
    rounds = parser.parse_args(argv).rounds
    begun = time.perf_counter()
    able = probe.probe()
    probed = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "env.py").write_text(REPO)
        starts = least(lambda way: start(folder, way), rounds)
        # Two envs of each: whether a worker still spins when it is rung is a matter of luck.
        steppers = [(way, stepper(folder, way)) for way in (*WAYS, *WAYS)]
        taken = [(way, measure()) for _ in range(rounds) for way, measure in steppers]
        steps = {way: statistics.median(t for each, t in taken if each == way) for way in WAYS}
    later = 1000 * (starts["require"] - starts["off"])
    slower = 100 * (steps["require"] / steps["off"] - 1)
    print(f"bubblewrap {able.bubblewrap or 'none'}, Landlock {able.landlock}")
    print(f"start {1000 * starts['off']:.0f} ms, in the cage {1000 * starts['require']:.0f} ms")
    print(f"step {1e6 * steps['off']:.1f} µs, in the cage {1e6 * steps['require']:.1f} µs")
    verdicts = [
        Verdict("start, ms", "a process without a cage", 40, later, at_most=True),
        Verdict("step, %", "a process without a cage", 3, slower, at_most=True),
        Verdict("probe, ms", "", 10, 1000 * probed, at_most=True),
    ]
    print(goal_table(verdicts))


if __name__ == "__main__":
    main(sys.argv[1:])
