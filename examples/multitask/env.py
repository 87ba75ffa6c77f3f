"""Classic control as a benchmark of two suites: balance something, or gather momentum first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import gymnasium as gym


@dataclass(frozen=True)
class Task:
    """One task: a known env, what to do in it, and which constants of its physics differ."""

    env_id: str
    description: str
    physics: Mapping[str, float] = field(default_factory=dict)


SUITES: dict[str, tuple[Task, ...]] = {
    "balance": (
        Task("CartPole-v1", "Balance the pole."),
        Task("CartPole-v1", "Balance the pole on Jupiter.", {"gravity": 24.8}),
        Task("CartPole-v1", "Balance the pole with a weak motor.", {"force_mag": 5.0}),
    ),
    "momentum": (
        Task("Acrobot-v1", "Swing the two links above the line."),
        Task("Pendulum-v1", "Swing the pendulum up and hold it."),
        Task("Pendulum-v1", "Swing the pendulum up on the Moon.", {"g": 1.6}),
        Task("MountainCar-v0", "Rock the car to the top of the right hill."),
    ),
}


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    suites: Iterable[str] = tuple(SUITES),
    max_episode_steps: int = 200,
) -> dict[str, dict[int, gym.vector.VectorEnv]]:
    """Make `n_envs` envs for every task of the chosen suites: `{suite: {task_id: VectorEnv}}`.

    Args:
        n_envs: envs per task.
        use_async_envs: one process per env.
        suites: which suites; both by default.
        max_episode_steps: after so many steps an episode is cut off, in every task alike.
    """
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv

    def make_task(task: Task) -> gym.vector.VectorEnv:
        return vector([partial(make_one, task, max_episode_steps) for _ in range(n_envs)])

    return {name: dict(enumerate(map(make_task, SUITES[name]))) for name in suites}


def make_one(task: Task, max_episode_steps: int) -> gym.Env:
    """One env of a task, with the task's physics."""
    env = gym.make(task.env_id, max_episode_steps=max_episode_steps, render_mode="rgb_array")
    for constant, value in task.physics.items():
        setattr(env.unwrapped, constant, value)
    return Described(env, task.description)


class Described(gym.Wrapper):
    """Carries what there is to do as text, for policies that read it."""

    def __init__(self, env: gym.Env, description: str) -> None:
        super().__init__(env)
        self.task_description = description
