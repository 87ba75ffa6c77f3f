"""MiniGrid: find the way to the goal in a grid world of which one sees a little at a time."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import minigrid  # noqa: F401  (importing it registers the ids)

LEVELS = {
    "empty": ("MiniGrid-Empty-8x8-v0", "MiniGrid-Empty-16x16-v0"),
    "door-key": ("MiniGrid-DoorKey-5x5-v0", "MiniGrid-DoorKey-8x8-v0"),
    "memory": ("MiniGrid-MemoryS7-v0", "MiniGrid-MemoryS13-v0"),
    "babyai": ("BabyAI-GoToLocal-v0", "BabyAI-BossLevel-v0"),
}


def make_env(
    n_envs: int = 1, use_async_envs: bool = False, *, suite: str | None = None
) -> dict[str, dict[int, gym.vector.VectorEnv]]:
    """Make `n_envs` worlds for every level of the suites: `{suite: {0, 1: VectorEnv}}`.

    Args:
        n_envs: worlds per level.
        use_async_envs: one process per world.
        suite: one suite; all of them by default. Level 1 is the harder one.
    """
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv

    def make_level(env_id: str) -> gym.vector.VectorEnv:
        return vector([partial(gym.make, env_id, render_mode="rgb_array") for _ in range(n_envs)])

    names = [suite] if suite else list(LEVELS)
    return {name: dict(enumerate(map(make_level, LEVELS[name]))) for name in names}
