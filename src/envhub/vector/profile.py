"""The pace of envs, measured in their first steps and kept for the next time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envhub import disk
from envhub.errors import StoreError
from envhub.settings import Settings

FOLDER = "profiles"
STEPS = ("cpu", "uneven", "wait")

# A shard whose processor rests for more than this share of a step waits for something.
WAITS_BELOW = 0.5

# Steps shorter than this, in seconds, are over before it matters that another one is not.
UNEVEN_FROM = 0.3e-3

# The spread of step times, relative to their mean, from which envs wait for each other.
UNEVEN_SPREAD = 0.5


@dataclass(frozen=True)
class Pace:
    """How long the steps of some envs take.

    Attributes:
        seconds: of one env's step, on average.
        busy: the share of it that the processor worked.
        spread: the standard deviation of a shard's step, relative to its mean.
    """

    seconds: float
    busy: float
    spread: float

    @property
    def step(self) -> str:
        """The hint that fits: "cpu", "uneven" or "wait"."""
        if self.busy < WAITS_BELOW:
            return "wait"
        return "uneven" if self.seconds > UNEVEN_FROM and self.spread > UNEVEN_SPREAD else "cpu"


def pace_of(measured: Sequence[Sequence[float]], envs_per_worker: float) -> Pace:
    """The pace of envs from what their workers measured.

    Args:
        measured: for each worker: steps, seconds, seconds of processor, squares of seconds.
        envs_per_worker: envs of a shard, on average.
    """
    steps, seconds, busy, squares = (sum(column) for column in zip(*measured, strict=True))
    mean = seconds / steps
    variance = max(0.0, squares / steps - mean * mean)
    spread = math.sqrt(variance * envs_per_worker) / mean if mean else 0.0
    return Pace(mean / envs_per_worker, busy / seconds if seconds else 1.0, spread)


class Keeper:
    """Gathers what the workers of a vector env measured, and keeps it when all have told.

    Args:
        name: of the profile; `None` keeps nothing.
        num_envs: how many envs.
        num_workers: how many workers.
    """

    def __init__(self, name: str | None, num_envs: int, num_workers: int) -> None:
        self._name = name
        self._share = num_envs / num_workers
        self._missing = num_workers
        self._measured: list[Sequence[float]] = []

    def note(self, measured: Sequence[float]) -> None:
        """Add what one worker measured."""
        self._measured.append(measured)
        self._missing -= 1
        if self._name is not None and self._missing == 0:
            with contextlib.suppress(StoreError):  # a cache that cannot be written is no harm
                save(self._name, pace_of(self._measured, self._share))


def load(name: str, home: Path | None = None) -> str | None:
    """The hint that was kept under a name, if there is one.

    Args:
        name: of the profile, like a pin.
        home: folder of the cache, by default the user's.
    """
    try:
        told = json.loads(_path(name, home).read_text())
    except (OSError, ValueError):  # no profile, or no readable one, is no harm
        return None
    step = told.get("step") if isinstance(told, dict) else None
    return step if step in STEPS else None


def save(name: str, pace: Pace, home: Path | None = None) -> None:
    """Keep the pace of envs under a name."""
    told = {"name": name, "step": pace.step, **vars(pace)}
    disk.write(_path(name, home), json.dumps(told).encode())


def _path(name: str, home: Path | None) -> Path:
    home = home or Settings.from_environ().home
    return home / FOLDER / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
