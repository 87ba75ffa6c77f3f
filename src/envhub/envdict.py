"""EnvDict: what loading a repo gives, `{suite: {task: VectorEnv}}` with a few manners."""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from gymnasium import spaces
from gymnasium.vector import VectorEnv

from envhub.errors import ArgumentError
from envhub.isolation.sandbox.levels import OFF, Level
from envhub.pins import Pin
from envhub.worker import lazy, wrap


class EnvDict(dict[str, dict[str | int, Any]]):
    """The vector envs of a repo by suite and task; a context manager that closes them.

    ```python
    with envhub.make_env("user/my-env@v1.0", n_envs=8, trust_remote_code=True) as envs:
        env = envs.only
    ```

    Args:
        tasks: `{suite: {task: vector env}}`.
        pin: exactly what was loaded.
        level: the isolation level that was reached.
        sandbox: what stands around the env's processes.

    Attributes:
        pin: exactly what was loaded.
        level: the isolation level that was reached, like `"inline"` or `"process"`.
        sandbox: what stands around the env's processes, and what it does not cover.
    """

    def __init__(
        self,
        tasks: Mapping[str, Mapping[str | int, Any]],
        *,
        pin: Pin,
        level: str = "inline",
        sandbox: Level = OFF,
    ) -> None:
        super().__init__({suite: dict(envs) for suite, envs in tasks.items()})
        self.pin = pin
        self.level = level
        self.sandbox = sandbox
        self._closed = False
        for _, env in self.flat():
            _watch(env)

    def flat(self) -> Iterator[tuple[tuple[str, str | int], Any]]:
        """All `((suite, task), env)`, in order."""
        for suite, envs in self.items():
            for task, env in envs.items():
                yield (suite, task), env

    @property
    def only(self) -> Any:
        """The vector env of a result with a single task.

        Raises:
            ArgumentError: there are several; the message lists them.
        """
        found = list(self.flat())
        if len(found) != 1:
            raise ArgumentError(
                f"{self.pin} has {len(found)} tasks, so there is no only one",
                why=self._listing(),
                hint=f"envs{_keys(found[0][0])}" if found else "",
            )
        return found[0][1]

    def close(self) -> None:
        """Close all vector envs, once; each is closed even if another one's `close` raises."""
        if self._closed:
            return
        self._closed = True
        with contextlib.ExitStack() as stack:
            for _, env in self.flat():
                stack.callback(_close, env)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name in _OF_ENVS:
            raise AttributeError(
                f"this is the dict of all of {self.pin}'s vector envs, and {name} is of one of "
                f"them: say envs.only.{name}, or choose one\n{self._listing()}",
                name=name,
                obj=self,
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        around = f", sandbox {self.sandbox}" if self.level != "inline" else ""
        return f"EnvDict({self.pin}, {self.level}{around})\n{self._listing()}"

    def _listing(self) -> str:
        return "\n".join(f"  envs{_keys(path)}  {_summary(env)}" for path, env in self.flat())


def _keys(path: tuple[str, str | int]) -> str:
    return "".join(f"[{key!r}]" for key in path)


def _summary(env: Any) -> str:
    """One line about a vector env; one that is not built yet stays so."""
    count = f"{type(env).__name__} n={env.num_envs}"
    if lazy.recipe(env) is not None or (isinstance(env, wrap.Deferred) and not env.is_made):
        return f"{count}, built at first use"
    observation = getattr(env, "single_observation_space", None)
    return f"{count}  {_short(observation)} → {_short(getattr(env, 'single_action_space', None))}"


def _short(space: Any) -> str:
    """A space in a few words, without the bounds of a million pixels."""
    if isinstance(space, spaces.Box):
        return f"Box{space.shape} {space.dtype}"
    if isinstance(space, spaces.Dict):
        return "{" + ", ".join(f"{key}: {_short(value)}" for key, value in space.items()) + "}"
    return str(space or "?")


def _watch(env: Any) -> None:
    """Close the env when the program ends, if it is still there then."""
    with contextlib.suppress(TypeError):  # a duck-typed one may not allow weak references
        _open[id(env)] = env


def _close(env: Any) -> None:
    """Close an env that is open; one that only behaves like a vector env may have no `close`."""
    if not getattr(env, "closed", False) and hasattr(env, "close"):
        env.close()


def _close_all() -> None:
    if os.getpid() == _PID:
        for env in list(_open.values()):
            _close(env)


_OF_ENVS = {name for name in dir(VectorEnv) if not name.startswith("_")} | {
    "action_space",
    "call",
    "get_attr",
    "num_envs",
    "observation_space",
    "set_attr",
    "single_action_space",
    "single_observation_space",
}
_PID = os.getpid()
_open: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
atexit.register(_close_all)
