"""`lerobot.envs.utils`."""

from __future__ import annotations

import warnings
from typing import Any

from .closing import close_envs
from .episodes import NEW_ROLLOUT_OPTION, FreezeAfterEpisodeEnd, freeze_after_episode_end
from .observations import env_to_policy_features, name_observation, preprocess_observation

__all__ = [
    "NEW_ROLLOUT_OPTION",
    "FreezeAfterEpisodeEnd",
    "check_env_attributes_and_types",
    "close_envs",
    "env_to_policy_features",
    "freeze_after_episode_end",
    "name_observation",
    "preprocess_observation",
]


def check_env_attributes_and_types(env: Any) -> None:
    """Warn if a vector env does not say what its task is; some policies want to be told.

    Asked through `has_wrapper_attr`, since asking a worker for what it lacks would end it.
    """
    names = ("task_description", "task")
    missing = [name for name in names if not all(env.call("has_wrapper_attr", name))]
    if missing:
        warnings.warn(
            f"the env has no attribute {' and no '.join(repr(name) for name in missing)}; policies "
            "that are told what to do get an empty text",
            UserWarning,
            stacklevel=2,
        )
