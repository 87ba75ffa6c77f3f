"""May this process be forked?"""

from __future__ import annotations

import os
import sys
import threading
from typing import List

from .birth import loaded_libraries

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


def dangers() -> List[str]:
    """Why this process should not be forked, nothing if it may be: looked at, not guessed."""
    found = [name for name in _threads() if name]
    names = [path.rpartition("/")[2] for path in loaded_libraries()]
    for part, what in UNFORKABLE.items():
        if what not in found and any(part in name for name in names):
            found.append(what)
    return found


def children() -> List[int]:
    """The processes that this one, or what it started, has started and not waited for."""
    if sys.platform != "linux":
        return []
    tasks = os.listdir("/proc/self/task")
    return [pid for task in tasks for pid in _started_by(task)]


def _started_by(task: str) -> List[int]:
    try:
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # that thread has ended, or this kernel does not tell
        return []


def _threads() -> List[str]:
    here = threading.current_thread()
    return [f"thread {thread.name!r}" for thread in threading.enumerate() if thread is not here]
