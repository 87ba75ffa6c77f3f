"""Source + Allowed → EnvDict: chooses where the env's code runs; knows nothing about hubs."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Mapping
from typing import Any

from envhub.envdict import EnvDict
from envhub.errors import ArgumentError, ArgumentTypeError, IsolationError, UntrustedError
from envhub.fetch import Source
from envhub.isolation import base
from envhub.isolation.inline import Inline
from envhub.trust import Allowed
from envhub.vector import AsyncVectorEnv
from envhub.worker.call import Request

AUTO = "auto"
LEVELS: dict[str, base.Isolation] = {"inline": Inline(AsyncVectorEnv)}
"""Every isolation level there is, the weakest first; `auto` is the strongest that can be had."""

PLANNED = ("process", "venv", "sandbox")


def make(
    source: Source,
    allowed: Allowed,
    *,
    n_envs: int = 1,
    use_async_envs: bool = False,
    isolation: str = AUTO,
    cfg: Any = None,
    params: Mapping[str, Any] | None = None,
) -> EnvDict:
    """Run the repo's `make_env` and give its result the one shape.

    `make_env` is called once; if it returns a single `Env` and more are asked for, it is called
    once per env.

    Args:
        source: the verified files.
        allowed: the consent to run exactly these.
        n_envs: envs in each vector env, at least 1.
        use_async_envs: run them in processes of their own.
        isolation: a key of `LEVELS`, or `auto`.
        cfg: forwarded if `make_env` takes `cfg` by keyword.
        params: other keyword arguments for `make_env`.

    Raises:
        UntrustedError: the consent is for another commit.
        ArgumentError: an argument has a value that cannot work.
        IsolationError: the isolation level cannot be had.
        LoadError: the code cannot be imported.
        ContractError: `make_env` does not keep the contract.
    """
    if allowed.pin != source.pin:
        raise UntrustedError(
            f"Refusing to execute remote code: the consent is for {allowed.pin}, not {source.pin}"
        )
    count = check_counts(n_envs, use_async_envs)
    request = Request(count, use_async_envs, cfg, dict(params or {}))
    return EnvDict(_level(isolation).make(source, request), pin=source.pin)


def check_counts(n_envs: Any, use_async_envs: Any) -> int:
    """`n_envs` as an `int`, if both arguments can work.

    Raises:
        ArgumentTypeError: one has the wrong type, like `n_envs="2"` or `use_async_envs=1`.
        ArgumentError: `n_envs` is less than 1.
    """
    if isinstance(n_envs, bool) or not isinstance(n_envs, numbers.Integral):
        kind = type(n_envs).__name__
        raise ArgumentTypeError(f"n_envs={n_envs!r} is {kind}, not an int", hint="n_envs=1")
    if not isinstance(use_async_envs, bool):
        kind = type(use_async_envs).__name__
        what = f"use_async_envs={use_async_envs!r} is {kind}, not a bool"
        raise ArgumentTypeError(what, hint="use_async_envs=True")
    count = int(n_envs)
    if count < 1:
        raise ArgumentError(f"n_envs={count} is less than 1", hint="n_envs=1")
    return count


def _level(name: str) -> base.Isolation:
    known = [AUTO, *LEVELS, *PLANNED]
    if name == AUTO:
        return LEVELS[list(LEVELS)[-1]]
    if name in PLANNED:
        raise IsolationError(
            f"isolation={name!r} is not there yet",
            why=f"this version of envhub has {', '.join(LEVELS)}",
            hint='isolation="inline"',
        )
    if name not in list(LEVELS):
        near = difflib.get_close_matches(str(name), known, 1) or ["inline"]
        raise ArgumentError(
            f"isolation={name!r} is not one of {', '.join(known)}", hint=f'isolation="{near[0]}"'
        )
    return LEVELS[name]
