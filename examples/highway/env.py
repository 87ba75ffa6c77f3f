"""Driving: keep going on a motorway, merge into it, or park into one given space."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import highway_env  # noqa: F401  (importing it registers the ids)

TASKS = {
    "highway": ("highway-fast-v0", "Go fast, stay right, hit nobody."),
    "merge": ("merge-v1", "Let others in."),
    "roundabout": ("roundabout-v1", "Cross the roundabout."),
    "parking": ("parking-v0", "Park in the marked space."),
}


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    task: str | None = None,
) -> dict[str, dict[str, gym.vector.VectorEnv]]:
    """Make `n_envs` roads for each task, or for one of them.

    Args:
        n_envs: roads per task.
        use_async_envs: one process per road.
        task: one of them; all by default.
    """
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    names = [task] if task else list(TASKS)
    roads = {name: vector([partial(Road, name) for _ in range(n_envs)]) for name in names}
    return {"driving": roads}


class Road(gym.Wrapper):
    """A road with its task as text; success is not to crash, or to be parked."""

    def __init__(self, task: str) -> None:
        env_id, self.task_description = TASKS[task]
        super().__init__(gym.make(env_id, render_mode="rgb_array"))

    def step(self, action):
        """Step, and say `is_success` where the env does not."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        over = terminated or truncated
        info["is_success"] = bool(info.get("is_success", over and not info["crashed"]))
        return observation, reward, terminated, truncated, info
