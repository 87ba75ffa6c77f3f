"""Atari games as Deep Q-learning sees them: grey, 84 pixels wide, four frames at a time."""

from __future__ import annotations

from functools import partial

import ale_py
import gymnasium as gym

gym.register_envs(ale_py)


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    game: str = "Pong",
    full_action_space: bool = False,
    repeat_action_probability: float = 0.25,
) -> gym.vector.VectorEnv:
    """Make `n_envs` consoles with the same game in each.

    Args:
        n_envs: how many.
        use_async_envs: one process per console.
        game: a game by its name in the Arcade Learning Environment, `Breakout` say.
        full_action_space: all 18 actions instead of those that the game knows.
        repeat_action_probability: how often the console does again what it did before.
    """
    options = {
        "full_action_space": full_action_space,
        "repeat_action_probability": repeat_action_probability,
    }
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return vector([partial(make_console, game, **options) for _ in range(n_envs)])


def make_console(game: str, **options: float) -> gym.Env:
    """One console; four frames of the game are one step, since the wrapper skips the others."""
    env = gym.make(f"ALE/{game}-v5", frameskip=1, render_mode="rgb_array", **options)
    env = gym.wrappers.AtariPreprocessing(env, noop_max=30, frame_skip=4)
    return gym.wrappers.FrameStackObservation(env, 4)
