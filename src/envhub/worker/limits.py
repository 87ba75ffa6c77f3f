"""How much a process may take: memory, processes, files; and who goes first when it is short."""

from __future__ import annotations

import contextlib
import resource
from typing import Mapping

BY_NAME = {
    "address_space": resource.RLIMIT_AS,
    "file_size": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
    "core": resource.RLIMIT_CORE,
    "processes": getattr(resource, "RLIMIT_NPROC", -1),
}


def limit(wanted: Mapping[str, int]) -> None:
    """Lower the limits of this process and of all that it starts; they never rise again.

    Args:
        wanted: numbers by the names of `BY_NAME`; one above what already holds changes nothing.

    Raises:
        OSError: the kernel does not take one.
    """
    for name, number in wanted.items():
        which = BY_NAME[name]
        _, hard = resource.getrlimit(which)
        value = number if hard == resource.RLIM_INFINITY else min(number, hard)
        try:
            resource.setrlimit(which, (value, value))
        except ValueError as error:
            raise OSError(str(error)) from error


def first_to_go() -> None:
    """When the machine runs out of memory, let the kernel end this process before any other."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
