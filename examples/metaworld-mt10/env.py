"""Meta-World's MT10: ten things that one arm can do at a table, each from fifty starts."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import metaworld
from metaworld.env_dict import MT10_V3

TASKS = list(MT10_V3)


def make_env(
    n_envs: int = 1, use_async_envs: bool = False, *, camera: str = "corner2"
) -> dict[str, dict[int, gym.vector.VectorEnv]]:
    """Make `n_envs` tables for each of the ten tasks: `{"mt10": {0..9: VectorEnv}}`.

    Args:
        n_envs: tables per task.
        use_async_envs: one process per table.
        camera: where films are taken from.
    """
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    tasks = [vector([partial(Table, name, camera) for _ in range(n_envs)]) for name in TASKS]
    return {"mt10": dict(enumerate(tasks))}


class Table(gym.Wrapper):
    """A task of Meta-World whose start is drawn from the seed, and that says `is_success`.

    Meta-World draws the starts of its own envs from a generator that no seed reaches.
    """

    def __init__(self, name: str, camera: str) -> None:
        benchmark = metaworld.MT1(name, seed=0)
        make_one = benchmark.train_classes[name]
        super().__init__(make_one(render_mode="rgb_array", camera_name=camera))
        self.starts = benchmark.train_tasks
        self.turned = camera.startswith("corner")
        self.task = name
        self.task_description = name.removesuffix("-v3").replace("-", " ").capitalize() + "."
        # The env's own has no room for what it observes: a goal that it says to be always 0.
        self.observation_space = gym.spaces.Box(-float("inf"), float("inf"), (39,), "float64")

    def reset(self, *, seed=None, options=None):
        """Start from one of the fifty starts."""
        if seed is not None:
            self.np_random, _ = gym.utils.seeding.np_random(seed)
        self.env.set_task(self.starts[self.np_random.integers(len(self.starts))])
        return self.env.reset()

    def step(self, action):
        """Step, and say whether it is done."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info["is_success"] = bool(info["success"])
        return observation, reward, terminated, truncated, info

    def render(self):
        """What the camera sees; those in the corners hang upside down."""
        frame = self.env.render()
        return frame[::-1, ::-1].copy() if self.turned else frame
