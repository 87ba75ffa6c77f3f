"""The first things that a worker process does: signals, death with its parent, threads."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
from typing import Any, Callable, Iterator, List

from . import lastwords

PR_SET_PDEATHSIG = 1

# What sets the number of threads in the libraries that numpy and its friends bring.
THREAD_SETTERS = (
    "openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
    "MKL_Set_Num_Threads",
    "omp_set_num_threads",
)
_seen: List[str] = []

THREAD_LIBRARIES = ("openblas", "mkl_rt", "libgomp", "libiomp", "libomp")


def begin(log_fd: int, parent: int, *, die_with_parent: bool) -> None:
    """Become a worker.

    Args:
        log_fd: the file that keeps what this process prints, see `lastwords`.
        parent: the process id of the client.
        die_with_parent: be killed when the thread that started this process ends. Without it, the
            closed doorbell ends a worker, but not one that hangs.
    """
    prepare()
    if die_with_parent:
        follow(lambda: os.getppid() != parent)
    lastwords.begin(log_fd)


def prepare() -> None:
    """Set the signals of a worker."""
    # The terminal sends ^C to the whole group; what it means is the client's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def follow(is_gone: Callable[[], bool]) -> None:
    """Be killed when the thread that started this process ends.

    Args:
        is_gone: whether that has happened before this was called.
    """
    if prctl(PR_SET_PDEATHSIG, signal.SIGKILL) and is_gone():
        os._exit(1)


def prctl(option: int, value: int) -> bool:
    """Set an attribute of this process, where there are such; whether there are."""
    if sys.platform != "linux":
        return False
    ctypes.CDLL(None).prctl(option, value)
    return True


def after_fork(threads: int) -> None:
    """What a forked worker cannot have from its environment, because its libraries are loaded.

    Args:
        threads: how many threads BLAS and OpenMP may use here; 0 leaves it as it is.
    """
    gc.freeze()  # the caller's objects stay shared, instead of being copied by a collection
    signal.set_wakeup_fd(-1)
    if threads:
        limit_threads(threads)


def limit_threads(count: int) -> None:
    """Set the number of threads of the numeric libraries that are loaded in this process."""
    for library in _thread_libraries():
        if not _limit_openblas(library, count):
            for name in THREAD_SETTERS:
                setter: Any = getattr(library, name, None)
                if setter is not None:
                    setter(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def _limit_openblas(library: ctypes.CDLL, count: int) -> bool:
    """Lower OpenBLAS's own number; its setter would first start, after a fork, all the threads.

    Each of those spins for 30 ms before it sleeps, on a core that the envs want.
    """
    try:
        number = ctypes.c_int.in_dll(library, "blas_cpu_number")
    except ValueError:  # another library, or an OpenBLAS that hides it
        return False
    if number.value >= count:
        number.value = count
    return number.value == count


def _thread_libraries() -> Iterator[ctypes.CDLL]:
    for path in loaded_libraries():
        if any(name in path.rpartition("/")[2] for name in THREAD_LIBRARIES):
            yield ctypes.CDLL(path)


def loaded_libraries() -> Iterator[str]:
    """The paths of the shared libraries in this process."""
    if sys.platform != "linux":
        return
    # In a sandbox a forked process may not look at itself; it has what its parent had.
    with contextlib.suppress(OSError), open(
        "/proc/self/maps", encoding="utf-8", errors="replace"
    ) as maps:
        paths = {line.rpartition(" ")[2].rstrip("\n") for line in maps}
        _seen[:] = sorted(path for path in paths if path.startswith("/") and ".so" in path)
    yield from _seen
