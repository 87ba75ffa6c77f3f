"""What a test leaves behind: processes, sockets and shared memory. Linux only; elsewhere nothing.

Things that the standard library keeps for its own use are not counted: multiprocessing's resource
tracker and fork server, its pool of shared memory, and named semaphores.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_SHM = Path("/dev/shm")  # noqa: S108 - looked at, not written to
_PATIENCE = 3.0  # seconds for what is just ending
_OURS = re.compile(r"multiprocessing[./](resource_tracker|forkserver)")
_POOLED = re.compile(r"(^|/)(pym|sem\.)")
_SHARED = re.compile(r"\d+:\d+ (\d+) +(/memfd:.*|/dev/shm/.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Inventory:
    """What there is at a moment.

    Attributes:
        pids: all processes of the machine.
        sockets: open sockets of this process, as the kernel names them.
        maps: shared memory mapped or held open by this process: inode and name.
        segments: names in `/dev/shm`.
    """

    pids: frozenset[int]
    sockets: frozenset[str]
    maps: frozenset[tuple[str, str]]
    segments: frozenset[str]


def take() -> Inventory:
    """Look around."""
    if not (_PROC / "self" / "fd").is_dir():
        return Inventory(frozenset(), frozenset(), frozenset(), frozenset())
    links = set(_links())
    maps = {found.groups() for found in _SHARED.finditer((_PROC / "self" / "maps").read_text())}
    held = {(link, link) for link in links if link.startswith("/memfd:")}
    return Inventory(
        pids=frozenset(_pids()),
        sockets=frozenset(link for link in links if link.startswith("socket:")),
        maps=frozenset((inode, name) for inode, name in maps if not _POOLED.search(name)) | held,
        segments=frozenset(p.name for p in _SHM.iterdir() if not _POOLED.search(p.name)),
    )


def wait_for_leaks(before: Inventory, mark: str) -> list[str]:
    """What is there now that was not before, in words; leaked processes are killed.

    What is just ending is given a moment; what only waits for the garbage collector is collected.

    Args:
        before: taken when the test began.
        mark: an entry of the environment that the test's processes were born with.
    """
    deadline = time.monotonic() + _PATIENCE
    while found := _find(before, mark):
        gc.collect()
        if session := sys.modules.get("huggingface_hub.utils._http"):
            session.close_session()  # it keeps connections for the next request
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)  # no event tells that a stranger's thread or process has ended
    for pid in _leaked_pids(before, mark):
        if _is_surely_ours(pid, mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return found


def _find(before: Inventory, mark: str) -> list[str]:
    now = take()
    found = [f"process {pid}: {_words(pid)}" for pid in _leaked_pids(before, mark)]
    found += sorted(now.sockets - before.sockets)
    found += sorted(f"shared memory {name}" for _, name in now.maps - before.maps)
    found += [
        f"shared memory file {_SHM / name}"
        for name in sorted(now.segments - before.segments)
        if not _is_used_elsewhere(name)
    ]
    return found


def _leaked_pids(before: Inventory, mark: str) -> list[int]:
    new = sorted(set(_pids()) - before.pids)
    ours = (pid for pid in new if _is_surely_ours(pid, mark) or _is_probably_ours(pid))
    return [pid for pid in ours if not _OURS.search(_words(pid))]


def _is_surely_ours(pid: int, mark: str) -> bool:
    """Whether a process descends from this one, or was born with the mark of the test."""
    family = list(_ancestors(pid))
    return os.getpid() in family[1:] or bool(family and mark.encode() in _environ(pid))


def _is_probably_ours(pid: int) -> bool:
    """Whether it is an orphan of our session, with an environment that tells no test."""
    with suppress(OSError):
        orphan = list(_ancestors(pid))[1:] == [1] and os.getsid(pid) == os.getsid(0)
        return orphan and b"ENVHUB_TEST=" not in _environ(pid)
    return False  # it ended just now


def _environ(pid: int) -> bytes:
    with suppress(OSError):
        return (_PROC / str(pid) / "environ").read_bytes()
    return b""


def _ancestors(pid: int) -> Iterator[int]:
    """The process, its parent, and so on; nothing if it has ended."""
    while pid > 0:
        try:
            stat = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return
        if stat[0] in {"Z", "X"}:
            return
        yield pid
        pid = int(stat[1])


def _is_used_elsewhere(name: str) -> bool:
    """Whether the segment is another program's, which happens to run at the same time."""
    needle = f"{_SHM}/{name}".encode()
    for pid in _pids():
        if pid == os.getpid():
            continue
        with suppress(OSError):
            if needle in (_PROC / str(pid) / "maps").read_bytes():
                return True
    return False


def _pids() -> Iterator[int]:
    return (int(path.name) for path in _PROC.iterdir() if path.name.isdigit())


def _links() -> Iterator[str]:
    for path in (_PROC / "self" / "fd").iterdir():
        with suppress(OSError):
            yield str(path.readlink())


def _words(pid: int) -> str:
    with suppress(OSError):
        line = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")
        return line.decode(errors="replace").strip()
    return "?"
