"""Collect the vector envs that a repo makes, instead of building them at once.

While its code runs, Gymnasium's `SyncVectorEnv` and `AsyncVectorEnv` are replaced, for this thread,
by classes that only note what was asked for. The first real use builds the env and turns it into
the real class, so a suite of 400 tasks costs nothing and a step costs nothing more.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import inspect
import multiprocessing
import pickle
import threading
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Optional, Sequence, Tuple

import gymnasium
from gymnasium.envs import registration
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, async_vector_env, sync_vector_env

from . import contain, load, repos

_FREE = {"num_envs", "closed", "close", "spec", "unwrapped"}
_thread = threading.local()


class Factory:
    """An env factory of a repo: makes its env with the repo's modules and ids in place.

    It can be pickled into a process where nothing is set up (`spawn`, `forkserver`, a cluster).
    """

    def __init__(self, repo: repos.Repo, make: Callable[[], Any]) -> None:
        self.repo = repo
        self.make = make

    def __call__(self) -> Any:
        """The env."""
        with contain.working(self.repo):
            return self.make()

    def __reduce__(self) -> Tuple[Any, ...]:
        import cloudpickle  # Gymnasium brings it; only needed when a process does not fork

        # Packed twice: the private names inside mean something only after the repo is open.
        payload = cloudpickle.dumps((self.repo.specs, self.make))
        return _unpack, (self.repo.place, payload)


def _unpack(place: repos.Place, payload: bytes) -> Factory:
    repo = repos.open_repo(place)
    if multiprocessing.parent_process() is not None:
        contain.adopt(repo)
    load.entry(repo)
    specs, make = pickle.loads(payload)  # noqa: S301 - packed by ourselves, above
    for name, spec in specs.items():
        registration.registry.setdefault(name, spec)
    return Factory(repo, make)


class Collector:
    """Collects what the code of one repo makes.

    Args:
        repo: whose code it is.
        asynchronous: the class to build when the code asks for `AsyncVectorEnv`.
        guard: a context manager in which envs are built.
    """

    def __init__(
        self,
        repo: repos.Repo,
        asynchronous: type = AsyncVectorEnv,
        guard: Callable[[], ContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        self.repo = repo
        self.kinds: Dict[type, type] = {SyncVectorEnv: SyncVectorEnv, AsyncVectorEnv: asynchronous}
        self.guard = guard

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Let what this thread makes of Gymnasium's classes be collected."""
        with contain.LOCK, self._on_duty():
            before = [(module, name, getattr(module, name)) for module, name, _ in _REPLACED]
            for module, name, value in _REPLACED:
                setattr(module, name, value)
            try:
                yield
            finally:
                for module, name, value in before:
                    setattr(module, name, value)

    def vector(self, env_fns: Sequence[Callable[[], Any]], use_async_envs: bool) -> Any:
        """An env of our own making, collected like the repo's."""
        with self._on_duty():
            return (ASYNC if use_async_envs else SYNC)(env_fns)

    @contextlib.contextmanager
    def _on_duty(self) -> Iterator[None]:
        stack: List[Collector] = _thread.__dict__.setdefault("stack", [])
        stack.append(self)
        try:
            yield
        finally:
            stack.pop()


class Recipe:
    """What is needed to build a collected env.

    Attributes:
        kind: the class to build.
        env_fns: the factories of its envs, by their index.
        options: the other arguments.
    """

    def __init__(self, collector: Collector, real: type, arguments: Dict[str, Any]) -> None:
        self.collector = collector
        self.real = real
        self.kind = collector.kinds[real]
        self.env_fns = [Factory(collector.repo, fn) for fn in arguments.pop("env_fns")]
        self.options = arguments
        self.lock = threading.RLock()
        self.building = False

    @property
    def metadata(self) -> Dict[str, Any]:
        """The part of the metadata that is known before the env is built."""
        default = _signature(self.real).parameters["autoreset_mode"].default
        return {"autoreset_mode": type(default)(self.options.get("autoreset_mode", default))}

    def build(self, env: Any) -> None:
        """Run the real class's `__init__` on the env, once."""
        before = dict(env.__dict__)
        self.building = True
        try:
            with self.collector.guard(), load.explaining(self.collector.repo):
                self.kind.__init__(env, self.env_fns, **self.options)  # type: ignore[misc]  # on purpose
        except BaseException:
            env.__dict__.clear()
            env.__dict__.update(before)
            raise
        finally:
            self.building = False
        del env.__dict__["_recipe"]
        env.__class__ = self.kind


def recipe(env: Any) -> Optional[Recipe]:
    """What a collected env is waiting to be built from; `None` if it is built, or not collected."""
    found: Optional[Recipe] = getattr(env, "__dict__", {}).get("_recipe")
    return found


def build(env: Any) -> None:
    """Build an env that was only collected; of any other it does nothing."""
    waiting = recipe(getattr(env, "unwrapped", env))
    if waiting is not None:
        _build(env.unwrapped, waiting)


def _build(env: Any, waiting: Recipe) -> None:
    with waiting.lock:
        if recipe(env) is waiting and not waiting.building:
            if env.__dict__.get("closed"):
                raise ClosedEnvironmentError("this vector env was closed before its first use")
            waiting.build(env)


class Collected:
    """What an env that is not built yet does: these methods go before those of its real class.

    They are put into a subclass of that and are no base of it, since an object can only change to
    a class with the same memory layout.
    """

    num_envs: int
    closed: bool

    def __init__(self, waiting: Recipe) -> None:
        self.__dict__.update(_recipe=waiting, num_envs=len(waiting.env_fns))

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__
        if name in _FREE or (name.startswith("__") and name.endswith("__")):
            return own(self, name)
        waiting = recipe(self)
        if waiting is None:
            return own(self, name)
        if name == "metadata" and getattr(_thread, "in_make_vec", False):
            return waiting.metadata
        _build(self, waiting)
        return own(self, name)

    def close(self, **_options: Any) -> None:
        """Nothing was built, so there is nothing to release but what was made beforehand."""
        if not self.closed:
            self.closed = True
            for fn in recipe(self).env_fns:  # type: ignore[union-attr]  # until it is built
                getattr(fn.make, "discard", lambda: None)()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_envs={self.num_envs}, not built yet)"

    def __del__(self) -> None:
        """The real class's would build it first."""


class Collecting(abc.ABCMeta):
    """The class of the classes that collect: outside of a collection they are the real ones.

    It is an `ABCMeta` so that a repo's subclass can have abstract bases beside them.
    """

    real: type

    def __new__(
        mcs, name: str, bases: Tuple[type, ...], namespace: Dict[str, Any], **options: Any
    ) -> Any:
        """A collecting class; or the real class, for a subclass in a repo's code."""
        ours = [base for base in bases if isinstance(base, Collecting)]
        if not ours:
            return super().__new__(mcs, name, bases, namespace, **options)
        # A repo's own subclass is one of the real class, and is not collected.
        real = tuple(base.real if isinstance(base, Collecting) else base for base in bases)
        return type(real[0])(name, real, namespace, **options)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """A collected env inside a collection, else a real one."""
        if not getattr(_thread, "stack", None):
            return cls.real(*args, **kwargs)
        bound = _signature(cls.real).bind(None, *args, **kwargs)
        arguments = {name: bound.arguments[name] for name in list(bound.arguments)[1:]}
        waiting = Recipe(_thread.stack[-1], cls.real, arguments)
        return _collected(waiting.kind)(waiting)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.real)

    def __getitem__(cls, parameters: Any) -> Any:
        return cls.real[parameters]  # type: ignore[index]  # the real one is generic


@functools.lru_cache(maxsize=None)
def _signature(real: type) -> inspect.Signature:
    return inspect.signature(real.__init__)  # type: ignore[misc]  # of a class, on purpose


@functools.lru_cache(maxsize=None)
def _collected(kind: type) -> Any:
    """The class of envs that will be of this kind."""
    methods = {name: value for name, value in vars(Collected).items() if callable(value)}
    return type(kind)(kind.__name__, (kind,), {**methods, **_names(kind)})


def _collecting(real: type) -> Any:
    """The class that is put in the place of a real one."""
    return Collecting(real.__name__, (real,), {"real": real, **_names(real)})


def _names(kind: type) -> Dict[str, Any]:
    return {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}


def _make_vec(*args: Any, **kwargs: Any) -> Any:
    """`gymnasium.make_vec`, which looks at the metadata of what it made: no reason to build it."""
    _thread.in_make_vec = True
    try:
        return _real_make_vec(*args, **kwargs)
    finally:
        _thread.in_make_vec = False


_real_make_vec = registration.make_vec
SYNC = _collecting(SyncVectorEnv)
ASYNC = _collecting(AsyncVectorEnv)
_REPLACED = (
    (gymnasium.vector, "SyncVectorEnv", SYNC),
    (gymnasium.vector, "AsyncVectorEnv", ASYNC),
    (sync_vector_env, "SyncVectorEnv", SYNC),
    (async_vector_env, "AsyncVectorEnv", ASYNC),
    (registration, "make_vec", _make_vec),
    (gymnasium, "make_vec", _make_vec),
)
