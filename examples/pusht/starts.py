"""The same starting positions for everybody, read from a file of the repo."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np

# agent x, agent y, block x, block y (in 0…512) and the block's angle (in radians), one row each.
STARTS = np.loadtxt(Path(__file__).parent / "assets" / "starts.csv", delimiter=",", skiprows=1)


class FixedStarts(gym.Wrapper):
    """Starts each episode from a row of `STARTS`: the seed's row first, then the rows after it."""

    _next = 0

    def reset(self, *, seed=None, options=None):
        """Put the agent and the block where the next row says."""
        if seed is not None:
            self._next = seed
        start = STARTS[self._next % len(STARTS)]
        self._next += 1
        options = {**(options or {}), "reset_to_state": start}
        return self.env.reset(seed=seed, options=options)
