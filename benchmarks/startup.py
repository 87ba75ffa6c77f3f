"""Start-up of envhub: `python -m benchmarks.startup --help`. Fresh processes, in turns."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks.process import python_path
from benchmarks.tables import Verdict, goal_table

PROGRAMS = {
    "bare": ("-c", "pass"),
    "import": ("-c", "import envhub"),
    "help": ("-m", "envhub", "--help"),
}


def seconds(words: Sequence[str]) -> float:
    """Run Python once; seconds that took."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=python_path(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, then show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=15)
    options = parser.parse_args(argv)
    rounds = [
        {name: seconds(words) * 1e3 for name, words in PROGRAMS.items()}
        for _ in range(options.repetitions)
    ]
    above = statistics.median(r["import"] - r["bare"] for r in rounds)
    whole = statistics.median(r["help"] for r in rounds)
    verdicts = [
        Verdict("import envhub, milliseconds above", "bare Python", 50, above, at_most=True),
        Verdict("envhub --help, milliseconds", "nothing", 200, whole, at_most=True),
    ]
    print(goal_table(verdicts))


if __name__ == "__main__":
    main()
