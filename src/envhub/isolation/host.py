"""The host of a repo's envs, as the client sees it: where a worker for a shard comes from."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from envhub.isolation.launch import Fence, prepare
from envhub.isolation.processes import Forked, Program
from envhub.isolation.reading import read_pid, read_reply, read_tasks
from envhub.isolation.world import World
from envhub.isolation.zygote import Zygote
from envhub.vector.starts import Process
from envhub.worker.local import Ends
from envhub.worker.repos import Place
from envhub.worker.wire import Message, close_all


@dataclass(frozen=True, slots=True)
class Order:
    """What is to run.

    Attributes:
        place: the repo's files.
        request: what the user asked for, as `roster.write_request` writes it.
        world: where it runs.
        fence: the sandbox around it.
    """

    place: Place
    request: bytes
    world: World
    fence: Fence


class Host:
    """The processes of one repo's envs: a zygote, and what was forked from it or started beside it.

    Args:
        order: what is to run, and where.

    Attributes:
        tasks: what the repo's `make_env` returned, one description for each task.

    Raises:
        WorkerError: the process died or did not answer.
        EnvHubError: the repo cannot be loaded, or does not keep the contract.
        Exception: what `make_env` raised, if that is an exception of Python's own.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.lock = threading.RLock()
        self._programs: list[Zygote] = []
        self._users = 0
        self.forks = False
        try:
            self._zygote, told = self._make()
            self.tasks: Sequence[Mapping[str, Any]] = read_tasks(told)
        except BaseException:
            self.close()
            raise
        self.forks = may_fork(order.world, told)

    def describe(self, number: int) -> Mapping[str, Any]:
        """A task that was given as a callable, after it was called."""
        with self.lock:
            if self._zygote.spent or not self._zygote.is_alive:
                self._zygote, _ = self._make()
            told = {"do": "describe", "task": number}
            reply, fds = self._zygote.ask("make_env", told, deadline=self._deadline())
            close_all(fds)
        return read_reply(reply)

    def worker(self, told: Message, ends: Ends) -> Process:
        """A worker for a shard: forked from the zygote, or a program of its own."""
        with self.lock:
            if self.forks and self._zygote.is_alive:
                reply, fds = self._zygote.ask(
                    "start", {"do": "fork", **told}, ends, deadline=self._deadline()
                )
                try:
                    pid = read_pid(reply)
                except BaseException:
                    close_all(fds)
                    raise
                return Forked(self._zygote, pid, fds)
            program = self._zygote
            if program.spent or self.forks or not program.is_alive:
                program = self._start()
            program.become({**told, **self._make_told("work")}, ends, deadline=self._deadline())
        return Program(program)

    def join(self) -> None:
        """Be used by one vector env more."""
        with self.lock:
            self._users += 1

    def leave(self) -> None:
        """Be used by one less; the last one closes the host."""
        with self.lock:
            self._users -= 1
            over = not self._users
        if over:
            self.close()

    def close(self) -> None:
        """End all processes."""
        while self._programs:
            self._programs.pop().close()

    def _make(self) -> tuple[Zygote, Mapping[str, Any]]:
        program = self._start()
        told = self._make_told("make")
        reply, fds = program.ask("make_env", told, deadline=self._deadline())
        close_all(fds)
        return program, read_reply(reply)

    def _make_told(self, do: str) -> Message:
        request = base64.b64encode(self.order.request).decode()
        return {"do": do, "place": asdict(self.order.place), "request": request}

    def _start(self) -> Zygote:
        place = self.order.place
        folders = tuple(Path(folder) for folder in (place.root, place.bytecode) if folder)
        launch = self.order.fence(prepare(self.order.world, folders))
        program = Zygote(launch)
        self._programs.append(program)
        return program

    def _deadline(self) -> float:
        return time.monotonic() + self.order.world.startup_timeout

    def __del__(self) -> None:
        """End the processes of a host that nobody closed."""
        if "_programs" in vars(self):
            self.close()


def may_fork(world: World, told: Mapping[str, Any]) -> bool:
    """Whether workers may be forked from a zygote that has called `make_env`."""
    if world.fork_safe is not None:
        return world.fork_safe
    return not told.get("dangers") and not (world.one_per_process and told.get("built"))
