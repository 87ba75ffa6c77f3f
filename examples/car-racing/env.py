"""Car racing from pixels: drive a lap on a track that is drawn anew from every seed."""

from __future__ import annotations

from functools import partial

import gymnasium as gym


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    domain_randomize: bool = False,
    lap_complete_percent: float = 0.95,
    max_episode_steps: int = 1000,
) -> gym.vector.VectorEnv:
    """Make `n_envs` race tracks.

    Args:
        n_envs: how many cars drive at once, each alone on its own track.
        use_async_envs: one process per car; worth it, since drawing the pixels takes the time.
        domain_randomize: new colours for the road and the grass in every episode.
        lap_complete_percent: the share of the track's tiles that makes a lap.
        max_episode_steps: after so many steps of 1/50 s the episode is cut off.
    """
    make_one = partial(
        make_car,
        domain_randomize=domain_randomize,
        lap_complete_percent=lap_complete_percent,
        max_episode_steps=max_episode_steps,
    )
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return vector([make_one for _ in range(n_envs)])


def make_car(**options: float) -> gym.Env:
    """One car, with success in the info under the name that evaluations look for."""
    env = gym.make("CarRacing-v3", render_mode="rgb_array", **options)
    return LapIsSuccess(env)


class LapIsSuccess(gym.Wrapper):
    """Says `is_success` in every step's info: whether the lap is done."""

    task_description = "Drive a lap around the track as fast as possible."

    def step(self, action):
        """Step, and add `is_success`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info["is_success"] = info.get("lap_finished", False)
        return observation, reward, terminated, truncated, info
