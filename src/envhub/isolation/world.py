"""The world of an env: under which Python its code runs, with which packages, told what."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envhub.interpreters import own
from envhub.permissions import Permissions


@dataclass(frozen=True, slots=True)
class World:
    """Where a repo's code runs, and under which rules.

    Attributes:
        python: the program of the base interpreter; that of a venv could have been put there by
            what was installed into it.
        packages: folders with packages. They are added by the worker itself, after it has given
            up its rights, because code in them may run as soon as they are added.
        level: `"process"` with the caller's packages, `"venv"` with packages of its own.
        variables: environment variables that are set before anything is imported.
        permissions: what the repo may do beside computing.
        startup_timeout: seconds that it may take until its envs are there.
        fork_safe: whether its processes may fork after the import; `None`: looked at.
        one_per_process: whether there may be only one env in a process.
        step: what a step does: `"cpu"`, `"uneven"`, `"wait"`; `None` if nobody said.
    """

    python: Path
    packages: tuple[Path, ...]
    level: str = "process"
    variables: Mapping[str, str] = field(default_factory=dict)
    permissions: Permissions = field(default_factory=Permissions)
    startup_timeout: float = 120.0
    fork_safe: bool | None = None
    one_per_process: bool = False
    step: str | None = None


def callers() -> World:
    """The caller's own Python and packages."""
    paths = sysconfig.get_paths()
    installed = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    folders = dict.fromkeys(map(Path, (paths["purelib"], paths["platlib"], *installed)))
    return World(own().path, tuple(folders))
