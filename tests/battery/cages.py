"""Runs attacks: without a cage, in a process of its own, and in each cage of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tests.battery.arena import Arena
from tests.battery.attacks import Attack

from envhub.errors import EnvHubError
from envhub.fetch import Source, fetch
from envhub.hubs.local import LocalFolder
from envhub.isolation.process import Process
from envhub.isolation.sandbox import cage, levels, probe
from envhub.isolation.sandbox.cage import Cage
from envhub.isolation.sandbox.quota import MIB, Quota
from envhub.isolation.world import World, callers
from envhub.refs import parse
from envhub.resolve import resolve
from envhub.store import Store
from envhub.vector.options import Options
from envhub.worker import usage
from envhub.worker.call import Request

QUOTA = Quota(
    memory=300 * MIB,
    address_space=8 << 30,
    processes=96,
    disk=32 * MIB,
    files=1000,
    file_size=16 * MIB,
    open_files=512,
    reserve=MIB,
)
BOMB = {"bomb": 400, "memory": 700 * MIB, "disk": 96 * MIB, "files": 4000}
PACKAGES = (Path(np.__file__).parents[1],)
"""Ours, wherever they are, since another user may run under another Python."""

LASTING = 1.0
"""Seconds after which too much is too long."""

_DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
import env
for line in sys.stdin:
    told = json.loads(line)
    print(json.dumps(env.attempt(told["attack"], told["arena"])), flush=True)
"""


class Place(Protocol):
    """Where an attack runs."""

    def attempt(self, name: str, told: dict[str, Any]) -> str:
        """Carry out an attack; what it brought home."""

    def close(self) -> None:
        """End it."""


class NoCage:
    """The way of today: the env is in the trainer's process, with all that the trainer has."""

    def __init__(self, arena: Arena) -> None:
        variables = {**os.environ, "HF_TOKEN": arena.secret, "TMPDIR": str(arena.tmp)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, str(arena.repo)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=variables,
            text=True,
            start_new_session=True,
        )

    def attempt(self, name: str, told: dict[str, Any]) -> str:
        """See `Place`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"attack": name, "arena": told}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return str(json.loads(line)) if line else "died"

    def close(self) -> None:
        """See `Place`; what it has started stays, as it does with a trainer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # as the end of the terminal would
        self._process.stdout.close()
        self._process.wait()


class Caged:
    """The env in a process of its own, in a cage."""

    def __init__(self, source: Source, world: World, fence: Cage) -> None:
        options = Options(step_timeout=20, reset_timeout=20, start_timeout=60)
        tasks = Process(world, options, fence).make(source, Request(1, False, None, {}))
        self._env = next(iter(next(iter(tasks.values())).values()))

    def attempt(self, name: str, told: dict[str, Any]) -> str:
        """See `Place`; a cage that ends is an answer, too."""
        try:
            _, info = self._env.reset(options={"attack": name, "arena": told})
        except EnvHubError as error:
            return f"ended: {error}"
        return str(info["loot"][0])

    def close(self) -> None:
        """See `Place`."""
        self._env.close()


@dataclass
class Sample:
    """What the processes of an attack take at a moment."""

    at: float
    threads: int
    memory: int
    disk: int
    files: int

    def excess(self, before: Sample) -> str:
        """What is too much."""
        if self.threads - before.threads > 2 * QUOTA.processes:
            return f"{self.threads} threads"
        if self.memory - before.memory > 1.5 * QUOTA.memory:
            return f"{self.memory >> 20} MiB of memory"
        if self.disk - before.disk > 1.5 * QUOTA.disk:
            return f"{self.disk >> 20} MiB of disk"
        if self.files - before.files > 2 * QUOTA.files:
            return f"{self.files} files"
        return ""


class Meter:
    """Looks, while an attack runs, at how much of the machine it takes."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._before = self._sample()
        self._over = threading.Event()
        self._found: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            sample = self._sample()
            if words := sample.excess(self._before):
                self._found.append((sample.at, words))

    def _sample(self) -> Sample:
        pids, threads = usage.family(os.getpid())
        if threads > QUOTA.processes:  # a bomb of another kind; looking closely takes long
            return Sample(time.monotonic(), threads, 0, 0, 0)
        memory = sum(usage._share(pid) for pid in pids)
        size, files = usage.weigh(str(self._arena.tmp), 100_000)
        filled = Path(f"/dev/shm/{self._arena.segment}-fill")
        size += filled.stat().st_size if filled.exists() else 0
        return Sample(time.monotonic(), threads, memory, size + _nameless(pids), files)

    def stop(self) -> list[str]:
        """What was too much for too long."""
        self._over.set()
        self._thread.join()
        if not self._found or self._found[-1][0] - self._found[0][0] < LASTING:
            return []
        return [self._found[-1][1]]


def _nameless(pids: list[int]) -> int:
    """Bytes of deleted files that are still open."""
    size = 0
    for fd in (fd for pid in pids for fd in _open_files(pid)):
        with contextlib.suppress(OSError):
            told = fd.stat()
            if not told.st_nlink and "memfd" not in str(fd.readlink()):
                size += told.st_blocks * 512
    return size


def _open_files(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has ended
        return []


class Battery:
    """Carries attacks out, in the arena, in every place.

    Args:
        arena: the targets.
    """

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self._hub = LocalFolder(arena.repo)
        self._store = Store(arena.cache)
        pin = resolve(parse(f"{arena.repo}:env.py"), self._hub, self._store)
        self.source = fetch(pin, self._hub, self._store)
        self._open: dict[str, Place] = {}
        self._tempdir = tempfile.tempdir
        tempfile.tempdir = str(arena.tmp)
        arena.remember()

    def close(self) -> None:
        """End all places."""
        while self._open:
            self._open.popitem()[1].close()
        tempfile.tempdir = self._tempdir

    def happened(self, attack: Attack, level: str) -> list[str]:
        """Carry out an attack; what it did, nothing if it was stopped."""
        told = self.arena.told(**BOMB)
        # A folder that is too deep counts as full; here it is only to be gone at the end.
        measured = attack.fresh and not attack.name.endswith("_folders")
        meter = Meter(self.arena) if measured else None
        place = self._place(level, again=attack.fresh)
        loot = place.attempt(attack.name, told)
        self.loot = loot
        found = self.arena.stolen(loot)
        if attack.fresh:
            place.close()
            del self._open[level]
            found += self._left_behind(attack, level)
        found += meter.stop() if meter else []
        found += self.arena.damage() + self.arena.heard() + self.arena.harm()
        if loot == "died" or loot.startswith("ended: "):
            self._open.pop(level, place).close()
        return found

    def _left_behind(self, attack: Attack, level: str) -> list[str]:
        found: list[str] = []
        for _ in range(10):  # who forks on is between two processes at times
            found = found or [f"process {pid}" for pid in self.arena.stragglers()]
        self.arena.forget_stragglers()
        rest = sorted(path.name for path in self.arena.tmp.iterdir())
        if rest and attack.name.endswith("_folders"):
            found.append(f"folder {rest[0]}")
        for path in self.arena.tmp.iterdir():
            subprocess.run(["rm", "-rf", path], check=False)
        return found

    def _place(self, level: str, *, again: bool) -> Place:
        if again and level in self._open:
            self._open.pop(level).close()
        if level not in self._open:
            self._open[level] = self._start(level)
        return self._open[level]

    def _start(self, level: str) -> Place:
        if level == "none":
            return NoCage(self.arena)
        world = dataclasses.replace(callers(), packages=(*PACKAGES, self.arena.packages))
        return Caged(self.source, world, fence(level))


def fence(level: str) -> Cage:
    """The cage of a level, with a small quota."""
    able = probe.abilities()
    if level == "process":
        return Cage(levels.OFF, able, QUOTA)
    if level == "landlock":
        able = dataclasses.replace(able, bubblewrap="")
    chosen = cage.choose("require", able=able, quota=QUOTA)
    if chosen.level.name != level:
        raise LookupError(f"this machine has no {level}: {chosen.level.why}")
    return chosen


@contextlib.contextmanager
def battery(arena: Arena) -> Iterator[Battery]:
    """A battery that is closed."""
    made = Battery(arena)
    try:
        yield made
    finally:
        made.close()
