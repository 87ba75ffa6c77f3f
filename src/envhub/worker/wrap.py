"""The vector envs that are made around what a repo returned."""

from __future__ import annotations

import operator
import os
from typing import Any, Callable, Optional, Sequence, Tuple

from . import lazy
from .gyms import ClosedEnvironmentError, VectorEnv


class Again:
    """Makes one env of several by calling the repo again; the env that is there already is used.

    Args:
        make: makes one more.
        spare: the env of the first call, until one of the factories that share it takes it. It
            never leaves the process that made it.
    """

    def __init__(self, make: Callable[[], Any], spare: Sequence[Any] = ()) -> None:
        self.make = make
        self.spare = spare if isinstance(spare, list) else list(spare)
        self.pid = os.getpid()

    def __call__(self) -> Any:
        """The env that is there, once, then new ones."""
        first = self._take()
        return self.make() if first is None else first

    def discard(self) -> None:
        """Close the env that nobody asked for."""
        first = self._take()
        if first is not None:
            first.close()

    def _take(self) -> Any:
        first = self.spare.pop() if self.spare else None
        return first if self.pid == os.getpid() else None

    def __reduce__(self) -> Tuple[Any, ...]:
        return Again, (self.make,)


class Forwarding(VectorEnv):
    """A vector env that forwards everything to another object, `self.env`."""

    def __init__(self, num_envs: int) -> None:
        self.__dict__["num_envs"] = num_envs

    def _target(self) -> Any:
        raise NotImplementedError

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__
        if name.startswith("_") or name in type(self).__dict__ or name in own(self, "__dict__"):
            return own(self, name)
        target = own(self, "_target")()
        # Gymnasium's wrappers keep what the env itself has to themselves.
        return getattr(target if hasattr(target, name) else target.unwrapped, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or name in type(self).__dict__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._target(), name, value)


class Native(Forwarding):
    """An env that is a batch of envs by itself, as simulators on a GPU are.

    Observations, rewards and actions are whatever the env has, tensors on a device included; it
    resets its envs by itself.
    """

    def __init__(self, env: Any, num_envs: int) -> None:
        super().__init__(num_envs)
        self.__dict__.update(env=env, closed=False)

    def _target(self) -> Any:
        return self.env

    def close(self, **kwargs: Any) -> None:
        """Close the env, once."""
        if not self.closed:
            self.closed = True
            self.env.close(**kwargs)

    def __repr__(self) -> str:
        return f"Native({self.env!r}, num_envs={self.num_envs})"


class Deferred(Forwarding):
    """A task that is made when it is used for the first time."""

    def __init__(self, make: Callable[[], Any], num_envs: int) -> None:
        super().__init__(num_envs)
        self.__dict__.update(_make=make, _made=None, closed=False)

    @property
    def is_made(self) -> bool:
        """Whether it was used."""
        return self._made is not None and lazy.recipe(self._made) is None

    def _target(self) -> Any:
        if not self.is_made:
            if self.closed:
                raise ClosedEnvironmentError("this vector env was closed before its first use")
            lazy.build(self.collected())
        return self._made

    def collected(self) -> Any:
        """What the task is, made now if it was not, but not built."""
        if self._made is None:
            self.__dict__["_made"] = self._make()
        return self._made

    @property
    def unwrapped(self) -> Any:
        """The vector env itself."""
        return self._target().unwrapped

    def close(self, **kwargs: Any) -> None:
        """Close it if it was made."""
        if not self.closed:
            self.closed = True
            if self._made is not None:
                self._made.close(**kwargs)

    def __repr__(self) -> str:
        return repr(self._made) if self.is_made else f"Deferred(num_envs={self.num_envs})"


def batch_size(env: Any) -> Optional[int]:
    """How many envs an `Env` steps at once if it is a batch by itself, else `None`."""
    base = getattr(env, "unwrapped", env)
    size = getattr(env, "num_envs", None) or getattr(base, "num_envs", None)
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        return None
    size = operator.index(size)  # type: ignore[arg-type]  # just looked
    return size if size > 1 or hasattr(base, "single_observation_space") else None


def is_vector(value: Any) -> bool:
    """Whether a value can be used as a vector env, of whatever class it is."""
    return isinstance(value, VectorEnv) or all(
        hasattr(value, name) for name in ("reset", "step", "num_envs")
    )
