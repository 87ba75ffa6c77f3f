"""What the client has to know of envs to stand for them."""

from __future__ import annotations

import enum
from typing import Any, Dict

from .codec import Codec, is_plain


def describe(env: Any, codec: Codec) -> Dict[str, Any]:
    """What a vector of such envs is made of."""
    return {
        "observation_space": env.observation_space,
        "action_space": env.action_space,
        "metadata": _metadata(env, codec),
        "render_mode": getattr(env, "render_mode", None),
    }


def describe_whole(env: Any, codec: Codec) -> Dict[str, Any]:
    """What a vector env is."""
    return {
        "num_envs": env.num_envs,
        "observation_space": env.single_observation_space,
        "action_space": env.single_action_space,
        "batched_observations": env.observation_space,
        "batched_actions": env.action_space,
        "metadata": _metadata(env, codec),
        "render_mode": getattr(env, "render_mode", None),
    }


def _metadata(env: Any, codec: Codec) -> Dict[str, Any]:
    metadata = dict(getattr(env, "metadata", None) or {})
    if codec.trusted:
        return metadata
    # An enumeration, like the autoreset mode, crosses a trust border as its value.
    told = {key: v.value if isinstance(v, enum.Enum) else v for key, v in metadata.items()}
    return {key: value for key, value in told.items() if is_plain(value)}
