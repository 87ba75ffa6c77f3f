"""Vector envs side by side: `python -m benchmarks.vector --help`."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report, scale
from benchmarks.cells import CELLS, verdicts
from benchmarks.measure import Arena
from benchmarks.peers import ENGINES
from benchmarks.process import python_path
from benchmarks.report import Findings
from benchmarks.tables import steps
from benchmarks.workloads import WORKLOADS

SCALES = ("growth", "start", "memory", "idle")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vector", description=__doc__)
    names = ", ".join(cell.name for cell in CELLS)
    parser.add_argument("--cells", default="all", help=f"all, none, or some of: {names}")
    parser.add_argument("--engines", default="all", help=f"all, or some of: {', '.join(ENGINES)}")
    parser.add_argument(
        "--scale", default="all", help=f"all, none, or some of: {', '.join(SCALES)}"
    )
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn")
    parser.add_argument("--repetitions", type=int, default=7, help="turns that each engine gets")
    parser.add_argument("--n-envs", type=int, default=64, help="HalfCheetahs of the start-up run")
    parser.add_argument(
        "--peers", metavar="PYTHON", help="an interpreter that has peers which this one lacks"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the findings")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: show these")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw them")
    parser.add_argument("--write", type=Path, metavar="PAGE.md", help="put the tables into a page")
    return parser.parse_args(argv)


def chosen(text: str, names: Sequence[str]) -> list[str]:
    """The names that an option asks for.

    Raises:
        SystemExit: it asks for one that does not exist.
    """
    if text in {"all", "none"}:
        return list(names) if text == "all" else []
    wanted = text.split(",")
    if unknown := sorted(set(wanted) - set(names)):
        raise SystemExit(f"no such name: {', '.join(unknown)}; there are: {', '.join(names)}")
    return wanted


def discover(peers: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """The interpreter of each engine that is there, and what the page says of every engine."""
    pythons: dict[str, str] = {}
    said = {name: f"not run: {kind.missing()}" for name, kind in ENGINES.items()}
    for python in [sys.executable, *([peers] if peers else [])]:
        for name, (version, missing) in _probe(python).items():
            if not missing and name not in pythons:
                pythons[name] = python
                said[name] = version
    return pythons, said


def _probe(python: str) -> dict[str, tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, "-m", "benchmarks.peers"],
            cwd=folder,
            env=python_path(),
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, tuple[str, str]] = json.loads(done.stdout)
    return found


def measure(options: argparse.Namespace) -> Findings:
    """Run everything that was asked for, telling what was found as it goes."""
    pythons, said = discover(options.peers)
    wanted = [name for name in chosen(options.engines, list(ENGINES)) if name in pythons]
    cells = chosen(options.cells, [cell.name for cell in CELLS])
    findings = Findings(
        report.machine(),
        f"{options.repetitions} repetitions of {options.seconds:g} s",
        {name: said[name] for name in chosen(options.engines, list(ENGINES))},
    )
    with Arena(pythons) as arena:
        for cell in (cell for cell in CELLS if cell.name in cells):
            if why := WORKLOADS[cell.workload].missing():
                print(f"{cell.name}: left out, {why}", flush=True)
                continue
            rates = arena.race(
                cell.fitting(wanted), seconds=options.seconds, repetitions=options.repetitions
            )
            findings.add(rates)
            findings.verdicts += verdicts(cell, rates)
            print(_line(cell.name, findings), flush=True)
            if options.json:
                report.write_json(findings, options.json)  # so that no cell is lost with the rest
        _scale(arena, options, findings)
    return findings


def _line(name: str, findings: Findings) -> str:
    rates = findings.rates()
    here = [who for who in rates.of if f"{who.workload}/{who.n_envs}" == name]
    return f"{name}: " + ", ".join(f"{w.engine} {steps(rates.median(w))}" for w in here)


def _scale(arena: Arena, options: argparse.Namespace, findings: Findings) -> None:
    wanted = chosen(options.scale, SCALES)
    if "growth" in wanted:
        findings.growth, verdict = scale.growth(
            arena, seconds=options.seconds, repetitions=options.repetitions
        )
        findings.verdicts.append(verdict)
    if "start" in wanted and not WORKLOADS["halfcheetah"].missing():
        findings.verdicts += scale.starts(arena, n_envs=options.n_envs)
    if "memory" in wanted:
        findings.verdicts.append(scale.memory_slope(arena))
    if "idle" in wanted:
        findings.verdicts.append(scale.idle(arena, seconds=2.0))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure or read, then show and keep."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the engines, too
    options = arguments(argv)
    findings = report.read_json(options.read) if options.read else measure(options)
    print(f"\n{report.page(findings)}")
    if options.json:
        report.write_json(findings, options.json)
    if options.write:
        report.write_page(findings, options.write)
    if options.plot:
        from benchmarks import plot  # matplotlib is needed for nothing else

        plot.draw(findings, options.plot)


if __name__ == "__main__":
    main()
