"""Three agents spread out over three landmarks: a PettingZoo env, steered by one policy."""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import numpy as np
from mpe2 import simple_spread_v3


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    agents: int = 3,
    local_ratio: float = 0.5,
    max_cycles: int = 25,
) -> gym.vector.VectorEnv:
    """Make `n_envs` fields.

    Args:
        n_envs: how many fields.
        use_async_envs: one process per field.
        agents: agents, and landmarks, on each field.
        local_ratio: share of the reward that an agent gets for itself, not for all.
        max_cycles: steps until an episode is cut off.
    """
    make_one = partial(Together, N=agents, local_ratio=local_ratio, max_cycles=max_cycles)
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return vector([make_one for _ in range(n_envs)])


class Together(gym.Env):
    """A parallel env of PettingZoo, whose agents all see, act and are rewarded as one.

    Observations are stacked, actions are one number per agent, the reward is the agents' mean.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    render_mode = "rgb_array"

    def __init__(self, **options: float) -> None:
        self.game = simple_spread_v3.parallel_env(render_mode=self.render_mode, **options)
        self.agents = self.game.possible_agents
        one = self.game.observation_space(self.agents[0])
        shape = (len(self.agents), *one.shape)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, shape, one.dtype)
        moves = [self.game.action_space(agent).n for agent in self.agents]
        self.action_space = gym.spaces.MultiDiscrete(moves)

    def reset(self, *, seed=None, options=None):
        """Put agents and landmarks somewhere."""
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(2**31))
        observations, _ = self.game.reset(seed=seed)
        return self.stack(observations), {}

    def step(self, action):
        """Move all agents at once."""
        moves = dict(zip(self.agents, map(int, action), strict=True))
        observations, rewards, terminated, truncated, _ = self.game.step(moves)
        info = {"rewards": np.array([rewards[agent] for agent in self.agents])}
        ends = (any(terminated.values()), any(truncated.values()))
        return self.stack(observations), float(info["rewards"].mean()), *ends, info

    def render(self):
        """The field from above."""
        return self.game.render()

    def close(self):
        """Close the game's window."""
        self.game.close()

    def stack(self, observations):
        """All agents' observations as one array, in the order of their names."""
        return np.stack([observations[agent] for agent in self.agents])
