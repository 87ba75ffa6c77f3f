"""Source + Allowed → EnvDict: chooses where the env's code runs; knows nothing about hubs."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from envhub.envdict import EnvDict
from envhub.errors import ArgumentError, ArgumentTypeError, IsolationError, UntrustedError
from envhub.fetch import Source
from envhub.isolation.inline import Inline
from envhub.isolation.process import Process
from envhub.isolation.sandbox import cage
from envhub.isolation.sandbox.levels import OFF, Level
from envhub.isolation.sandbox.quota import Quota
from envhub.isolation.world import World, callers
from envhub.parameters import EVERYTHING, Choice
from envhub.trust import Allowed
from envhub.vector import AsyncVectorEnv
from envhub.vector.options import Options
from envhub.worker.call import Request

AUTO = "auto"
INLINE = "inline"
LEVELS = (INLINE, "process", "venv")
"""Every isolation level there is, the weakest first."""


def make(
    source: Source,
    allowed: Allowed,
    *,
    n_envs: int = 1,
    use_async_envs: bool = False,
    isolation: str = AUTO,
    cfg: Any = None,
    params: Mapping[str, Any] | None = None,
    choice: Choice = EVERYTHING,
    world: World | None = None,
    vector: Options | None = None,
    sandbox: str = AUTO,
    quota: Quota | None = None,
) -> EnvDict:
    """Run the repo's `make_env` and give its result the one shape.

    `make_env` is called once; if it returns a single `Env` and more are asked for, it is called
    once per env.

    Args:
        source: the verified files.
        allowed: the consent to run exactly these.
        n_envs: envs in each vector env, at least 1.
        use_async_envs: run them in processes of their own.
        isolation: one of `LEVELS`, or `auto`: that of the world, else `inline`.
        cfg: forwarded if `make_env` takes `cfg` by keyword.
        params: other keyword arguments for `make_env`.
        choice: which of its suites and tasks, and how many of them may live at once.
        world: where it runs, if not in this process; by default under the caller's Python, with
            the caller's packages.
        vector: how the workers of vector envs run.
        sandbox: `"auto"`: the strongest that this machine has; `"require"`: that, or an error;
            `"off"`: none.
        quota: how much of the machine it may take in the sandbox.

    Raises:
        UntrustedError: the consent is for another commit.
        ArgumentError: an argument has a value that cannot work.
        IsolationError: the isolation level, or a sandbox that is required, cannot be had.
        LoadError: the code cannot be imported.
        ContractError: `make_env` does not keep the contract.
    """
    if allowed.pin != source.pin:
        raise UntrustedError(
            f"Refusing to execute remote code: the consent is for {allowed.pin}, not {source.pin}"
        )
    count = check_counts(n_envs, use_async_envs)
    wish = (choice.suite, choice.task)
    request = Request(count, use_async_envs, cfg, dict(params or {}), *wish)
    level = _level(isolation, world)
    if level == INLINE:
        inline = Inline(AsyncVectorEnv, vector)
        around = _no_sandbox(sandbox)
        tasks = choice.share(inline.make(source, request))
        return EnvDict(tasks, pin=source.pin, level=level, sandbox=around)
    fence = cage.choose(sandbox, allowed.permissions, quota=quota)
    granted = replace(world or callers(), permissions=allowed.permissions)
    tasks = choice.share(Process(granted, vector, fence).make(source, request))
    return EnvDict(tasks, pin=source.pin, level=level, sandbox=fence.level)


def _no_sandbox(wish: str) -> Level:
    if cage.check(wish) == "require":
        raise IsolationError(
            'sandbox="require" cannot be kept: the env would run in the caller\'s own process',
            hint='isolation="auto"',
        )
    return replace(OFF, why=f'isolation="{INLINE}"')


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


def _level(name: str, world: World | None) -> str:
    if name == AUTO:
        return INLINE if world is None else world.level
    known = [AUTO, *LEVELS]
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1) or [INLINE]
        raise ArgumentError(
            f"isolation={name!r} is not one of {', '.join(known)}", hint=f'isolation="{near[0]}"'
        )
    if name not in {INLINE, "process" if world is None else world.level}:
        raise IsolationError(
            f"isolation={name!r} cannot be had here",
            why=f"what was prepared for this env is of the level {getattr(world, 'level', None)}",
            hint='isolation="auto"',
        )
    return name
