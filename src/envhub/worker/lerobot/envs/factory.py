"""`lerobot.envs.factory`, as far as it goes without a hub: a config makes its env by itself."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from .configs import EnvConfig


def make_env_config(env_type: str, **kwargs: Any) -> Any:
    """The config that is registered under a name.

    Raises:
        ValueError: nothing is.
    """
    try:
        found = EnvConfig.get_choice_class(env_type)
    except KeyError:
        known = ", ".join(sorted(EnvConfig.get_known_choices())) or "none"
        raise ValueError(
            f"the env type {env_type!r} is not registered; registered: {known}"
        ) from None
    return found(**kwargs)


def make_env_pre_post_processors(env_cfg: Any, policy_cfg: Any) -> Tuple[Any, Any]:
    """What observations and actions go through, as the env's config says."""
    del policy_cfg  # LeRobot asks it about one policy of its own
    processors: Tuple[Any, Any] = env_cfg.get_env_processors()
    return processors


def make_env(
    cfg: Any,
    n_envs: int = 1,
    use_async_envs: bool = False,
    hub_cache_dir: Optional[str] = None,
    trust_remote_code: bool = False,
) -> Dict[str, Dict[int, Any]]:
    """The envs of a config; those of another repo are not for an env's own process to load.

    Raises:
        RuntimeError: `cfg` names a repo on a hub.
        ValueError: `n_envs` is below 1.
    """
    del hub_cache_dir, trust_remote_code  # nobody can consent on the user's behalf
    hub_path = cfg if isinstance(cfg, str) else getattr(cfg, "hub_path", None)
    if hub_path:
        raise RuntimeError(
            f"Refusing to execute remote code: an env cannot load the other repo {hub_path!r}"
        )
    if n_envs < 1:
        raise ValueError(f"n_envs is {n_envs}; at least 1 is needed")
    envs: Dict[str, Dict[int, Any]] = cfg.create_envs(n_envs=n_envs, use_async_envs=use_async_envs)
    return envs
