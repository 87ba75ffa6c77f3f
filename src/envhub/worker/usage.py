"""How much the processes of a cage take, all together."""

from __future__ import annotations

import contextlib
import os
from typing import List, NamedTuple, Optional, Tuple

LONGEST = 3000
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Budget(NamedTuple):
    """What a cage may take; 0 stands for: as much as there is.

    Attributes:
        memory: bytes of all its processes together.
        processes: how many, each thread counted, as the kernel's own limit does.
        scratch: the folder on disk that it writes to; empty if it has none.
        disk: bytes in that folder.
        files: how many files in it.
        reserve: bytes of memory and disk that must be left for all others.
    """

    memory: int = 0
    processes: int = 0
    scratch: str = ""
    disk: int = 0
    files: int = 0
    reserve: int = 0

    def excess(self, root: int) -> str:
        """What the descendants of a process take too much of, in words; empty if nothing."""
        pids, threads = family(root)
        if self.processes and threads > self.processes:
            return "it started more than {} processes and threads".format(self.processes)
        if self.memory and _memory(pids, self.memory) > self.memory:
            return "it used more than {} of memory".format(size_text(self.memory))
        if self.reserve and _available() < self.reserve:
            return "less than {} of memory was left".format(size_text(self.reserve))
        return self._excess_on_disk(pids) if self.scratch else ""

    def _excess_on_disk(self, pids: List[int]) -> str:
        size, files = weigh(self.scratch, self.files)
        size += sum(_nameless(pid, os.stat(self.scratch).st_dev) for pid in pids)
        if self.disk and size > self.disk:
            return "it wrote more than {}".format(size_text(self.disk))
        if self.files and files > self.files:
            return "it wrote more than {} files".format(self.files)
        with contextlib.suppress(OSError):
            disk = os.statvfs(self.scratch)
            if disk.f_bavail * disk.f_frsize < self.reserve:
                return "less than {} of the disk was left".format(size_text(self.reserve))
        return ""


def family(root: int) -> Tuple[List[int], int]:
    """All processes below one, wherever they were started from, and how many threads they have."""
    found: List[int] = []
    waiting = [root]
    threads = 0
    while waiting:
        tasks = _tasks(waiting.pop())
        threads += len(tasks)
        children = [pid for task in tasks for pid in _children(task)]
        found += children
        waiting += children
    return found, threads - 1


def _tasks(pid: int) -> List[str]:
    folder = "/proc/{}/task".format(pid)
    try:
        return ["{}/{}".format(folder, name) for name in os.listdir(folder)]
    except OSError:  # it has ended
        return []


def _children(task: str) -> List[int]:
    try:
        with open(task + "/children") as names:
            return [int(name) for name in names.read().split()]
    except OSError:  # as above
        return []


def _memory(pids: List[int], enough: int) -> int:
    """Bytes of memory of some processes.

    What they share is first counted for each, which is quick; only where that would be too much,
    each is asked for its own share, which is not.
    """
    quick = sum(_resident(pid) for pid in pids)
    return quick if quick <= enough else sum(_share(pid) for pid in pids)


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError), open("/proc/{}/statm".format(pid)) as numbers:
        return int(numbers.read().split()[1]) * PAGE
    return 0


def _share(pid: int) -> int:
    with contextlib.suppress(OSError), open("/proc/{}/smaps_rollup".format(pid)) as lines:
        for line in lines:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(pid)


def _available() -> int:
    with open("/proc/meminfo") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 62


def weigh(folder: str, most: int) -> Tuple[int, int]:
    """Bytes and number of files below a folder.

    It stops counting where there are more than `most`, and takes what cannot be looked into, or
    lies deeper than a path can say, for too many.
    """
    size = files = 0
    waiting = [folder]
    while waiting and (not most or files <= most):
        path = waiting.pop()
        entries = _entries(path)
        if entries is None or len(path) > LONGEST:
            return size, most + 1
        files += len(entries)
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                size += entry.stat(follow_symlinks=False).st_blocks * 512
        waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return size, files


def _entries(path: str, *, again: bool = True) -> "Optional[List[os.DirEntry[str]]]":
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError:
        if not again:
            return None
        with contextlib.suppress(OSError):  # its own folders can be closed to us, but not for long
            os.chmod(path, 0o700)
        return _entries(path, again=False)


def _nameless(pid: int, disk: int) -> int:
    """Bytes of files on a disk that a process has open, and that were deleted."""
    size = 0
    with contextlib.suppress(OSError), os.scandir("/proc/{}/fd".format(pid)) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                told = entry.stat()
                size += 0 if told.st_nlink or told.st_dev != disk else told.st_blocks * 512
    return size


def size_text(size: int) -> str:
    """A size in words."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return "{:.4g} {}".format(size / unit, name)
    return "{} bytes".format(size)
