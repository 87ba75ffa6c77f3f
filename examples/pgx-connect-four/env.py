"""Connect Four against a random opponent, all games of a batch in one compiled step of JAX."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pgx

GAME = pgx.make("connect_four")


def make_env(n_envs: int = 1, use_async_envs: bool = False) -> gym.vector.VectorEnv:
    """Make `n_envs` boards, which are one batch: there is nothing to share out over processes."""
    return Boards(n_envs)


class Boards(gym.vector.VectorEnv):
    """A batch of boards whose state stays on JAX's device; only what is observed leaves it.

    A game that is over begins anew at the next step, as in Gymnasium's vector envs.
    """

    metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP, "render_modes": []}
    render_mode = None

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = gym.spaces.Box(0, 1, GAME.observation_shape, np.int8)
        self.single_action_space = gym.spaces.Discrete(GAME.num_actions)
        self.observation_space = gym.vector.utils.batch_space(
            self.single_observation_space, num_envs
        )
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed=None, options=None):
        """New games; a seed decides about all of them together."""
        seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self.key, key = jax.random.split(jax.random.PRNGKey(seed))
        self.state = begin(jax.random.split(key, self.num_envs))
        return observe(self.state), {"legal_actions": np.asarray(self.state.legal_action_mask)}

    def step(self, actions):
        """A move of the agent, and the opponent's answer."""
        self.key, key = jax.random.split(self.key)
        keys = jax.random.split(key, self.num_envs)
        self.state, rewards, ends = play(self.state, jnp.asarray(actions), keys)
        info = {"legal_actions": np.asarray(self.state.legal_action_mask)}
        ends = np.asarray(ends)
        return observe(self.state), np.asarray(rewards), ends, np.zeros_like(ends), info


def new_game(key):
    """A board in which it is the agent's turn: half of the time the opponent has moved."""
    first, answer = jax.random.split(key)
    state = GAME.init(first)
    return jax.lax.cond(state.current_player == 0, lambda: state, lambda: answered(state, answer))


def turn(state, action, key):
    """One step of one board: a new game if the last one is over, else a move and its answer."""
    fresh, answer = jax.random.split(key)

    def move():
        moved = GAME.step(state, action)
        return jax.lax.cond(moved.terminated, lambda: moved, lambda: answered(moved, answer))

    now = jax.lax.cond(state.terminated, lambda: new_game(fresh), move)
    return now, jnp.where(state.terminated, 0.0, now.rewards[0]), now.terminated


def answered(state, key):
    """The board after any legal move of the opponent."""
    logits = jnp.where(state.legal_action_mask, 0.0, -jnp.inf)
    return GAME.step(state, jax.random.categorical(key, logits))


def observe(state):
    """The boards as the agent sees them: its own stones, and the opponent's."""
    return np.asarray(seen(state)).astype(np.int8)


begin = jax.jit(jax.vmap(new_game))
play = jax.jit(jax.vmap(turn))
seen = jax.jit(jax.vmap(partial(GAME.observe, player_id=0)))
