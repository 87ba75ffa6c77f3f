"""Time of `envhub inspect` for a repo of 300 files: `python -m benchmarks.inspecting --help`."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import gymnasium

from benchmarks.startup import seconds
from benchmarks.tables import Verdict, goal_table

FILES = 300
MOST_LINES = 300
"""Of a file; so they have about 150 each, as files of env repos do."""


def build(folder: Path, count: int) -> int:
    """Write a repo of Gymnasium's own files, the short and the middling ones; its lines of code."""
    root = Path(gymnasium.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in sorted(root.glob("**/*.py"))]
    full = [text for text in texts if 10 <= text.count("\n") <= MOST_LINES]
    lines = 0
    (folder / "env.py").write_text("def make_env(n_envs=1, use_async_envs=False): ...\n")
    for number, text in enumerate(islice(cycle(full), count - 1)):
        # Not the same bytes twice: nothing may be known from another file.
        (folder / f"part{number:03d}.py").write_text(f"{text}\n# {number}\n", encoding="utf-8")
        lines += text.count("\n")
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, then show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspecting", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--files", type=int, default=FILES)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        lines = build(Path(name), options.files)
        words = ("-m", "envhub", "inspect", name, "--quiet")
        taken = statistics.median(seconds(words) for _ in range(options.repetitions))
    what = f"envhub inspect of {options.files} files, {lines:,} lines, seconds"
    print(goal_table([Verdict(what, "nothing", 2, taken, at_most=True)]))


if __name__ == "__main__":
    main()
