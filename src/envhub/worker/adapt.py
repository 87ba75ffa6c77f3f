"""Envs as Gymnasium has them now, whatever they were written for.

| what an env has | what becomes of it |
|---|---|
| `step` with 4 values (gym before 0.26) | `done` is a truncation if the info says so |
| `step` with 6 values (a cost beside the reward) | the cost is `info["cost"]` |
| `reset` that returns no info | an empty info |
| `reset` without `seed` | `seed()` is called, or the generator is seeded |
| `reset` without `options` | they are left out |
| spaces of the old `gym` | the same of Gymnasium |
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Dict, Tuple

from . import gyms, spaces

TIME_LIMIT = "TimeLimit.truncated"

Step = Tuple[Any, Any, Any, Any, Any]


class Adapted:
    """An env that steps and resets as Gymnasium says; everything else is the env's own.

    Args:
        env: the env.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.observation_space = spaces.known(env.observation_space)
        self.action_space = spaces.known(env.action_space)
        self._step = env.step
        core = self.unwrapped
        if core is not env and hasattr(core, "reset") and not _takes_all(core.reset):
            _accept_all(core)
        self._reset = env.reset
        if not _takes_all(env.reset):
            self._reset = functools.partial(_reset, env, env.reset)

    @property
    def unwrapped(self) -> Any:
        """The innermost env."""
        return getattr(self.env, "unwrapped", self.env)

    def step(self, action: Any) -> Step:
        """Step the env: observation, reward, terminated, truncated, info."""
        result = self._step(action)
        return result if len(result) == 5 else five(result)

    def reset(self, *, seed: Any = None, options: Any = None) -> Tuple[Any, Dict[str, Any]]:
        """Reset the env: observation, info."""
        result = self._reset(seed=seed, options=options)
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
            return result
        return result, {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


def five(result: Any) -> Step:
    """What a step returned, as five values.

    Raises:
        TypeError: it returned neither 4, 5 nor 6.
    """
    if len(result) == 4:
        obs, reward, done, info = result
        cut = bool(info.get(TIME_LIMIT, False))
        return obs, reward, done and not cut, done and cut, info
    if len(result) == 6:
        obs, reward, cost, terminated, truncated, info = result
        return obs, reward, terminated, truncated, {**info, "cost": cost}
    raise TypeError(
        f"step returned {len(result)} values, not "
        "(observation, reward, terminated, truncated, info)"
    )


def _reset(env: Any, reset: Any, *, seed: Any = None, options: Any = None) -> Any:
    """Call a `reset` with what it takes."""
    if seed is not None and not _takes(reset, "seed"):
        _seed(env, seed)
    given = {"seed": seed, "options": options}
    return reset(**{name: value for name, value in given.items() if _takes(reset, name)})


def _seed(env: Any, seed: Any) -> None:
    core = getattr(env, "unwrapped", env)
    if _takes_one(getattr(env, "seed", None)):
        env.seed(seed)
    elif isinstance(core, gyms.Env):
        gyms.Env.reset(core, seed=seed)


def _takes_one(function: Any) -> bool:
    """Whether something can be called with one argument; `seed` of Procgen's takes none."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a built-in tells nothing
        return True
    return True


def _accept_all(core: Any) -> None:
    """Let the innermost env take what its wrappers will hand to it."""
    plain = core.reset
    core.reset = functools.wraps(plain)(functools.partial(_reset, core, plain))


def _takes_all(reset: Any) -> bool:
    return _takes(reset, "seed") and _takes(reset, "options")


def _takes(function: Any, name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a built-in tells nothing
        return True
    kinds = [each.kind for each in parameters.values()]
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds
