"""What is measured, and what envhub promises for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure import Contender, Rates
from benchmarks.peers import ENGINES
from benchmarks.tables import Verdict
from benchmarks.workloads import WORKLOADS

OURS = ("envhub", "envhub-sendrecv")
BASE = "async"
PLAIN = ("raw", "sync", BASE, "envhub")
PEERS = ("envpool", "sb3", "tianshou", "torchrl", "puffer")


@dataclass(frozen=True)
class Goal:
    """`engine` must be at least so many times as fast as `over`."""

    over: str
    least: float
    engine: str = "envhub"


@dataclass(frozen=True)
class Cell:
    """One workload with one number of envs: who steps it, and what is promised."""

    workload: str
    n_envs: int
    goals: tuple[Goal, ...]
    engines: tuple[str, ...] = PLAIN + PEERS

    @property
    def name(self) -> str:
        """As tables and the command line call it."""
        return f"{self.workload}/{self.n_envs}"

    def contender(self, engine: str) -> Contender:
        """An engine in this cell."""
        return Contender(engine, self.workload, self.n_envs)

    def fitting(self, wanted: Sequence[str]) -> list[Contender]:
        """Those of the wanted engines that can step it at all."""
        workload = WORKLOADS[self.workload]
        return [
            self.contender(engine)
            for engine in self.engines
            if engine in wanted and ENGINES[engine].fits(workload)
        ]


CELLS = (
    Cell("null", 1, (Goal(BASE, 10),)),
    Cell("null", 64, (Goal(BASE, 80), Goal("raw", 0.6), Goal("sync", 1.8))),
    Cell("cartpole", 8, (Goal(BASE, 7), Goal("raw", 0.5))),
    Cell("cartpole", 64, (Goal(BASE, 13), Goal("raw", 0.8), Goal("puffer", 1.6))),
    Cell(
        "cartpole",
        256,
        (Goal(BASE, 20), Goal("raw", 0.85)),
        (*PLAIN, "envpool", "torchrl", "puffer"),
    ),
    Cell("halfcheetah", 8, (Goal(BASE, 3.3), Goal("raw", 0.55))),
    Cell("halfcheetah", 64, (Goal(BASE, 6), Goal("raw", 0.7), Goal("envpool", 0.7))),
    Cell("minigrid", 64, (Goal(BASE, 2.5), Goal("raw", 0.85))),
    Cell("pong", 8, (Goal(BASE, 1.35), Goal("raw", 0.8))),
    Cell("cameras", 8, (Goal(BASE, 1.6), Goal("raw", 0.8), Goal("puffer", 1.6))),
    Cell(
        "tail",
        8,
        (Goal(BASE, 1.4, "envhub-sendrecv"), Goal("raw", 0.9, "envhub-sendrecv")),
        (*PLAIN, "envhub-sendrecv", *PEERS, "tianshou-async"),
    ),
    Cell(
        "waiting",
        64,
        (Goal(BASE, 5, "envhub-sendrecv"), Goal(BASE, 1.1)),
        ("sync", BASE, *OURS, *PEERS, "tianshou-async"),
    ),
    Cell(
        "batch",
        4096,
        (Goal("in-process", 0.85), Goal("pickle", 5)),
        ("in-process", "envhub", "pickle"),
    ),
)


def verdicts(cell: Cell, rates: Rates) -> list[Verdict]:
    """What a race says about a cell's goals."""
    return [
        Verdict(
            f"{cell.name} {ENGINES[goal.engine].label}".removesuffix(" envhub"),
            ENGINES[goal.over].label,
            goal.least,
            rates.ratio(cell.contender(goal.engine), cell.contender(goal.over)),
        )
        for goal in cell.goals
    ]
