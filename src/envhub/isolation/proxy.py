"""An env that lives in another process, by its attributes and methods."""

from __future__ import annotations

from typing import Any, Protocol

from envhub.worker.reach import VALUE


class Asker(Protocol):
    """Whoever can ask one env of a vector something."""

    def ask_env(self, index: int, do: str, path: tuple[str, ...], *told: Any) -> Any:
        """Get, set or call what a path of names leads to from an env."""


class EnvProxy:
    """One env of a vector env, or something in it; what it has is asked for when it is used.

    Values go there and come back as numbers, text, lists, dicts and arrays. A part that is none of
    these, like a physics engine, is a proxy again.

    ```python
    envs.only.envs[0].unwrapped.model.opt.timestep = 0.01
    ```

    Args:
        asker: the vector env.
        index: which of its envs.
        path: the names that lead to the part.
    """

    __slots__ = ("_asker", "_index", "_path")

    def __init__(self, asker: Asker, index: int, path: tuple[str, ...] = ()) -> None:
        object.__setattr__(self, "_asker", asker)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_path", path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        path = (*self._path, name)
        kind, value = self._asker.ask_env(self._index, "get", path)
        return value if kind == VALUE else EnvProxy(self._asker, self._index, path)

    def __setattr__(self, name: str, value: Any) -> None:
        self._asker.ask_env(self._index, "set", (*self._path, name), value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it there."""
        kind, value = self._asker.ask_env(self._index, "call", self._path, list(args), kwargs)
        if kind == VALUE:
            return value
        raise TypeError(
            f"what {'.'.join(self._path)}() returned cannot leave the env's process: a {value}"
        )

    def __repr__(self) -> str:
        return f"<env {self._index} in its own process: {'.'.join(('env', *self._path))}>"
