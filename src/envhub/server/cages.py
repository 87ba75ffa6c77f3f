"""What a process has, and an end to the sandboxes that it has started, with all that is in them.

Their keeper would do it, too, but has to share the processor with whatever is in them, which may be
a bomb of processes. With the first process of a namespace the kernel ends all others.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_NAME: Final = "bwrap"


def end(pid: int) -> None:
    """End all namespaces below a process; where there are none, its keepers do what is needed."""
    for cage in _cages(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(cage, signal.SIGKILL)


def memory(pid: int) -> int:
    """Bytes of memory that a process has; 0 if that is not known."""
    try:
        pages = (_PROC / str(pid) / "statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _cages(pid: int) -> Iterator[int]:
    children: dict[int, list[tuple[int, str]]] = {}
    for path in _PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            before, _, after = path.read_text(errors="replace").rpartition(")")
            number, _, name = before.partition(" (")
            children.setdefault(int(after.split()[1]), []).append((int(number), name))
    waiting = [pid]
    while waiting:
        for child, name in children.get(waiting.pop(), ()):
            if name == _NAME:
                yield child
            else:
                waiting.append(child)
