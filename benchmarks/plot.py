"""The picture of a run: everybody's speed by cell, and growth with the number of envs."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.cells import BASE, OURS
from benchmarks.peers import ENGINES
from benchmarks.report import Findings

OTHERS = {
    "sync": ("#8a8a8a", "s"),
    "sb3": ("#b07aa1", "v"),
    "tianshou": ("#9c755f", "P"),
    "torchrl": ("#76b7b2", "X"),
    "puffer": ("#f28e2b", "D"),
    "envpool": ("#e15759", "^"),
}
INK, ACCENT = "#333333", "#1f5fd0"


def draw(findings: Findings, path: Path) -> None:
    """Write the picture as SVG: the same bytes for the same findings."""
    mpl.rcParams.update({"svg.hashsalt": "envhub", "font.size": 9, "svg.fonttype": "path"})
    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2.1, 1])
    _speed(left, findings)
    _growth(right, findings)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _speed(axes: Axes, findings: Findings) -> None:
    rates = findings.rates()
    cells = [cell for cell in findings.cells() if BASE in cell.engines][::-1]
    axes.axvline(1.0, color=INK, linewidth=1)
    for engine, (colour, marker) in OTHERS.items():
        found = [rates.ratio(c.contender(engine), c.contender(BASE)) for c in cells]
        points = [(ratio, row) for row, ratio in enumerate(found) if ratio]
        axes.scatter(*_axes(points), s=26, c=colour, marker=marker, label=ENGINES[engine].label)
    best = [
        max((rates.ratio(c.contender(e), c.contender(BASE)) or 0.0) for e in OURS) for c in cells
    ]
    points = [(ratio, row) for row, ratio in enumerate(best) if ratio]
    axes.scatter(*_axes(points), s=90, c=ACCENT, zorder=3, label="envhub")
    for ratio, row in points:
        axes.annotate(
            f"{ratio:.2g}×" if ratio < 10 else f"{ratio:.0f}×",
            (ratio, row),
            xytext=(8, 4),
            textcoords="offset points",
            color=ACCENT,
            fontsize=8,
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(cells)), [cell.name for cell in cells])
    axes.set_title("env steps per second, × Gymnasium Async", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=4)
    _tidy(axes)


def _growth(axes: Axes, findings: Findings) -> None:
    sizes = sorted(findings.growth)
    axes.plot(sizes, [findings.growth[n] / 1e6 for n in sizes], "o-", color=ACCENT)
    if sizes:
        axes.set_xscale("log", base=4)
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes], rotation=45)
    axes.set_ylim(bottom=0)
    axes.set_title("million steps per second, null envs", loc="left", fontsize=10)
    axes.set_xlabel("envs")
    _tidy(axes)


def _axes(points: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    return [x for x, _ in points], [y for _, y in points]


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
