"""The cage for builds from source: network, but no home folder, no tokens, no cache of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from envhub import settings
from envhub.interpreters import own
from envhub.isolation.launch import PROGRAM
from envhub.isolation.sandbox import bubblewrap, machine
from envhub.isolation.sandbox.probe import Abilities, abilities
from envhub.worker import landlock, seccomp

ROOM: Final = 8 << 30
"""Bytes that a build may write to its own /tmp, which lies in memory."""


def words(
    reads: Iterable[Path], writes: Sequence[Path], *, able: Abilities | None = None
) -> list[str]:
    """The words in front of a command that runs code of packages while it installs them.

    Args:
        reads: programs and folders that it needs; of a Python, everything that belongs to it.
        writes: folders that it may write to; in a cage of namespaces it has its own `/tmp`, too.
        able: what this machine can do; it is looked at if not given.

    Returns:
        Nothing where there is neither: the build has the user's rights then.
    """
    able = able or abilities()
    needed = [*_all_of(reads), *settings.certificates()]
    if able.bubblewrap:
        return _in_namespaces(needed, writes, able)
    return _on_disk(needed, writes) if able.seccomp and able.landlock >= landlock.OLDEST else []


def _in_namespaces(needed: Sequence[Path], writes: Sequence[Path], able: Abilities) -> list[str]:
    argv = [*bubblewrap.alone(able.bubblewrap, root=able.root, network=True)]
    argv += bubblewrap.skeleton(ROOM)
    for path in machine.system(network=True, gpu=False):
        argv += ["--ro-bind", str(Path(path).resolve()), path]
    for path in machine.devices(gpu=False):
        argv += ["--dev-bind", path, path]
    for path in machine.outermost(needed):
        argv += ["--ro-bind", path, path]
    for path in machine.outermost(writes):
        argv += ["--bind", path, path]
    return [*argv, "--remount-ro", "/dev", "--remount-ro", "/", "--"]


def _on_disk(needed: Sequence[Path], writes: Sequence[Path]) -> list[str]:
    own_folders = machine.outermost(writes)
    orders = {
        "landlock": {
            "read": [
                *machine.SYSTEM,
                *machine.PROC,
                "/proc/self",
                *machine.system(network=True, gpu=False),
                *machine.outermost(needed),
                *own_folders,  # a build runs what it has compiled
            ],
            "write": own_folders,
            "devices": machine.devices(gpu=False),
            "tcp": True,
            "scope": True,
        },
        "seccomp": {
            "families": [seccomp.INET, seccomp.INET6, seccomp.NETLINK],
            "namespaces": False,
        },
    }
    return [str(own().path), "-I", "-S", str(PROGRAM), "confined", json.dumps(orders)]


def _all_of(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        yield from machine.pythons(path) if path.name.startswith("python") else [path]
