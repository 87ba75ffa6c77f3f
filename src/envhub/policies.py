"""What decides in a rollout: `random`, `zero`, or a function of the user's.

A user's `module:name` or `file.py:name` is a function `observations -> actions`, both batched, or
something that makes one: a class, or a function of two arguments, called with the observation space
and the action space of the vector env.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from gymnasium import Space, spaces

from envhub.errors import ArgumentError
from envhub.rollout import AnyVectorEnv, Policy

PolicyMaker: TypeAlias = Callable[[AnyVectorEnv], Policy]
"""Makes the policy for one env; called once per task."""


def policy_maker(text: str, *, seed: int = 0) -> PolicyMaker:
    """The maker that `text` names.

    Args:
        text: `random`, `zero`, `module:name` or `file.py:name`.
        seed: seeds the random policy.

    Raises:
        ArgumentError: there is no such policy; a user's module is imported here.
    """
    if text == "random":
        return lambda env: random_policy(env, seed)
    if text == "zero":
        return zero_policy
    return _users(text)


def random_policy(env: AnyVectorEnv, seed: int = 0) -> Policy:
    """Samples of the action space, seeded."""
    env.action_space.seed(seed)
    return lambda _observations: env.action_space.sample()


def zero_policy(env: AnyVectorEnv) -> Policy:
    """Always the action that is zero, or as near to zero as the space allows."""
    zero = nearest_zero(env.action_space)
    return lambda _observations: zero


def nearest_zero(space: Space[Any]) -> Any:
    """The member of `space` that is nearest to zero.

    Raises:
        ArgumentError: the space has no numbers in it.
    """
    match space:
        case spaces.Box():
            return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
        case spaces.Discrete():
            return np.clip(space.dtype.type(0), space.start, space.start + space.n - 1)
        case spaces.MultiDiscrete():
            zeros = np.zeros(space.shape, space.dtype)
            return np.clip(zeros, space.start, space.start + space.nvec - 1)
        case spaces.MultiBinary():
            return np.zeros(space.shape, space.dtype)
        case spaces.Dict():
            return {key: nearest_zero(member) for key, member in space.spaces.items()}
        case spaces.Tuple():
            return tuple(nearest_zero(member) for member in space.spaces)
    raise ArgumentError(
        f"the zero policy knows no zero of {type(space).__name__}", hint="--policy random"
    )


def _users(text: str) -> PolicyMaker:
    """The policy or factory of the user's that `module:name` names."""
    module_name, colon, name = text.rpartition(":")
    if not colon or not module_name or not name:
        raise ArgumentError(
            f"{text!r} is no policy",
            why="known are random and zero; one of your own is named with a colon",
            hint="--policy policies.py:act",
        )
    target = getattr(_module(text, module_name), name, None)
    if not callable(target):
        raise ArgumentError(f"{module_name} has no function {name!r}", hint=_names(module_name))
    if _is_factory(target):
        return lambda env: _made(text, target, env)
    return lambda _env: target


def _made(text: str, factory: Callable[..., Any], env: AnyVectorEnv) -> Policy:
    spaces_ = (env.observation_space, env.action_space)
    policy = factory(*spaces_[: _required(factory)])
    if callable(policy):
        return policy  # type: ignore[no-any-return]  # a stranger's class
    raise ArgumentError(
        f"{text} made a {type(policy).__name__}, which is no policy",
        why="it must be callable with the observations",
        hint="give the class a __call__(self, observations)",
    )


def _is_factory(target: Callable[..., Any]) -> bool:
    return isinstance(target, type) or _required(target) == 2


def _required(target: Callable[..., Any]) -> int:
    """How many arguments must be given by position."""
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # a builtin that does not say
        return 1
    return sum(each.kind in positional and each.default is each.empty for each in parameters)


def _module(text: str, name: str) -> ModuleType:
    """Import a file, or a module as `python -m` would find it."""
    try:
        if name.endswith(".py"):
            return _file(Path(name))
        folder = str(Path.cwd())
        if folder not in sys.path:
            sys.path.insert(0, folder)
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise ArgumentError(
            f"the policy {text!r} cannot be imported",
            why=f"{type(error).__name__}: {error}",
            hint="--policy module:function or --policy file.py:function",
        ) from error


def _file(path: Path) -> ModuleType:
    module = ModuleType(f"envhub_policy_{path.stem}")
    module.__file__ = str(path.absolute())
    sys.modules[module.__name__] = module
    SourceFileLoader(module.__name__, module.__file__).exec_module(module)
    return module


def _names(module: str) -> str:
    return f"--policy {module}:act, with `def act(observations): return actions` in it"
