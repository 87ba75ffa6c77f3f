"""Whether the envs of a shard have the spaces that the whole vector env has."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np

from . import gyms
from .gyms import spaces
from .spaces import describe, leaves


def same_spaces(envs: Sequence[Any], told: Dict[str, Any]) -> Dict[str, List[bool]]:
    """For each env whether its spaces are those of the vector env.

    Args:
        envs: the raw envs.
        told: `observation_space`, `action_space`, and `same`: whether observation spaces have to
            be equal, or only of the same type and shape.
    """
    compare = same if told["same"] else alike
    return {
        "observation": [compare(told["observation_space"], e.observation_space) for e in envs],
        "action": [same(told["action_space"], env.action_space) for env in envs],
    }


def same(one: Any, other: Any) -> bool:
    """Whether two spaces are equal; quick for the bounds of large boxes."""
    if one is other:
        return True
    if type(one) is type(other) is spaces.Box and _same_box(one, other):
        return True
    # One of them may have crossed a trust border, and then is of the nearest known kind.
    return bool(one == other) or describe(one) == describe(other)


def alike(one: Any, other: Any) -> bool:
    """Whether two spaces have the same type and shape."""
    if gyms.is_equivalent is not None:
        return bool(gyms.is_equivalent(one, other))
    return [leaf[2:] for leaf in leaves(one)] == [leaf[2:] for leaf in leaves(other)]


def _same_box(one: spaces.Box, other: spaces.Box) -> bool:
    return (
        one.dtype == other.dtype
        and np.array_equal(one.low, other.low)
        and np.array_equal(one.high, other.high)
    )
