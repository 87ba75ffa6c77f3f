"""Building a venv, beside plain uv with the same lock: `python -m benchmarks.venv --help`.

uv's cache is warm, so that no download is measured. "alike" is uv doing what envhub does: packages
copied, hashes checked, bytecode compiled. "bare" is uv as it comes: packages linked to the cache,
no bytecode, which every first start of every worker would pay for.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from uv import find_uv_bin

from benchmarks.tables import Verdict, goal_table
from envhub import venvs
from envhub.interpreters import own
from envhub.requirements import LockedRequirements, lock_requirements
from envhub.uvprogram import Uv

ALIKE = ("--link-mode", "copy", "--require-hashes", "--compile-bytecode")


class Bench:
    """Builds the same venv in turns, below a folder."""

    def __init__(self, folder: Path, requirements: Sequence[str]) -> None:
        self.folder = folder
        self.uv = Uv(folder / "home")
        self.locked: LockedRequirements = lock_requirements(requirements, own(), self.uv)
        (folder / "lock.txt").write_text(self.locked.text)
        self.key = venvs.build(self.locked, own(), self.uv).key

    def plain(self, name: str, flags: Sequence[str]) -> None:
        """Build with uv alone."""
        folder = self.folder / name
        environ = {**os.environ, "UV_CACHE_DIR": str(self.uv.cache)}
        new = ["venv", str(folder), "--python", str(own().path)]
        fill = ["pip", "sync", "--python", f"{folder}/bin/python", f"{self.folder}/lock.txt"]
        for words in (new, [*fill, *flags]):
            subprocess.run([find_uv_bin(), *words, "-q"], env=environ, check=True)

    def ours(self) -> None:
        """Build with envhub."""
        venvs.build(self.locked, own(), self.uv)

    def round(self, number: int) -> dict[str, float]:
        """Build once each way; seconds that each took."""
        venvs.remove(self.key, self.uv.home)
        ways: dict[str, Callable[[], None]] = {
            "bare": lambda: self.plain(f"bare-{number}", ()),
            "alike": lambda: self.plain(f"alike-{number}", ALIKE),
            "envhub": self.ours,
        }
        return {way: _seconds(work) for way, work in ways.items()}


def _seconds(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, then show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.venv", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("requirements", nargs="*", default=["gymnasium==1.4.0"])
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.requirements)
        rounds = [bench.round(number) for number in range(options.repetitions)]
        venvs.remove(bench.key, bench.uv.home)  # it is read-only
    medians = {way: statistics.median(r[way] for r in rounds) for way in rounds[0]}
    print(", ".join(f"{way} {seconds * 1e3:.0f} ms" for way, seconds in medians.items()))
    ratio = statistics.median(r["envhub"] / r["alike"] for r in rounds)
    verdict = Verdict("building a venv, times as long", "uv, alike", 1.25, ratio, at_most=True)
    print(f"\n{os.cpu_count()} cores\n\n{goal_table([verdict])}")


if __name__ == "__main__":
    main()
