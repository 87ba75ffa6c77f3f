"""Inline: the env's code runs in the caller's own process, as LeRobot does it.

`.envs[0].unwrapped` of a `SyncVectorEnv` is the env itself, and everything that the env's code does
to the process is done to the caller's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gymnasium.vector import AsyncVectorEnv

from envhub.fetch import Source
from envhub.isolation.base import Tasks, translating
from envhub.vector.options import Options
from envhub.worker import repos
from envhub.worker.call import Request
from envhub.worker.collect import Collector
from envhub.worker.normalise import Maker

ASYNCHRONOUS = AsyncVectorEnv
"""What is built where the repo's code says `gymnasium.vector.AsyncVectorEnv`, if nobody chooses."""


@dataclass(frozen=True, slots=True)
class Inline:
    """The level `inline`.

    Attributes:
        asynchronous: the class to build where the repo's code says `AsyncVectorEnv`.
        vector: how its workers run, if it is ours.
    """

    asynchronous: type[AsyncVectorEnv[Any, Any]] = ASYNCHRONOUS
    vector: Options | None = None

    def make(self, source: Source, request: Request) -> Tasks:
        """See `envhub.isolation.base.Isolation`."""
        repo = repos.open_repo(place_of(source))
        with translating():
            collector = Collector(repo, self.asynchronous, translating)
            collector.more = {} if self.vector is None else asdict(self.vector)
            return Maker(collector, request).make()


def place_of(source: Source) -> repos.Place:
    """What the loader needs to know of a source."""
    pin = source.pin
    return repos.Place(
        root=str(source.root.resolve()),
        entry=pin.path,
        repo=pin.repo,
        repo_type=pin.repo_type,
        hub=pin.hub,
        version=pin.version,
        bytecode=str(source.bytecode or ""),
    )
