"""Simulators that cannot be installed together, alive in one program and stepped in turns.

Their versions of MuJoCo exclude each other, and one of them needs another Python. This program has
none of them: each env gets what it declares, in a process and a sandbox of its own.

    python examples/conflict_demo.py
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from envhub.client import Client
from envhub.errors import InterpreterError
from envhub.parameters import EVERYTHING, Choice
from envhub.wishes import Wishes

GALLERY = Path(__file__).parent


@dataclass(frozen=True)
class Simulator:
    """An env to run, and the package whose version excludes the others'."""

    ref: str
    engine: str
    wishes: Wishes = field(default_factory=Wishes)
    choice: Choice = EVERYTHING


SIMULATORS = (
    Simulator(f"{GALLERY}/mujoco-locomotion", "mujoco", choice=Choice(task="half-cheetah")),
    Simulator(f"{GALLERY}/aloha", "mujoco", choice=Choice(task="transfer-cube")),
    Simulator(f"{GALLERY}/metaworld-mt10", "mujoco"),
    Simulator(
        "pypi:shimmy[dm-control]==2.0.1#dm_control/cartpole-swingup-v0",
        "mujoco",
        # What it needs and does not say, and the newest MuJoCo that it works with.
        Wishes(["dm-control==1.0.50", "mujoco==3.17.0", "imageio", "packaging"]),
    ),
    Simulator(f"{GALLERY}/procgen", "procgen", Wishes(allow_build=["gym"])),
)


@dataclass(frozen=True)
class Running:
    """An env that is there, and what it runs with."""

    name: str
    env: Any
    python: str
    versions: dict[str, str]
    engine: str

    def row(self, seconds: float, steps: int) -> tuple[str, ...]:
        """A line of the table."""
        packages = (self.versions.get(name, "–") for name in ("numpy", "gymnasium"))
        engine = f"{self.engine} {self.versions[self.engine]}"
        return (self.name, self.python, *packages, engine, f"{steps / seconds:,.0f}")


def start(simulators: Iterable[Simulator], client: Client, stack: ExitStack) -> Iterator[Running]:
    """Start each simulator whose Python is on this machine; the first task of each is used."""
    for each in simulators:
        name = each.ref.rpartition("/")[2]
        try:
            envs = client.make_env(
                each.ref, trust_remote_code=True, wishes=each.wishes, choice=each.choice
            )
        except InterpreterError as error:
            print(f"left out: {name}: {error.what}")
            continue
        stack.enter_context(envs)
        locked = client.packages(client.fetch(envs.pin), wishes=each.wishes)
        versions = {package.name: package.version for package in locked.packages}
        env = next(env for _, env in envs.flat())
        yield Running(name, env, locked.python, versions, each.engine)


def step_in_turns(running: Sequence[Running], steps: int) -> list[float]:
    """Step all envs, one after the other, again and again; the seconds that each took."""
    seconds = [0.0] * len(running)
    for each in running:
        each.env.reset(seed=0)
        each.env.action_space.seed(0)
    for _ in range(steps):
        for index, each in enumerate(running):
            begin = time.perf_counter()
            each.env.step(each.env.action_space.sample())
            seconds[index] += time.perf_counter() - begin
    return seconds


def own(package: str) -> str:
    """The version of a package in this program's own environment."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def table(rows: Iterable[Sequence[str]]) -> str:
    """Columns of text."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def main(
    simulators: Sequence[Simulator] = SIMULATORS, steps: int = 200, client: Client | None = None
) -> list[Running]:
    """Start them, step them, and say with what each of them ran."""
    engines = sorted({each.engine for each in simulators})
    mine = [f"{name} {own(name)}" for name in ("numpy", "gymnasium", *engines)]
    print(f"this program: Python {platform.python_version()}, {', '.join(mine)}\n")
    with ExitStack() as stack:
        running = list(start(simulators, client or Client(lock=False), stack))
        seconds = step_in_turns(running, steps)
        head = ("env", "Python", "numpy", "gymnasium", "engine", "steps/s")
        rows = [each.row(took, steps) for each, took in zip(running, seconds, strict=True)]
        print(table([head, *rows]))
        print(f"\n{len(running)} envs, {steps} steps each, in turns")
    return running


if __name__ == "__main__":
    main()
