"""Lives the current episodes of a shard again, in envs that were built anew."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from . import protocol, states
from .spaces import Leaf, pick
from .stepper import Lost, Stepper


def digest(leaves: Sequence[Leaf], obs: Any) -> str:
    """A hash of the array parts of one env's observation, as they lie in the block."""
    arrays = [leaf for leaf in leaves if leaf.dtype is not None]
    return digest_of([np.asarray(pick(obs, leaf.path), leaf.dtype) for leaf in arrays])


def digest_of(arrays: Sequence[Any]) -> str:
    """A hash of the array parts of one env's observation."""
    told = hashlib.blake2b(digest_size=16)
    for array in arrays:
        told.update(array.tobytes())
    return told.hexdigest()


def replay(
    stepper: Stepper, leaves: Sequence[Leaf], episodes: Sequence[Optional[Dict[str, Any]]]
) -> List[bool]:
    """Bring each env to where it was.

    Args:
        stepper: the envs, just built.
        leaves: the parts of an observation.
        episodes: for each env how its episode began (`seed`, `options`, `state`, and `before`,
            the last seed that it had) and went on (`actions`, `rewards`, `flags`, and `last`, the
            hash of its last observation); `None` for an env that was never reset.

    Returns:
        For each env whether it went the same way, bit for bit in every reward, every flag and the
        last observation.
    """
    same = []
    for row, episode in enumerate(episodes):
        same.append(episode is None or _live(stepper, leaves, row, episode))
    stepper.leave()
    return same


def _live(stepper: Stepper, leaves: Sequence[Leaf], row: int, episode: Dict[str, Any]) -> bool:
    env = stepper.envs[row]
    if episode["seed"] is None and episode["before"] is not None:
        stepper.turn_to(row, protocol.RESET)
        env.reset(seed=episode["before"])
    stepper.turn_to(row, protocol.RESET)
    states.write(env, episode["state"])
    obs, _ = env.reset(seed=episode["seed"], options=episode["options"])
    over = False
    for action, reward, flags in zip(episode["actions"], episode["rewards"], episode["flags"]):
        stepper.turn_to(row, protocol.STEP)
        obs, got, terminated, truncated, _ = env.step(action)
        over = bool(terminated or truncated)
        if not _equal(got, reward) or [bool(terminated), bool(truncated)] != list(flags):
            return False
    stepper.places.last[row] = obs
    if over:
        stepper.expect_autoreset(row)
    return bool(digest(leaves, obs) == episode["last"])


def _equal(got: Any, reward: float) -> bool:
    total = float(np.asarray(got, np.float64).sum())
    return total == reward or (total != total and reward != reward)


def lose(stepper: Stepper, told: Dict[str, Any]) -> None:
    """Reset envs whose episodes were lost, and let the next step of each report it.

    Args:
        stepper: the envs.
        told: `lost`, the rows of the envs; `last`, for each row its last observation that was
            seen; `seeds`, for each row the seed of its next episode, or `None`; `cause`, what
            happened to the worker.
    """
    for row in told["lost"]:
        stepper.turn_to(row, protocol.RESET)
        stepper.envs[row].reset(seed=told["seeds"][row])
        report = Lost(stepper, row)
        report.obs, report.cause = told["last"][row], told["cause"]
        stepper.places.last[row] = report.obs
        stepper.calls[row] = report
    stepper.leave()
