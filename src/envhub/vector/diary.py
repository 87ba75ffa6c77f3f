"""What a worker's envs went through since their episodes began, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# For each worker; episodes whose beginning does not fit in it cannot be replayed.
MAX_BYTES = 64 << 20


@dataclass
class Episode:
    """How the current episode of an env began.

    Attributes:
        seed: the seed of its reset, if it had one.
        options: the options of its reset.
        state: the random state before its reset.
        start: the number of its first step.
    """

    seed: Any
    options: Any
    state: Any
    start: int


class Diary:
    """Notes resets and steps of one worker's envs.

    Args:
        rows: how many envs.
        steps: note steps, too, so that they can be replayed.

    Attributes:
        seeds: for each env the seed of its last reset that had one.
        episodes: for each env its current episode; `None` before its first reset, and while it is
            lost.
        known: for each env whether it was ever reset.
    """

    def __init__(self, rows: int, *, steps: bool) -> None:
        self.seeds: list[Any] = [None] * rows
        self.episodes: list[Episode | None] = [None] * rows
        self.known = [False] * rows
        self._notes = steps
        self._first = 0
        self._bytes = 0
        self._steps: list[tuple[Any, Array, Array]] = []

    def note_reset(self, told: dict[str, Any], states: dict[int, Any]) -> None:
        """Note a reset: what the worker was told, and the random states that it answered."""
        for row, seed in enumerate(told["seeds"]):
            if told["mask"] is None or told["mask"][row]:
                self.known[row] = True
                if seed is not None:
                    self.seeds[row] = seed
                state = states.get(row)
                self.episodes[row] = Episode(seed, told["options"], state, self._next())
        self._trim()

    def note_step(self, actions: Any, rewards: Array, flags: Array, states: dict[int, Any]) -> None:
        """Note a step.

        Args:
            actions: of these envs: an array, or packed.
            rewards: (rows,) float64.
            flags: (2, rows) uint8.
            states: random states from before the autoresets of this step, by row.
        """
        if not self._notes:
            return
        self._steps.append((actions, rewards, flags))
        self._bytes += _size(actions) + rewards.nbytes + flags.nbytes
        for row, state in states.items():
            self.episodes[row] = Episode(None, None, state, self._next())
        if states or self._bytes > MAX_BYTES:
            self._trim()

    def note_loss(self, rows: Sequence[int]) -> None:
        """Note that the episodes of some envs cannot be brought back."""
        for row in rows:
            self.episodes[row] = None

    def replayable(self) -> list[int]:
        """The envs whose episodes can be replayed."""
        return [
            row
            for row, episode in enumerate(self.episodes)
            if episode is not None and self._notes and episode.start >= self._first
        ]

    def tell(self, rows: Sequence[int], decode: Any) -> dict[str, Any]:
        """The episodes of some envs, as `worker.replay` wants them but for their last hash.

        Args:
            rows: the envs.
            decode: unpacks actions that were packed.
        """
        chosen = {row: self.episodes[row] for row in rows}
        begun = {row: episode for row, episode in chosen.items() if episode is not None}
        first = min((episode.start for episode in begun.values()), default=self._next())
        steps = self._steps[first - self._first :]
        episodes: list[Any] = [None] * len(self.episodes)
        for row, episode in begun.items():
            start, before = episode.start - first, self.seeds[row]
            episodes[row] = {**vars(episode), "start": start, "before": before}
        return {
            "episodes": episodes,
            "actions": [decode(a) if isinstance(a, bytes) else a for a, _, _ in steps],
            "rewards": [rewards for _, rewards, _ in steps],
            "flags": [flags for _, _, flags in steps],
        }

    def _next(self) -> int:
        return self._first + len(self._steps)

    def _trim(self) -> None:
        starts = [episode.start for episode in self.episodes if episode is not None]
        useless = min(starts, default=self._next()) - self._first
        # Seldom, because it moves the whole list.
        if useless > len(self._steps) // 2:
            self._drop(useless)
        while self._bytes > MAX_BYTES:
            self._drop(len(self._steps) // 2 + 1)

    def _drop(self, count: int) -> None:
        for actions, rewards, flags in self._steps[:count]:
            self._bytes -= _size(actions) + rewards.nbytes + flags.nbytes
        del self._steps[:count]
        self._first += count


def _size(actions: Any) -> int:
    return len(actions) if isinstance(actions, bytes) else int(actions.nbytes)
