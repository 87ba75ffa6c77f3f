"""What lives in the caller's process: may it be forked, and how many cores may it use?"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from envhub.worker.birth import loaded_libraries

# Libraries whose threads, locks or contexts do not survive a fork, by a part of their file name.
UNFORKABLE = {
    "libtorch": "torch",
    "libjax": "jax",
    "xla_extension": "jax",
    "libtensorflow": "tensorflow",
    "libcuda.": "CUDA",
    "libEGL": "EGL",
    "libGLX": "GLX",
    "libOSMesa": "OSMesa",
    "libvulkan": "Vulkan",
}

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def dangers() -> list[str]:
    """Why this process should not be forked, nothing if it may be: looked at, not guessed."""
    found = [name for name in _threads() if name]
    names = [path.rpartition("/")[2] for path in loaded_libraries()]
    for part, what in UNFORKABLE.items():
        if what not in found and any(part in name for name in names):
            found.append(what)
    return found


def _threads() -> list[str]:
    here = threading.current_thread()
    return [f"thread {thread.name!r}" for thread in threading.enumerate() if thread is not here]


def cores() -> int:
    """How many cores this process may use: its affinity, and the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(count or 1, _quota() or count or 1))


def _quota() -> int | None:
    try:
        quota, period = CPU_MAX.read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return None
