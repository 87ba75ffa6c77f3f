"""Leave an env alone once its episode has ended."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import gymnasium as gym

NEW_ROLLOUT_OPTION = "lerobot_new_rollout"
"""In the options of `reset`: another rollout begins, so a frozen env starts anew."""


class FreezeAfterEpisodeEnd(gym.Wrapper):
    """An env whose last transition is repeated after its episode ended, with reward 0.

    A rollout over a vector goes on until the slowest env is done; what the others simulate until
    then is thrown away. A frozen env costs nothing. Only `reset` with `NEW_ROLLOUT_OPTION` thaws
    it, since a vector env resets a finished env by itself, with no options: not for training.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._last: Optional[Tuple[Any, ...]] = None

    @property
    def is_frozen(self) -> bool:
        """Whether the episode has ended and nothing is simulated any more."""
        return self._last is not None

    def reset(
        self, *, seed: Optional[int] = None, options: Optional[Dict[str, Any]] = None
    ) -> Tuple[Any, Dict[str, Any]]:
        """Begin an episode, or show the end of the last one again."""
        if self._last is not None and not (options or {}).get(NEW_ROLLOUT_OPTION):
            return self._last[0], self._last[4]
        self._last = None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Tuple[Any, Any, bool, bool, Dict[str, Any]]:
        """Step the env, or repeat how its episode ended."""
        if self._last is not None:
            return self._last
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            self._last = (observation, 0.0, terminated, truncated, info)
        return observation, reward, terminated, truncated, info


def freeze_after_episode_end(env_fn: Callable[[], Any]) -> Callable[[], FreezeAfterEpisodeEnd]:
    """An env factory whose envs are left alone once their episode has ended."""

    def make() -> FreezeAfterEpisodeEnd:
        return FreezeAfterEpisodeEnd(env_fn())

    return make
