"""What a vector env can be told beside Gymnasium's arguments, checked once."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from envhub.errors import ArgumentError, ArgumentTypeError
from envhub.vector import caller, profile
from envhub.vector.profile import STEPS

ON_FAILURE = ("raise", "restart", "replay")

# Workers per core for steps that take unevenly long: one that is late holds up fewer envs.
UNEVEN_FACTOR = 4


@dataclass(frozen=True)
class Options:
    """The arguments of `AsyncVectorEnv` that Gymnasium does not have.

    Attributes:
        num_workers: worker processes; by default as `step` says.
        step: what a step does, if it is not in the profile: "cpu" computes (a worker per core, the
            default), "uneven" computes, now and then much longer (up to 4 workers per core),
            "wait" waits for something else, like a robot or a remote simulator (one per env).
        batch_size: how many envs `recv` answers for; by default all.
        on_worker_failure: "raise" an error; "restart": build the worker's envs again and report
            their episodes as truncated; "replay": bring them back to where they were.
        max_restarts: failures of one worker in a row, with no step between, that end in an error.
        step_timeout: seconds that a step may take.
        reset_timeout: seconds that a reset may take.
        start_timeout: seconds that building a worker's envs may take.
        start_method: "auto", "exec", "fork", "forkserver" or "spawn".
        threads: how many threads BLAS and OpenMP may use in a worker; 0 leaves them as they are.
        profile: the name under which the pace of these envs is kept, like a pin. Their first steps
            are measured for it, and `step` comes from it the next time.

    Raises:
        ArgumentError: a value that cannot work.
    """

    num_workers: int | None = None
    step: str | None = None
    batch_size: int | None = None
    on_worker_failure: str = "raise"
    max_restarts: int = 3
    step_timeout: float | None = None
    reset_timeout: float | None = None
    start_timeout: float | None = 300.0
    start_method: str = "auto"
    threads: int = 1
    profile: str | None = None

    def __post_init__(self) -> None:
        _one_of("step", self.step, (None, *STEPS))
        _one_of("on_worker_failure", self.on_worker_failure, ON_FAILURE)
        _count("num_workers", self.num_workers, 1)
        _count("batch_size", self.batch_size, 1)
        _count("max_restarts", self.max_restarts, 0)
        _count("threads", self.threads, 0)
        for name in ("step_timeout", "reset_timeout", "start_timeout"):
            _seconds(name, getattr(self, name))

    @property
    def recovers(self) -> bool:
        """Whether a failed worker is replaced."""
        return self.on_worker_failure != "raise"

    @property
    def call_timeout(self) -> float | None:
        """Seconds that a call may take: as long as a reset or a step, whichever is longer."""
        given = [time for time in (self.step_timeout, self.reset_timeout) if time is not None]
        return max(given, default=None)

    def profiled(self, name: str) -> Options:
        """The same, with a profile of that name if nothing else says how many workers to start."""
        if self.num_workers or self.step or self.profile:
            return self
        return dataclasses.replace(self, profile=name)

    def workers_for(self, num_envs: int, limit: int | None = None) -> int:
        """How many workers to start for so many envs, `limit` at most."""
        wanted = self.num_workers or self._by_step(num_envs)
        count = max(1, min(wanted, num_envs, limit or num_envs))
        if self.num_workers or self.batch_size is None:
            return count
        return self._whole_batches(count, num_envs)

    def _whole_batches(self, least: int, num_envs: int) -> int:
        """So many workers or a few more, so that some of them make up a batch."""
        counts = (count for count in range(least, num_envs + 1) if num_envs % count == 0)
        batch = self.batch_size or num_envs
        return next((count for count in counts if batch % (num_envs // count) == 0), num_envs)

    def _by_step(self, num_envs: int) -> int:
        step = self.step or (self.profile and profile.load(self.profile)) or "cpu"
        if step == "wait":
            return num_envs
        cores = caller.cores()
        return cores * UNEVEN_FACTOR if step == "uneven" else cores


def split(num_envs: int, num_workers: int) -> list[tuple[int, int]]:
    """The envs [lo, hi) of each worker, as evenly as can be."""
    bounds = [num_envs * worker // num_workers for worker in range(num_workers + 1)]
    return list(itertools.pairwise(bounds))


def _one_of(name: str, value: object, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        raise ArgumentError(
            f"{name}={value!r} is unknown", hint=f"one of {', '.join(map(repr, allowed))}"
        )


def _count(name: str, value: object, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}={value!r} is no whole number")
    if value < least:
        raise ArgumentError(f"{name}={value} is less than {least}")


def _seconds(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name}={value!r} is no number of seconds")
    if not value > 0:
        raise ArgumentError(f"{name}={value} is not more than 0 seconds")
