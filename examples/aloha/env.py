"""ALOHA: two arms hand a cube over, or put a peg into a socket. LeRobot's env for its policies."""

from __future__ import annotations

from functools import partial

import gym_aloha  # noqa: F401  (importing it registers the ids)
import gymnasium as gym

TASKS = {
    "transfer-cube": ("gym_aloha/AlohaTransferCube-v0", "Hand the cube from arm to arm."),
    "insertion": ("gym_aloha/AlohaInsertion-v0", "Put the peg into the socket."),
}


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    task: str | None = None,
    agent_pos: bool = True,
    max_episode_steps: int = 300,
) -> dict[str, dict[str, gym.vector.VectorEnv]]:
    """Make `n_envs` tables for each task, or for one of them.

    Args:
        n_envs: tables per task.
        use_async_envs: one process per table; worth it, since drawing the pixels takes the time.
        task: `transfer-cube` or `insertion`; both by default.
        agent_pos: whether the joints' angles are observed beside the camera's picture.
        max_episode_steps: after so many steps of 1/50 s the episode is cut off.
    """
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    # The last observation of an episode arrives in the info, where LeRobot's evaluation reads it.
    same_step = gym.vector.AutoresetMode.SAME_STEP

    def make_task(name: str) -> gym.vector.VectorEnv:
        make_one = partial(make_table, name, agent_pos, max_episode_steps)
        return vector([make_one for _ in range(n_envs)], autoreset_mode=same_step)

    return {"aloha": {name: make_task(name) for name in ([task] if task else TASKS)}}


def make_table(task: str, agent_pos: bool, max_episode_steps: int) -> gym.Env:
    """One table with two arms."""
    env_id, description = TASKS[task]
    env = gym.make(
        env_id,
        obs_type="pixels_agent_pos" if agent_pos else "pixels",
        render_mode="rgb_array",
        max_episode_steps=max_episode_steps,
    )
    return Described(env, task, description)


class Described(gym.Wrapper):
    """Carries the task as text, for policies that read it."""

    def __init__(self, env: gym.Env, task: str, description: str) -> None:
        super().__init__(env)
        self.task = task
        self.task_description = description
