"""MuJoCo's walkers, swimmers and runners as one suite, on the newest MuJoCo."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import gymnasium as gym

SUITE = "locomotion"
BODIES = {
    "ant": "Ant-v5",
    "half-cheetah": "HalfCheetah-v5",
    "hopper": "Hopper-v5",
    "humanoid": "Humanoid-v5",
    "swimmer": "Swimmer-v5",
    "walker2d": "Walker2d-v5",
}


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    task: str | None = None,
    max_episode_steps: int = 1000,
) -> dict[str, dict[str, gym.vector.VectorEnv]]:
    """Make `n_envs` envs for each body, or for one of them.

    Args:
        n_envs: envs per body.
        use_async_envs: one process per env.
        task: the body; all of them by default.
        max_episode_steps: after so many steps an episode is cut off.
    """
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    bodies: Iterable[str] = BODIES if task is None else [task]
    return {
        SUITE: {
            body: vector([partial(make_body, body, max_episode_steps) for _ in range(n_envs)])
            for body in bodies
        }
    }


def make_body(body: str, max_episode_steps: int) -> gym.Env:
    """One body on its plane."""
    return gym.make(BODIES[body], max_episode_steps=max_episode_steps, render_mode="rgb_array")
