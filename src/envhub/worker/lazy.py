"""Vector envs that are built at their first use, and then are of the real class.

Until then they only know how many envs they have, so a suite of 400 tasks costs nothing; and a step
costs nothing more than without all this.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import Any, Dict, Iterator, Optional, Tuple

from .gyms import ClosedEnvironmentError

_FREE = {"num_envs", "closed", "close", "spec", "unwrapped"}
_thread = threading.local()


class Waiting:
    """What an env that is not built yet is waiting to be built from.

    Attributes:
        kind: the class that it will be of.
        num_envs: how many envs it has.
    """

    kind: type
    num_envs: int

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.building = False
        self.turns: Optional[Turns] = None

    @property
    def metadata(self) -> Dict[str, Any]:
        """The part of the metadata that is known before the env is built."""
        return {}

    def fill(self, env: Any) -> None:
        """Run the real class's `__init__` on the env."""
        raise NotImplementedError

    def prepare_again(self) -> None:
        """Called before a built env is closed that may be built once more."""

    def discard(self) -> None:
        """Release what was made beforehand: the env is closed and will not be built."""

    def build(self, env: Any) -> None:
        """Turn the env into one of the real class, once."""
        before = dict(env.__dict__)
        self.building = True
        try:
            self.fill(env)
        except BaseException:
            env.__dict__.clear()
            env.__dict__.update(before)
            raise
        finally:
            self.building = False
        del env.__dict__["_recipe"]
        env.__class__ = self.kind


def recipe(env: Any) -> Optional[Any]:
    """What an env is waiting to be built from; `None` if it is built, or never waited."""
    return getattr(env, "__dict__", {}).get("_recipe")


def build(env: Any) -> None:
    """Build an env that only waits; of any other it does nothing."""
    waiting = recipe(getattr(env, "unwrapped", env))
    if waiting is not None:
        _build(env.unwrapped, waiting)


def _build(env: Any, waiting: Waiting) -> None:
    with waiting.lock:
        if recipe(env) is waiting and not waiting.building:
            if env.__dict__.get("closed"):
                raise ClosedEnvironmentError("this vector env was closed before its first use")
            if waiting.turns is not None:
                waiting.turns.take(env, waiting)
            waiting.build(env)


class Turns:
    """Of several envs at most one is built: the one that was used last. The others wait, again."""

    def __init__(self) -> None:
        self.current: Optional[Tuple[Any, Waiting]] = None

    def share(self, env: Any) -> None:
        """Let an env take turns, if it is one that waits."""
        waiting = recipe(getattr(env, "unwrapped", env))
        if waiting is not None:
            waiting.turns = self

    def take(self, env: Any, waiting: Waiting) -> None:
        """Give the turn to an env that is about to be built."""
        before, self.current = self.current, (env, waiting)
        if before is not None and before[0] is not env:
            _unbuild(*before)


def _unbuild(env: Any, waiting: Waiting) -> None:
    """Close a built env, and let it wait as if it had never been built."""
    if recipe(env) is not None or env.closed:
        return
    waiting.prepare_again()
    env.close()
    env.__dict__.clear()
    env.__class__ = lazy_class(waiting.kind)
    env.__dict__.update(_recipe=waiting, num_envs=waiting.num_envs)


def make(waiting: Waiting) -> Any:
    """An env that will be built from this."""
    return lazy_class(waiting.kind)(waiting)


class Lazy:
    """What an env that is not built yet does: these methods go before those of its real class.

    They are put into a subclass of that and are no base of it, since an object can only change to
    a class with the same memory layout.
    """

    num_envs: int
    closed: bool

    def __init__(self, waiting: Waiting) -> None:
        self.__dict__.update(_recipe=waiting, num_envs=waiting.num_envs)

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__
        if name in _FREE or (name.startswith("__") and name.endswith("__")):
            return own(self, name)
        waiting = recipe(self)
        if waiting is None:
            return own(self, name)
        if name == "metadata" and getattr(_thread, "peeking", False):
            return waiting.metadata
        _build(self, waiting)
        return own(self, name)

    def close(self, **_options: Any) -> None:
        """Nothing was built, so there is nothing to release but what was made beforehand."""
        if not self.closed:
            self.closed = True
            recipe(self).discard()  # type: ignore[union-attr]  # until it is built

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_envs={self.num_envs}, not built yet)"

    def __del__(self) -> None:
        """The real class's would build it first."""


@contextlib.contextmanager
def peeking() -> Iterator[None]:
    """While this lasts, to ask for an env's metadata is no use of it, in this thread."""
    _thread.peeking = True
    try:
        yield
    finally:
        _thread.peeking = False


@functools.lru_cache(maxsize=None)
def lazy_class(kind: type) -> Any:
    """The class of envs that will be of this kind."""
    methods = {name: value for name, value in vars(Lazy).items() if callable(value)}
    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(kind)(kind.__name__, (kind,), {**methods, **names})
