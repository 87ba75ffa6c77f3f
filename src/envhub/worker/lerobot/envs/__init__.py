"""`lerobot.envs`."""

from .configs import AlohaEnv, EnvConfig, HILSerlRobotEnvConfig, HubEnvConfig, PushtEnv
from .factory import make_env, make_env_config, make_env_pre_post_processors
from .utils import (
    check_env_attributes_and_types,
    close_envs,
    env_to_policy_features,
    preprocess_observation,
)

__all__ = [
    "AlohaEnv",
    "EnvConfig",
    "HILSerlRobotEnvConfig",
    "HubEnvConfig",
    "PushtEnv",
    "check_env_attributes_and_types",
    "close_envs",
    "env_to_policy_features",
    "make_env",
    "make_env_config",
    "make_env_pre_post_processors",
    "preprocess_observation",
]
