"""Cart-pole: keep a pole upright on a cart. The smallest env repo there is."""

from __future__ import annotations

import gymnasium as gym


def make_env(n_envs: int = 1, use_async_envs: bool = False) -> gym.vector.VectorEnv:
    """Make `n_envs` cart-poles that step together, each in its own process if asked for."""
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return vector([make_one for _ in range(n_envs)])


def make_one() -> gym.Env:
    """One cart-pole; `render_mode` makes it possible to film it."""
    return gym.make("CartPole-v1", render_mode="rgb_array")
