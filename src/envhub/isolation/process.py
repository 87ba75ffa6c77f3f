"""A process of its own: the env's code runs in a host program, under the Python of its world.

It shares nothing with the caller's process but the memory of its observations: no environment
variables, no home folder, no standard input, no terminal; and neither side takes a pickle from the
other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from envhub.errors import ArgumentTypeError
from envhub.fetch import Source
from envhub.isolation.base import Tasks
from envhub.isolation.host import Host, Order
from envhub.isolation.inline import place_of
from envhub.isolation.launch import Fence, no_fence
from envhub.isolation.remote import Awaited, Task
from envhub.isolation.world import World, callers
from envhub.vector.options import Options
from envhub.worker import lazy, roster
from envhub.worker.call import Request
from envhub.worker.codec import CodecError


@dataclass(frozen=True, slots=True)
class Process:
    """The levels `process` and `venv`, which differ in their world only.

    Attributes:
        world: under which Python the code runs, with which packages.
        vector: how the workers run.
        fence: the sandbox around them.
    """

    world: World = field(default_factory=callers)
    vector: Options | None = None
    fence: Fence = no_fence

    def make(self, source: Source, request: Request) -> Tasks:
        """See `envhub.isolation.base.Isolation`; of several tasks, each is built at first use."""
        host = Host(Order(place_of(source), write(request), self.world, self.fence))
        options = options_for(self.world, self.vector, request.n_envs)
        options = options.profiled(f"{source.pin.pinned_ref} {source.pin.digest}")
        tasks: dict[str, dict[str | int, object]] = {}
        for number, told in enumerate(host.tasks):
            host.join()
            env = lazy.make(Awaited(Task(host, number, told, options)))
            tasks.setdefault(told["suite"], {})[told["task"]] = env
        if len(host.tasks) == 1:
            build(env, host)
        return tasks


def build(env: object, host: Host) -> None:
    """Build the only env at once, so that what is wrong with it is known at once."""
    try:
        lazy.build(env)
    except BaseException:
        host.close()
        raise


def write(request: Request) -> bytes:
    """A request in the form in which it leaves this process.

    Raises:
        ArgumentTypeError: something in it cannot.
    """
    try:
        return roster.write_request(request)
    except CodecError as error:
        raise ArgumentTypeError(
            f"an argument for make_env cannot leave this process: {error}",
            why="the env runs in a process of its own, which takes numbers, text, lists, dicts "
            "and arrays",
            hint='isolation="inline", if you trust the env with your process',
        ) from error


def options_for(world: World, given: Options | None, n_envs: int) -> Options:
    """How workers run: as the user says, else as the manifest does."""
    options = given or Options()
    limits = [options.start_timeout, world.startup_timeout]
    options = replace(
        options,
        step=options.step or world.step,
        start_timeout=min(limit for limit in limits if limit is not None),
    )
    return replace(options, num_workers=n_envs) if world.one_per_process else options
