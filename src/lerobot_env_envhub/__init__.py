"""Found by LeRobot's plugin discovery; importing it registers `--env.type=envhub`."""

from __future__ import annotations

__all__ = ["EnvHubConfig"]

try:
    from lerobot_env_envhub.config import EnvHubConfig
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "lerobot":
        raise
    # Without LeRobot there is nobody to register with, and nothing to complain about.
    __all__ = []
