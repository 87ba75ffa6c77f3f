"""How many cores and how much memory may the caller's process use?"""

from __future__ import annotations

import os
from pathlib import Path

MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """How many cores this process may use: its affinity, and the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(count or 1, _quota() or count or 1))


def memory() -> int:
    """How many bytes of memory this process may use: the machine's, and its container's limit."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(size, int(MEMORY_MAX.read_text()))
    except (OSError, ValueError):  # no such file, or "max"
        return size


def _quota() -> int | None:
    try:
        quota, period = CPU_MAX.read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return None
