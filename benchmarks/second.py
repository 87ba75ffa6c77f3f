"""The second start of a locked env: `python -m benchmarks.second --help`. New processes, in turns.

Its venv is there. From the call of `make_env` to the first observation, beside a Python that has
the same packages and does nothing but import them and reset the same env.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.process import python_path
from benchmarks.tables import Verdict, goal_table
from envhub import venvs
from envhub.client import Client
from envhub.interpreters import own
from envhub.uvprogram import Uv

REPO = {
    "env.py": """
import gymnasium as gym

def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1") for _ in range(n_envs)])
""",
    "requirements.txt": "gymnasium==1.4.0\n",
}
CLOCK = "import time\nbegin = time.perf_counter()\n"
TELL = "\nprint((time.perf_counter() - begin) * 1e3)\n"
BARE = f"{CLOCK}import gymnasium as gym\ngym.make('CartPole-v1').reset(seed=0){TELL}"
OURS = f"""import envhub
envhub.make_env
{CLOCK}
with envhub.make_env("./repo", trust_remote_code=True, sandbox="SANDBOX") as envs:
    envs.only.reset(seed=0)
    {TELL.strip()}
"""


class Bench:
    """A locked env below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "repo").mkdir()
        for name, text in REPO.items():
            (folder / "repo" / name).write_text(text)
        self.environ = {**python_path(), "ENVHUB_HOME": str(folder / "home")}
        os.chdir(folder)
        client = Client(cache=folder / "home")
        world = client.lock(["./repo"]).entries[0].worlds[0]
        self.venv = venvs.build(world, own(), Uv(folder / "home"))

    def milliseconds(self, program: str | Path, code: str) -> float:
        """What a program prints."""
        done = subprocess.run(
            [program, "-c", code],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            check=True,
        )
        return float(done.stdout)

    def round(self) -> dict[str, float]:
        """Start once each way."""
        return {
            "bare": self.milliseconds(self.venv.program, BARE),
            "envhub": self.milliseconds(sys.executable, OURS.replace("SANDBOX", "auto")),
            "no sandbox": self.milliseconds(sys.executable, OURS.replace("SANDBOX", "off")),
        }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, then show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        bench.round()
        rounds = [bench.round() for _ in range(options.repetitions)]
        venvs.remove(bench.venv.key, Path(name) / "home")  # it is read-only
    medians = {way: statistics.median(r[way] for r in rounds) for way in rounds[0]}
    print(", ".join(f"{way} {value:.0f} ms" for way, value in medians.items()))
    more = statistics.median(r["envhub"] - r["bare"] for r in rounds)
    verdict = Verdict(
        "second start, milliseconds above", "the bare import", 150, more, at_most=True
    )
    print(f"\n{os.cpu_count()} cores\n\n{goal_table([verdict])}")


if __name__ == "__main__":
    main()
