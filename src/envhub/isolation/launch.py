"""How the program of a host is started: one value, which a sandbox may change before it is."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import envhub.worker
from envhub import settings
from envhub.isolation.world import World

PROGRAM = Path(envhub.worker.__file__).parent


@dataclass(frozen=True, slots=True)
class Launch:
    """The program of a host, as it will be started.

    Attributes:
        world: under which Python, with which packages and permissions.
        reads: folders that it must be able to read, beside those of the world.
        folder: a folder of its own, with `home` and `tmp` in it; it is gone when the host is.
        before: the words of the command line in front of the interpreter's, like those of `bwrap`.
        told: what `worker.zygote.main` is told; `lockdown` in it goes to `worker.lockdown.apply`
            before any package can be imported.
        variables: environment variables to set, or to take out where the value is `None`.
        ending: the signal that ends it, and all that it has started.
    """

    world: World
    reads: tuple[Path, ...]
    folder: Path
    before: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)
    ending: int = signal.SIGKILL

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line."""
        python = (str(self.world.python), "-I", "-S", str(PROGRAM))
        return (*self.before, *python, "zygote", json.dumps(dict(self.told)))


Fence = Callable[[Launch], Launch]
"""What a sandbox is to this package: it puts itself between us and the program."""


def no_fence(launch: Launch) -> Launch:
    """Nothing in between: a process of its own, with the user's rights."""
    return launch


def prepare(world: World, reads: tuple[Path, ...]) -> Launch:
    """A launch with a folder of its own, and an environment in which there are no secrets."""
    folder = Path(tempfile.mkdtemp(prefix="envhub-"))
    own = {"HOME": folder / "home", "TMPDIR": folder / "tmp"}
    for path in own.values():
        path.mkdir()
    variables = settings.worker_environ(
        {**{name: str(path) for name, path in own.items()}, **world.variables}
    )
    told = {"folder": str(folder), "packages": [str(path) for path in world.packages]}
    return Launch(world, reads, folder, told=told, variables=variables)
