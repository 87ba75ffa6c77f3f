"""The tasks of a repo: what `make_env` returned, and the factories of each task's envs."""

from __future__ import annotations

import functools
import os
from typing import Any, Callable, Dict, List, Mapping, Sequence

from . import contain, lazy, load, repos, spaces, wrap
from .adapt import Adapted
from .batch import Batch
from .call import Request
from .codec import Plain
from .collect import Collector, Recipe
from .normalise import Maker, flatten
from .protocol import NEXT_STEP

Factory = Callable[[], Any]

# What a task can be.
SYNC = "sync"
ASYNC = "async"
WHOLE = "whole"
CALLABLE = "callable"


class Roster:
    """Calls a repo's `make_env` and lists what it returned; no env is built by that.

    Args:
        place: the fields of the repo's `Place`.
        request: the fields of the `Request`, in the form that `write_request` gives them.

    Attributes:
        tasks: all `((suite, task), env)`, in order.

    Raises:
        Fault: the repo cannot be loaded, or does not keep the contract.
        Exception: what `make_env` raises.
    """

    def __init__(self, place: Mapping[str, Any], request: bytes) -> None:
        self.repo = repos.open_repo(repos.Place(**place))
        contain.adopt(self.repo)
        maker = Maker(Collector(self.repo), read_request(request))
        self.tasks = list(flatten(maker.shape(maker.call())))

    def tell(self) -> List[Dict[str, Any]]:
        """What the client has to know of each task to stand for it."""
        return [{"suite": s, "task": t, **describe(env)} for (s, t), env in self.tasks]

    @property
    def built(self) -> bool:
        """Whether there are envs already."""
        found = [lazy.recipe(env) for _, env in self.tasks]
        return any(each is None or each.spare for each in found)

    def describe(self, number: int) -> Dict[str, Any]:
        """One task, made now if it is a callable."""
        return describe(self.resolved(number))

    def resolved(self, number: int) -> Any:
        """The env of a task; one that was given as a callable is called for it."""
        env = self.tasks[number][1]
        return env.collected() if isinstance(env, wrap.Deferred) else env

    def factories(self, number: int, rows: slice) -> Sequence[Factory]:
        """What makes the envs of a shard of a task; a whole env is there already."""
        env = self.resolved(number)
        waiting = lazy.recipe(env)
        if isinstance(env, wrap.Native):
            return [lambda: Batch(env.env, env.num_envs)]
        if waiting is None:
            return [lambda: env]
        return [functools.partial(self._adapted, fn) for fn in waiting.env_fns[rows]]

    def _adapted(self, make: Factory) -> Any:
        with load.explaining(self.repo):
            return Adapted(make())

    def inherit(self, number: int) -> None:
        """Use, in a forked copy, the env that `make_env` made beforehand; one copy only may."""
        waiting = lazy.recipe(self.resolved(number))
        for fn in waiting.env_fns if waiting is not None else ():
            if isinstance(fn.make, wrap.Again):
                fn.make.pid = os.getpid()


def describe(env: Any) -> Dict[str, Any]:
    """One task in plain words."""
    told: Dict[str, Any] = {"num_envs": env.num_envs}
    waiting = lazy.recipe(env)
    if isinstance(waiting, Recipe):
        mode = waiting.metadata.get("autoreset_mode", NEXT_STEP)
        observation_mode = waiting.options.get("observation_mode", "same")
        if not isinstance(observation_mode, str):
            observation_mode = [spaces.describe(space) for space in observation_mode]
        return {
            **told,
            "kind": ASYNC if waiting.asynchronous else SYNC,
            "autoreset_mode": getattr(mode, "value", mode),
            "observation_mode": observation_mode,
            "copy": bool(waiting.options.get("copy", True)),
        }
    # One that wraps others is whole, too.
    return {**told, "kind": CALLABLE if isinstance(env, wrap.Deferred) else WHOLE}


def write_request(request: Request) -> bytes:
    """A request as bytes.

    Raises:
        CodecError: something in it is not plain.
    """
    return Plain().encode(dict(vars(request)))


def read_request(data: bytes) -> Request:
    """What `write_request` wrote."""
    return Request(**Plain().decode(data))
