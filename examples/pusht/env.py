"""Push-T: push a T-shaped block onto its outline. LeRobot's env, ready for its policies."""

from __future__ import annotations

from functools import partial

import gym_pusht  # noqa: F401  (importing it registers PushT with Gymnasium)
import gymnasium as gym

from .starts import FixedStarts

OBSERVATIONS = {"pixels": "pixels_agent_pos", "state": "environment_state_agent_pos"}


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    observation: str = "pixels",
    fixed_starts: bool = False,
    max_episode_steps: int = 300,
) -> gym.vector.VectorEnv:
    """Make `n_envs` tables with a block on each.

    Args:
        n_envs: how many tables.
        use_async_envs: one process per table.
        observation: `pixels` gives `{"pixels", "agent_pos"}`, `state` gives
            `{"environment_state", "agent_pos"}`: the names that LeRobot's policies know.
        fixed_starts: start from `assets/starts.csv`, so that policies meet the same episodes.
        max_episode_steps: after so many steps of 0.1 s the episode is cut off.
    """
    if observation not in OBSERVATIONS:
        raise ValueError(f"observation={observation!r}: take one of {', '.join(OBSERVATIONS)}")
    make_one = partial(make_table, OBSERVATIONS[observation], fixed_starts, max_episode_steps)
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    # The last observation of an episode arrives in the info, where LeRobot's evaluation reads it.
    same_step = gym.vector.AutoresetMode.SAME_STEP
    return vector([make_one for _ in range(n_envs)], autoreset_mode=same_step)


def make_table(obs_type: str, fixed_starts: bool, max_episode_steps: int) -> gym.Env:
    """One table. The pixels are drawn by the renderer, so PushT needs `rgb_array` even unfilmed."""
    env = gym.make(
        "gym_pusht/PushT-v0",
        obs_type=obs_type,
        render_mode="rgb_array",
        max_episode_steps=max_episode_steps,
    )
    env = FixedStarts(env) if fixed_starts else env
    return Described(env)


class Described(gym.Wrapper):
    """Carries the task as text, for policies that read it."""

    task = "pusht"
    task_description = "Push the T-shaped block onto the T-shaped target."
