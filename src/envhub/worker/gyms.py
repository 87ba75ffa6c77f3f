"""The one place where Gymnasium is imported: under its name, or as the old `gym` that it was.

An env's world has one of the two; where it has both, its envs may still be those of `gym`. What
came with a later version is looked for here and is `None` where it is missing, so that no other
file asks for a version.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import gymnasium
    from gymnasium import Env, Space, spaces
    from gymnasium.envs import registration
    from gymnasium.error import ClosedEnvironmentError
    from gymnasium.spaces import GraphInstance
    from gymnasium.vector import (
        AsyncVectorEnv,
        SyncVectorEnv,
        VectorEnv,
        async_vector_env,
        sync_vector_env,
    )
else:
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        import gym as gymnasium

    def _part(name: str) -> Any:
        return importlib.import_module(f"{gymnasium.__name__}.{name}")

    spaces = _part("spaces")
    vector = _part("vector")
    sync_vector_env = _part("vector.sync_vector_env")
    async_vector_env = _part("vector.async_vector_env")
    registration = _part("envs.registration")
    Env, Space, GraphInstance = gymnasium.Env, gymnasium.Space, spaces.GraphInstance
    VectorEnv, SyncVectorEnv = vector.VectorEnv, vector.SyncVectorEnv
    AsyncVectorEnv = vector.AsyncVectorEnv
    ClosedEnvironmentError = _part("error").ClosedEnvironmentError

OneOf: Any = getattr(spaces, "OneOf", None)
"""Since 1.0."""

AUTORESET_MODE: Optional[Any] = getattr(gymnasium.vector, "AutoresetMode", None)
"""Since 1.1."""

is_equivalent: Optional[Any] = getattr(spaces.utils, "is_space_dtype_shape_equiv", None)
"""Whether two spaces have the same types and shapes; since 1.0."""

make_vec: Optional[Any] = getattr(registration, "make_vec", None)
"""Since 0.28."""

__all__ = [
    "AUTORESET_MODE",
    "AsyncVectorEnv",
    "ClosedEnvironmentError",
    "Env",
    "GraphInstance",
    "OneOf",
    "Space",
    "SyncVectorEnv",
    "VectorEnv",
    "async_vector_env",
    "gymnasium",
    "is_env",
    "is_equivalent",
    "make_vec",
    "registration",
    "spaces",
    "sync_vector_env",
]


def is_env(value: Any) -> bool:
    """Whether a value is one env, or one of its wrappers, of either library or of none."""
    if isinstance(value, (type, VectorEnv)):  # which was an Env before 1.0
        return False
    if isinstance(value, Env):
        return True
    return all(hasattr(value, name) for name in _PARTS) and not hasattr(value, "num_envs")


_PARTS = ("reset", "step", "action_space", "observation_space")
