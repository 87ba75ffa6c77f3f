"""The cage for builds from source: network, but no home folder, no tokens, no cache of ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from envhub import settings
from envhub.isolation.sandbox import bubblewrap, machine
from envhub.isolation.sandbox.probe import Abilities, abilities

ROOM: Final = 8 << 30
"""Bytes that a build may write to its own /tmp, which lies in memory."""


def words(
    reads: Iterable[Path], writes: Sequence[Path], *, able: Abilities | None = None
) -> list[str]:
    """The words in front of a command that runs code of packages while it installs them.

    Args:
        reads: programs and folders that it needs; of a Python, everything that belongs to it.
        writes: folders that it may write to, beside its own `/tmp`.
        able: what this machine can do; it is looked at if not given.

    Returns:
        Nothing where there is no bubblewrap: the build has the user's rights then.
    """
    able = able or abilities()
    if not able.bubblewrap:
        return []
    argv = [*bubblewrap.alone(able.bubblewrap, root=able.root, network=True)]
    argv += bubblewrap.skeleton(ROOM)
    for path in machine.system(network=True, gpu=False):
        argv += ["--ro-bind", str(Path(path).resolve()), path]
    for path in machine.devices(gpu=False):
        argv += ["--dev-bind", path, path]
    for path in machine.outermost([*_all_of(reads), *settings.certificates()]):
        argv += ["--ro-bind", path, path]
    for path in machine.outermost(writes):
        argv += ["--bind", path, path]
    return [*argv, "--remount-ro", "/dev", "--remount-ro", "/", "--"]


def _all_of(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        yield from machine.pythons(path) if path.name.startswith("python") else [path]
