"""How much a cage may take of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
MIB = 1 << 20


def _physical() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True, slots=True)
class Quota:
    """What the processes of one host may take, all together if nothing else is said.

    Attributes:
        memory: bytes of memory, looked at five times a second; 0 means three quarters of the
            machine's.
        address_space: bytes that one process may reserve; 0 means twice the machine's memory. Not
            in force with a GPU or JAX, which reserve far more than they use.
        processes: how many, each thread counted.
        disk: bytes of files; in a cage with folders of its own they lie in memory.
        files: how many files on disk.
        file_size: bytes of one file.
        open_files: how many one process may have open.
        reserve: bytes of memory and of disk that must be left for everybody else.
    """

    memory: int = 0
    address_space: int = 0
    processes: int = 1024
    disk: int = GIB
    files: int = 50_000
    file_size: int = GIB
    open_files: int = 4096
    reserve: int = 128 * MIB

    @property
    def all_memory(self) -> int:
        """Bytes of memory of all processes."""
        return self.memory or _physical() * 3 // 4

    def limits(self, *, counted: bool, reserving: bool) -> dict[str, int]:
        """What the worker's `limits.limit` is told.

        Args:
            counted: whether the kernel counts the cage's processes apart from the user's others.
            reserving: whether something in it reserves memory that it does not use.
        """
        told = {"file_size": self.file_size, "open_files": self.open_files, "core": 0}
        if counted:
            told["processes"] = self.processes
        if not reserving:
            told["address_space"] = self.address_space or 2 * _physical()
        return told


def reserves(packages: Iterable[Path]) -> bool:
    """Whether JAX is among some packages: it reserves address space far beyond any limit."""
    return any((folder / "jaxlib").is_dir() for folder in packages)
