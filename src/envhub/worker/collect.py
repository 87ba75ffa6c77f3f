"""Collect the vector envs that a repo makes, instead of building them at once.

While its code runs, Gymnasium's `SyncVectorEnv` and `AsyncVectorEnv` are replaced, for this thread,
by classes that only note what was asked for; the envs are built at their first use, see `lazy`.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import inspect
import multiprocessing
import pickle
import threading
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Sequence, Tuple

from . import contain, gyms, lazy, load, repos
from .gyms import AsyncVectorEnv, SyncVectorEnv, gymnasium, registration

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
    with replacing():
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

    Attributes:
        more: arguments for the class that runs envs in processes, beside those of the repo.
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
        self.more: Dict[str, Any] = {}

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Let what this thread makes of Gymnasium's classes be collected."""
        with replacing(), self._on_duty():
            yield

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


@contextlib.contextmanager
def replacing() -> Iterator[None]:
    """Have the collecting classes under Gymnasium's names, for code that takes them from there.

    A repo's modules are loaded so, too: what they import by name they keep. Outside of a collection
    these are as good as the real ones.
    """
    with contain.LOCK:
        before = [(module, name, getattr(module, name)) for module, name, _ in _REPLACED]
        for module, name, value in _REPLACED:
            setattr(module, name, value)
        try:
            yield
        finally:
            for module, name, value in before:
                setattr(module, name, value)


class Recipe(lazy.Waiting):
    """What is needed to build a collected env.

    Attributes:
        kind: the class to build.
        env_fns: the factories of its envs, by their index.
        options: the other arguments.
    """

    def __init__(self, collector: Collector, real: type, arguments: Dict[str, Any]) -> None:
        super().__init__()
        self.collector = collector
        self.real = real
        self.kind = collector.kinds[real]
        self.env_fns = [Factory(collector.repo, fn) for fn in arguments.pop("env_fns")]
        self.num_envs = len(self.env_fns)
        self.options = arguments

    @property
    def metadata(self) -> Dict[str, Any]:
        """The part of the metadata that is known before the env is built."""
        mode = gyms.AUTORESET_MODE
        if mode is None:
            return {}
        default = _signature(self.real).parameters["autoreset_mode"].default
        return {"autoreset_mode": mode(self.options.get("autoreset_mode", default))}

    @property
    def asynchronous(self) -> bool:
        """Whether the repo asked for processes."""
        return self.real is AsyncVectorEnv

    @property
    def spare(self) -> bool:
        """Whether an env was made before it was asked for."""
        return any(getattr(fn.make, "spare", None) for fn in self.env_fns)

    def fill(self, env: Any) -> None:
        """Run the real class's `__init__` on the env."""
        with self.collector.guard(), load.explaining(self.collector.repo):
            more = self.collector.more if self.asynchronous else {}
            options = {**more, **self.options}
            self.kind.__init__(env, self.env_fns, **options)  # type: ignore[misc]  # on purpose

    def discard(self) -> None:
        """Close the env that make_env made before it was asked for."""
        for fn in self.env_fns:
            getattr(fn.make, "discard", lambda: None)()


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
        return lazy.make(Recipe(_thread.stack[-1], cls.real, arguments))

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.real)

    def __getitem__(cls, parameters: Any) -> Any:
        return cls.real[parameters]  # type: ignore[index]  # the real one is generic


@functools.lru_cache(maxsize=None)
def _signature(real: type) -> inspect.Signature:
    return inspect.signature(real.__init__)  # type: ignore[misc]  # of a class, on purpose


def _collecting(real: type) -> Any:
    """The class that is put in the place of a real one."""
    return Collecting(real.__name__, (real,), {"real": real, **_names(real)})


def _names(kind: type) -> Dict[str, Any]:
    return {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}


def _make_vec(*args: Any, **kwargs: Any) -> Any:
    """`gymnasium.make_vec`, which looks at the metadata of what it made: no reason to build it."""
    with lazy.peeking():
        return gyms.make_vec(*args, **kwargs)  # type: ignore[misc]  # only used where it is


SYNC = _collecting(SyncVectorEnv)
ASYNC = _collecting(AsyncVectorEnv)
_REPLACED: List[Tuple[Any, str, Any]] = [
    (gymnasium.vector, "SyncVectorEnv", SYNC),
    (gymnasium.vector, "AsyncVectorEnv", ASYNC),
    (gyms.sync_vector_env, "SyncVectorEnv", SYNC),
    (gyms.async_vector_env, "AsyncVectorEnv", ASYNC),
]
if gyms.make_vec is not None:
    _REPLACED += [(registration, "make_vec", _make_vec), (gymnasium, "make_vec", _make_vec)]
