"""What was found, as a value, as JSON, and as tables for a terminal or a page."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

import gymnasium
import msgspec
import numpy as np

from benchmarks.cells import BASE, CELLS, OURS, Cell
from benchmarks.measure import Contender, Rates
from benchmarks.peers import ENGINES
from benchmarks.tables import Verdict, goal_table, share, steps, table, times

BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
COLUMNS = ("sync", "envpool", "sb3", "tianshou", "tianshou-async", "torchrl", "puffer")


@dataclass(frozen=True)
class Record:
    """One contender's rates in env steps per second, or why it has none."""

    who: Contender
    rates: list[float]
    failed: str = ""


@dataclass
class Findings:
    """All that a run found.

    Attributes:
        machine: what it ran on, in words.
        settings: seconds and repetitions, in words.
        engines: version of each engine, or why it was left out.
        records: the rates.
        growth: env steps per second by number of null envs.
        verdicts: the promises.
    """

    machine: str
    settings: str
    engines: dict[str, str]
    records: list[Record] = field(default_factory=list)
    growth: dict[int, float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, rates: Rates) -> None:
        """Take over what a race found."""
        self.records += [Record(who, values) for who, values in rates.of.items()]
        self.records += [Record(who, [], why) for who, why in rates.failed.items()]

    def rates(self) -> Rates:
        """All records as one."""
        return Rates(
            {record.who: record.rates for record in self.records if record.rates},
            {record.who: record.failed for record in self.records if record.failed},
        )

    def cells(self) -> list[Cell]:
        """The cells that were measured."""
        measured = {(record.who.workload, record.who.n_envs) for record in self.records}
        return [cell for cell in CELLS if (cell.workload, cell.n_envs) in measured]


def write_json(findings: Findings, path: Path) -> None:
    """Keep findings."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(findings)))


def read_json(path: Path) -> Findings:
    """Findings that were kept."""
    return msgspec.json.decode(path.read_bytes(), type=Findings)


def machine() -> str:
    """The machine and what matters of its software, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((x.partition(":")[2].strip() for x in lines if "model name" in x), model)
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()}, "
        f"Python {platform.python_version()}, Gymnasium {gymnasium.__version__}, "
        f"NumPy {np.__version__}; load average {os.getloadavg()[0]:.1f} before the run"
    )


def speed_table(findings: Findings) -> str:
    """Rates of ours, and everybody's as multiples of Gymnasium Async."""
    rates = findings.rates()
    columns = [name for name in COLUMNS if any(r.who.engine == name for r in findings.records)]
    head = ("cell", "steps/s", "× Async", "efficiency", *(ENGINES[name].label for name in columns))
    rows = [
        (
            cell.name if engine == OURS[0] else f"{cell.name}, send/recv",
            steps(rates.median(cell.contender(engine))),
            times(rates.ratio(cell.contender(engine), cell.contender(BASE))),
            share(_efficiency(rates, cell, engine)),
            *(times(rates.ratio(cell.contender(name), cell.contender(BASE))) for name in columns),
        )
        for cell in findings.cells()
        for engine in OURS
        if cell.contender(engine) in rates.of
    ]
    return table(head, rows)


def _efficiency(rates: Rates, cell: Cell, engine: str) -> float | None:
    base = "in-process" if "in-process" in cell.engines else "raw"
    return rates.ratio(cell.contender(engine), cell.contender(base))


def growth_table(findings: Findings) -> str:
    """Env steps per second by number of null envs."""
    sizes = sorted(findings.growth)
    return table(
        ("null envs", *(f"{size:,}" for size in sizes)),
        [("steps/s", *(steps(findings.growth[size]) for size in sizes))],
    )


def page(findings: Findings) -> str:
    """Everything, as Markdown."""
    failed = findings.rates().failed.items()
    absent = [f"{_label(w.engine)} in {w.workload}/{w.n_envs}: {why}" for w, why in failed]
    parts = [
        f"{findings.machine}. {findings.settings}.",
        "Engines: " + "; ".join(f"{_label(k)} {v}" for k, v in findings.engines.items()) + ".",
        speed_table(findings),
        goal_table(findings.verdicts),
    ]
    if findings.growth:
        parts.append(growth_table(findings))
    if absent:
        parts.append("Did not run: " + "; ".join(absent) + ".")
    return "\n\n".join(parts)


def _label(engine: str) -> str:
    return ENGINES[engine].label if engine in ENGINES else engine


def write_page(findings: Findings, path: Path) -> None:
    """Replace what stands between the markers of a page.

    Raises:
        ValueError: the page has no such markers.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no part between {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{page(findings)}\n\n{END}{after}", encoding="utf-8")
