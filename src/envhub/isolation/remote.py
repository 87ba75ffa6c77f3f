"""Vector envs whose envs live in a host, built at first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gymnasium.vector import AutoresetMode

from envhub.errors import WorkerProtocolError
from envhub.isolation.host import Host
from envhub.isolation.processes import Forked, Program
from envhub.isolation.proxy import EnvProxy
from envhub.vector import AsyncVectorEnv, BatchedVectorEnv
from envhub.vector.options import Options
from envhub.vector.planning import Wanted
from envhub.vector.starts import Process, Started
from envhub.worker import lazy, protocol, spaces
from envhub.worker.codec import Codec, Plain
from envhub.worker.local import Ends
from envhub.worker.places import Spot

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a host.

    Attributes:
        host: where its envs live.
        number: which task it is.
        told: what the host says of it.
        options: how its workers run.
    """

    host: Host
    number: int
    told: Told
    options: Options


class HostStarter:
    """Gets the workers of a task from its host.

    Args:
        task: the task.
        whole: whether it is one env that steps its own batch.
    """

    def __init__(self, task: Task, *, whole: bool) -> None:
        self.codec: Codec = Plain()
        self._task = task
        self._whole = whole

    def start(self, spot: Spot, ends: Ends, *, spin: bool) -> Started:
        """Start the worker of a shard."""
        told = {
            "task": self._task.number,
            "spot": list(spot),
            "spin": spin,
            "whole": self._whole,
            "threads": 0 if self._whole else self._task.options.threads,
        }
        return Started(self._task.host.worker(told, ends), {})

    def cause(self, process: Process) -> str:
        """What the sandbox's keeper said when it ended all that was in it."""
        return process.cause() if isinstance(process, Forked | Program) else ""


class HostedVectorEnv(AsyncVectorEnv):
    """Steps envs that live in a host; see `AsyncVectorEnv`.

    Args:
        task: the task whose envs these are.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self.env_fns, self.shared_memory, self.daemon = (), True, True
        self.context = self.worker = self.max_concurrency = None
        told = task.told
        options = task.options
        if told["kind"] == "sync" and options.num_workers is None and options.step is None:
            options = replace(options, num_workers=1)
        self._open(HostStarter(task, whole=False), self.num_envs, wanted(told), options)

    @property
    def envs(self) -> list[EnvProxy]:
        """The envs, from afar: attributes and methods go to them and back as plain values."""
        return [EnvProxy(self, index) for index in range(self.num_envs)]

    def ask_env(self, index: int, do: str, path: tuple[str, ...], *told: Any) -> Any:
        """Get, set or call what a path of names leads to from one env; see `worker.reach`."""
        self._assert_is_running()
        self._begin("call_async")
        reach = [do, list(path), *told]
        each = [
            {"reach": reach, "rows": [index - worker.lo] * (worker.lo <= index < worker.hi)}
            for worker in self._engine.workers
        ]
        self._engine.call(protocol.CALL, each)
        (result,) = self._engine.results(self._collect("call", None))
        return result

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Close the envs and end their workers."""
        try:
            super().close_extras(timeout, terminate)
        finally:
            self._task.host.leave()


class HostedBatch(BatchedVectorEnv):
    """Hosts a vector env that steps its own batch; see `BatchedVectorEnv`.

    Args:
        task: the task whose env it is.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._open(HostStarter(task, whole=True), True, task.options)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Close the env and end its worker."""
        try:
            super().close_extras(timeout, terminate)
        finally:
            self._task.host.leave()


class Awaited(lazy.Waiting):
    """What a vector env of a task is waiting to be built from."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.num_envs = int(task.told["num_envs"])
        self.kind = HostedBatch if task.told["kind"] == "whole" else HostedVectorEnv

    @property
    def metadata(self) -> dict[str, Any]:
        """The part of the metadata that is known before the env is built."""
        return {"autoreset_mode": AutoresetMode(self.task.told["autoreset_mode"])}

    def fill(self, env: Any) -> None:
        """Let the host start the workers."""
        task = self.task
        if task.told["kind"] == "callable":
            task = replace(task, told=task.host.describe(task.number))
            self.kind = HostedBatch if task.told["kind"] == "whole" else HostedVectorEnv
            env.__class__ = lazy.lazy_class(self.kind)
        self.kind.__init__(env, task)  # type: ignore[misc]  # an object that is there already

    def prepare_again(self) -> None:
        """Let the host stay when the env leaves it."""
        self.task.host.join()

    def discard(self) -> None:
        """Tell the host that nothing of it is needed."""
        self.task.host.leave()


def wanted(told: Told) -> Wanted:
    """The modes of a task's vector env."""
    try:
        mode = told["observation_mode"]
        if not isinstance(mode, str):
            mode = tuple(spaces.rebuild(each) for each in mode)
        return Wanted(mode, AutoresetMode(told["autoreset_mode"]), bool(told["copy"]))
    except (KeyError, ValueError, TypeError) as error:
        raise WorkerProtocolError("the env's process tells nonsense", why=str(error)) from error
