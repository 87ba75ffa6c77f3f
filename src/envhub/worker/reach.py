"""Gets, sets or calls a part of an env for a client that cannot have the env itself."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

from .codec import is_plain

# What a part is to the client: a value that crosses the border, or a name for what stays here.
VALUE = "value"
PART = "part"

Answer = Tuple[str, Any]
Find = Callable[[Any, str], Any]


def reach(env: Any, find: Find, told: Sequence[Any]) -> Answer:
    """Do something with what a path of names leads to.

    Args:
        env: where the path begins.
        find: finds the first name of a path, in the env or in what it wraps.
        told: "get", "set" or "call", the path, and for "set" the value, for "call" the arguments.
    """
    do, path, rest = told[0], list(told[1]), list(told[2:])
    if do == "set":
        setattr(_walk(env, find, path[:-1]), path[-1], rest[0])
        return VALUE, None
    target = _walk(env, find, path)
    if do == "call":
        args: List[Any] = rest[0]
        kwargs: Dict[str, Any] = rest[1]
        target = target(*args, **kwargs)
    return (VALUE, target) if is_plain(target) else (PART, type(target).__name__)


def _walk(env: Any, find: Find, path: List[str]) -> Any:
    found = env
    for depth, name in enumerate(path):
        found = getattr(found, name) if depth else find(found, name)
    return found
