"""Procgen: sixteen games whose levels are drawn from seeds, thousands of steps per second in C++.

It was last released for Python 3.10 and an interface that has been replaced since; that is no
reason to leave it.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from procgen import ProcgenGym3Env


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    game: str = "coinrun",
    start_level: int = 0,
    num_levels: int = 0,
    distribution_mode: str = "easy",
) -> gym.vector.VectorEnv:
    """Make `n_envs` games, which are one batch: Procgen has threads of its own.

    Args:
        n_envs: how many.
        use_async_envs: makes no difference.
        game: one of the sixteen.
        start_level: the first level.
        num_levels: how many levels there are from that on; 0 is all.
        distribution_mode: how hard they are.
    """
    levels = {"start_level": start_level, "num_levels": num_levels}
    return Games(n_envs, env_name=game, distribution_mode=distribution_mode, **levels)


class Games(gym.vector.VectorEnv):
    """A batch of Procgen's, whose games begin anew within the step that ends them.

    Procgen does not show the last picture of a game. Its generator is seeded when it is made, so
    `reset` makes the batch anew if it is given a seed.
    """

    metadata = {
        "autoreset_mode": gym.vector.AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 15,
    }
    render_mode = "rgb_array"

    def __init__(self, num_envs: int, **options: object) -> None:
        self.num_envs = num_envs
        self.options = options
        self.games = None
        batch = gym.vector.utils.batch_space
        self.single_observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
        self.single_action_space = gym.spaces.Discrete(15)
        self.observation_space = batch(self.single_observation_space, num_envs)
        self.action_space = batch(self.single_action_space, num_envs)

    def reset(self, *, seed=None, options=None):
        """Begin; without a seed only if nothing has begun yet."""
        if self.games is None or seed is not None:
            self.close_extras()
            drawn = np.random.SeedSequence(seed).generate_state(1)[0]
            seed = int(drawn) % 2**31
            self.games = ProcgenGym3Env(num=self.num_envs, rand_seed=seed, **self.options)
        return self.picture(), self.infos()

    def step(self, actions):
        """One step of all games."""
        self.games.act(np.asarray(actions, np.int32))
        reward, _, first = self.games.observe()
        return self.picture(), reward, first.copy(), np.zeros_like(first), self.infos()

    def render(self):
        """What is observed, for each game."""
        return tuple(self.picture())

    def close_extras(self, **kwargs: object) -> None:
        """End Procgen's threads."""
        if self.games is not None:
            self.games.close()
            self.games = None

    def picture(self):
        """A copy, since Procgen writes the next picture into the same memory."""
        return self.games.observe()[1]["rgb"].copy()

    def infos(self):
        """Which level each game is in, and whether the one before was completed."""
        infos = self.games.get_info()
        return {
            "level_seed": np.array([info["level_seed"] for info in infos]),
            "is_success": np.array([bool(info["prev_level_complete"]) for info in infos]),
        }
