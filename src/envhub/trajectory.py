"""What an env does with some seeds and actions, as one hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from envhub.envdict import EnvDict


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Two hashes that grow.

    Attributes:
        seen: over observations, rewards and flags.
        done: over actions.
    """

    seen: _Hash = field(default_factory=hashlib.sha256)
    done: _Hash = field(default_factory=hashlib.sha256)

    @property
    def digests(self) -> tuple[str, str]:
        """Both, as `sha256:…`."""
        return f"sha256:{self.seen.hexdigest()}", f"sha256:{self.done.hexdigest()}"


def follow(envs: EnvDict, *, seeds: int, steps: int) -> Trajectory:
    """Run every task with random actions and hash what happens.

    Args:
        envs: the tasks; each is closed when its turn is over.
        seeds: how many episodes are begun in each task, with the seeds 0, 1, …
        steps: how many steps are made after each; an episode that ends is followed by another.
    """
    trajectory = Trajectory()
    for task, env in envs.flat():
        mix(trajectory.seen, task)
        for seed in range(seeds):
            _follow(env, seed, steps, trajectory)
        env.close()
    return trajectory


def _follow(env: Any, seed: int, steps: int, trajectory: Trajectory) -> None:
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    mix(trajectory.seen, observation)
    for _ in range(steps):
        action = env.action_space.sample()
        mix(trajectory.done, action)
        mix(trajectory.seen, env.step(action)[:4])  # infos may have times in them


def mix(into: _Hash, value: Any) -> None:
    """Add a value to a hash: its type, its shape, and its bytes."""
    if isinstance(value, Mapping):
        keys = sorted(value, key=str)
        into.update(b"{%d" % len(keys))
        for key in keys:
            mix(into, str(key))
            mix(into, value[key])
    elif isinstance(value, str | bytes | None):
        into.update(repr(value).encode() + b"\0")
    elif isinstance(value, np.ndarray) and value.dtype.kind not in "OUS":
        plain = np.ascontiguousarray(value)
        little = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        into.update(f"{little.dtype.str}{value.shape}".encode() + little.tobytes())
    elif isinstance(value, Sequence | np.ndarray):
        into.update(b"[%d" % len(value))
        for each in value:
            mix(into, each)
    else:
        mix(into, np.asarray(value))
