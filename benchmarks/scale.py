"""What does not show in one cell: growth with the number of envs, start-up, memory, idleness."""

from __future__ import annotations

import itertools
import statistics

from benchmarks.cells import BASE
from benchmarks.measure import Arena, Contender
from benchmarks.tables import Verdict
from benchmarks.workloads import WIDTHS

SIZES = (1, 4, 16, 64, 256, 1024, 4096)
STARTS = 3
OURS = "envhub"


def growth(
    arena: Arena, *, seconds: float, repetitions: int, sizes: tuple[int, ...] = SIZES
) -> tuple[dict[int, float], Verdict]:
    """Env steps per second by number of null envs; after the peak it must not fall away."""
    contenders = [Contender(OURS, "null", size) for size in sizes]
    rates = arena.race(contenders, seconds=seconds, repetitions=repetitions)
    found = {who.n_envs: statistics.median(values) for who, values in rates.of.items()}
    worst = None
    if found:
        best = max(found, key=lambda size: found[size])
        worst = min(found[size] for size in found if size >= best) / found[best]
    return found, Verdict("growth, 1 to 4,096 null envs", "its own best", 0.8, worst)


def starts(arena: Arena, *, n_envs: int, times: int = STARTS) -> list[Verdict]:
    """Seconds to the first step and memory held, against Gymnasium Async, in turns."""
    ours, theirs = (Contender(engine, "halfcheetah", n_envs) for engine in (OURS, BASE))
    pairs = [(arena.start_up(ours), arena.start_up(theirs)) for _ in range(times)]
    seconds = statistics.median(a.seconds / b.seconds for a, b in pairs)
    memory = statistics.median(a.memory / b.memory for a, b in pairs)
    name, label = f"{n_envs} HalfCheetahs", "Gymnasium Async"
    return [
        Verdict(f"{name}: start to first step", label, 0.4, seconds, at_most=True),
        Verdict(f"{name}: memory", label, 0.35, memory, at_most=True),
    ]


def memory_slope(arena: Arena) -> Verdict:
    """Bytes held for a further byte of observation: the same for large ones as for small ones."""
    held = [arena.memory_after(Contender(OURS, f"wide{size}", 8), seconds=0.2) for size in WIDTHS]
    slopes = [
        (after - before) / (larger - smaller)
        for (smaller, larger), (before, after) in zip(
            itertools.pairwise(WIDTHS), itertools.pairwise(held), strict=True
        )
    ]
    return Verdict(
        "memory per byte, larger observations",
        "smaller observations",
        1.2,
        slopes[-1] / slopes[0],
        at_most=True,
    )


def idle(arena: Arena, *, seconds: float) -> Verdict:
    """Share of a core that 64 waiting envs use: none."""
    used = arena.idle(Contender(OURS, "null", 64), seconds=seconds)
    return Verdict("idle, share of a core", "nothing", 0.001, used, at_most=True)
