"""A program for test_venvs: build a venv from many processes, or from processes that are killed.

python building.py together <home> <lock> <how many>
python building.py killed   <home> <lock> <how often> <seed>
"""

from __future__ import annotations

import ctypes
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from envhub import venvs
from envhub.interpreters import own
from envhub.requirements import LockedRequirements
from envhub.uvprogram import Uv


def say(*words: object) -> None:
    """Print a line in one piece, whoever else is printing."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


def in_child(work: Callable[[], object]) -> int:
    """Do something in a process of its own; its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> int:
    """The exit status of a child, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def together(home: Path, locked: LockedRequirements, count: int) -> None:
    """Build in `count` processes that start at the same moment; say who built, and what."""
    start, go = os.pipe()

    def work() -> None:
        os.close(go)
        os.read(start, 1)  # returns when the last one can write no more: now
        logging.basicConfig(stream=sys.stdout, level="INFO", format="%(message)s")
        venv = venvs.build(locked, own(), Uv(home))
        say("venv", venv.path, venvs.health(venv))

    children = [in_child(work) for _ in range(count)]
    os.close(go)
    say("ended", [ended(child) for child in children])


def killed(home: Path, locked: LockedRequirements, trials: int, seed: int) -> None:
    """Kill builders at random times, but not their uv; nobody ever sees half a venv."""
    adopt_orphans()
    begin = time.monotonic()
    whole = contents(venvs.build(locked, own(), Uv(home / "whole")))
    duration = time.monotonic() - begin
    random_ = random.Random(seed)
    uv = Uv(home / "killed")
    venv = venvs.find(locked, own(), uv.home)
    died = 0
    while died < trials:  # some end before their time
        child = in_child(lambda: venvs.build(locked, own(), uv))
        timer = threading.Timer(random_.uniform(0, duration), os.kill, (child, signal.SIGKILL))
        timer.start()
        died += ended(child) == -signal.SIGKILL
        timer.cancel()
        timer.join()
        if not venvs.health(venv):
            assert contents(venv) == whole
            venvs.remove(venv.key, uv.home)
    assert contents(venvs.build(locked, own(), uv)) == whole
    assert venvs.changes(venv) == ()
    wait_for_orphans()
    say("killed", died)


def adopt_orphans() -> None:
    """Be the parent of the uv of killed builders; elsewhere than on Linux, somebody else is."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def wait_for_orphans() -> None:
    """Return when the last uv of a killed builder has ended."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def contents(venv: venvs.Venv) -> set[str]:
    """The files of a venv, without its own folder's name."""
    return {path.relative_to(venv.path).as_posix() for path in venv.path.rglob("*")}


def main(what: str, home: str, lock: str, *rest: str) -> None:
    locked = msgspec.json.decode(Path(lock).read_bytes(), type=LockedRequirements)
    actions: dict[str, Callable[..., None]] = {"together": together, "killed": killed}
    actions[what](Path(home), locked, *map(int, rest))


if __name__ == "__main__":
    main(*sys.argv[1:])
