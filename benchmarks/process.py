"""An engine's process and all that it starts: talk to it, stop it, look at what it uses."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT = 120.0  # seconds to build and step once
CLOSE_LIMIT = 20.0
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


def python_path() -> dict[str, str]:
    """Our environment, with which an interpreter finds this package and envhub."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}


class EngineError(RuntimeError):
    """An engine failed or said nothing for too long; with its last words."""


class Process:
    """A process of one engine, in a session of its own; stopped whenever it is not asked.

    Args:
        engine: its name in `benchmarks.peers.ENGINES`.
        python: the interpreter that has it.
    """

    def __init__(self, engine: str, python: str) -> None:
        self.engine = engine
        self._folder = tempfile.TemporaryDirectory()  # some engines leave files where they start
        self._said = Path(self._folder.name) / "said"
        with self._said.open("wb") as said:
            self._popen = subprocess.Popen(
                [python, "-m", "benchmarks.child", engine],
                cwd=self._folder.name,
                env={**python_path(), **ONE_THREAD},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                bufsize=0,
                start_new_session=True,
            )

    def build(self, workload: str, n_envs: int) -> float:
        """Make the envs and step once; seconds that took, imports not counted."""
        return self._ask(f"build {workload} {n_envs}", START_LIMIT)

    def measure(self, seconds: float) -> float:
        """Step for so long; env steps per second."""
        return self._ask(f"measure {seconds}", seconds + START_LIMIT)

    def close(self) -> float:
        """Close the envs; seconds that took."""
        return self._ask("close", CLOSE_LIMIT)

    def resume(self) -> None:
        """Let it run without asking anything."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End all of it at once."""
        self._signal(signal.SIGKILL)
        self._popen.wait()
        _pipe(self._popen.stdin).close()
        _pipe(self._popen.stdout).close()
        self._folder.cleanup()

    def family(self) -> list[int]:
        """Every process of its session, and every descendant that left it."""
        return family(self._popen.pid)

    def _signal(self, number: int) -> None:
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _ask(self, words: str, limit: float) -> float:
        self._signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):  # it is dead: reading says why
            _pipe(self._popen.stdin).write(f"{words}\n".encode())
        value, trouble = self._answer(limit)
        self._signal(signal.SIGSTOP)
        if trouble:
            raise EngineError(trouble)
        return value

    def _answer(self, limit: float) -> tuple[float, str]:
        with selectors.DefaultSelector() as selector:
            selector.register(_pipe(self._popen.stdout), selectors.EVENT_READ)
            line = _pipe(self._popen.stdout).readline() if selector.select(limit) else b""
        if line:
            value, trouble = json.loads(line)
            return value, trouble
        lines = self._said.read_text(errors="replace").strip().splitlines()
        return 0.0, lines[-1] if lines else f"no answer in {limit:g} s"


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def family(leader: int) -> list[int]:
    """The leader of a session, everybody in it, and their descendants elsewhere."""
    found = {leader}
    relations = list(_relations())
    while True:
        more = {pid for pid, parent, session in relations if session == leader or parent in found}
        if more <= found:
            return sorted(found)
        found |= more


def _relations() -> Iterator[tuple[int, int, int]]:
    """(process, parent, session) of every process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                yield int(entry.name), int(after_name[1]), int(after_name[3])


def memory(pids: Sequence[int]) -> int:
    """Bytes of memory that these processes hold, shared pages divided among their sharers."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def processor_time(pids: Sequence[int]) -> float:
    """Seconds of processor time that these processes have used so far, to the nanosecond."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text().split()[0])
    return total / 1e9
