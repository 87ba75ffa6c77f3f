"""The memory that a vector env shares with its workers: a sealed memfd, or an unlinked file.

The seals matter: without them a worker could shrink the block, and the client would die of SIGBUS
at its next look.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile

# Python has these names since 3.9 only.
F_ADD_SEALS = 1033
F_SEAL_SEAL = 1
F_SEAL_SHRINK = 2
F_SEAL_GROW = 4


def create() -> int:
    """A new block without a size yet: a file descriptor that no path leads to."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("envhub", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fd, path = tempfile.mkstemp(prefix="envhub-")
    os.unlink(path)
    return fd


def give_size(fd: int, size: int) -> None:
    """Give the block its size, for ever: nobody can change it afterwards."""
    os.ftruncate(fd, size)
    if sys.platform == "linux":
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)


def map_memory(fd: int, size: int) -> mmap.mmap:
    """The block as memory of this process, writable.

    It is never closed by hand: it lives as long as an array looks at it.

    Raises:
        ValueError: the block is smaller than `size` bytes.
    """
    if os.fstat(fd).st_size < size:
        raise ValueError(f"the shared block has {os.fstat(fd).st_size} bytes, not {size}")
    return mmap.mmap(fd, size)
