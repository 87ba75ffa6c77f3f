"""A single `Env` that steps a batch by itself, as simulators on a GPU do, as a vector env."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from . import gyms
from .gyms import spaces

Step = Tuple[Any, Any, Any, Any, Any]


class Batch:
    """Gives a batched env what a vector env has; tensors become arrays, and actions tensors.

    Args:
        env: the env.
        num_envs: how many envs it steps.
    """

    def __init__(self, env: Any, num_envs: int) -> None:
        self.env = env
        self.num_envs = num_envs
        self.single_observation_space = self._single("observation_space")
        self.single_action_space = self._single("action_space")
        self.observation_space = self._batched(self.single_observation_space)
        self.action_space = self._batched(self.single_action_space)
        self._like: Any = None

    def reset(self, *, seed: Any = None, options: Any = None) -> Tuple[Any, Dict[str, Any]]:
        """Reset the env."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._like = _first(obs)
        return arrays(obs), arrays(info)

    def step(self, actions: Any) -> Step:
        """Step the env."""
        if hasattr(self._like, "new_tensor"):
            actions = self._like.new_tensor(actions, dtype=_dtype_of(self._like, actions))
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        return (
            arrays(obs),
            arrays(rewards),
            arrays(terminated),
            arrays(truncated),
            arrays(info),
        )

    def _single(self, name: str) -> Any:
        found = getattr(self.env, "single_" + name, None)
        return unbatch(getattr(self.env, name), self.num_envs) if found is None else found

    def _batched(self, space: Any) -> Any:
        return gyms.gymnasium.vector.utils.batch_space(space, self.num_envs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


def unbatch(space: Any, count: int) -> Any:
    """The space of one env, where a space is that of all; one that is not stays as it is."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: unbatch(part, count) for key, part in space.spaces.items()})
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([unbatch(part, count) for part in space.spaces])
    shape = space.shape or ()
    if not shape or shape[0] != count:
        return space
    if isinstance(space, spaces.Box):
        return spaces.Box(space.low[0], space.high[0], dtype=space.dtype.type)
    if isinstance(space, spaces.MultiDiscrete):
        first = space.nvec[0]
        return spaces.MultiDiscrete(first) if np.ndim(first) else spaces.Discrete(int(first))
    if isinstance(space, spaces.MultiBinary) and len(shape) > 1:
        return spaces.MultiBinary(list(shape[1:]))
    return space


def arrays(value: Any) -> Any:
    """A nested value with arrays in the place of tensors, wherever those are."""
    if isinstance(value, dict):
        return {key: arrays(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(arrays(item) for item in value)
    if hasattr(value, "detach"):  # torch
        return value.detach().cpu().numpy()
    if hasattr(value, "__array__") and not isinstance(value, (np.ndarray, np.generic)):  # JAX
        return np.asarray(value)
    return value


def _first(value: Any) -> Any:
    while isinstance(value, (dict, list, tuple)) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return value


def _dtype_of(like: Any, actions: Any) -> Any:
    kind = np.asarray(actions).dtype.kind
    return like.dtype if kind == "f" and like.is_floating_point() else None
