"""The random state of an env: read before an unseeded reset, written back to live it again."""

from __future__ import annotations

from typing import Any, Dict, Iterator

import numpy as np

SPACES = ("action_space", "observation_space")

# Where spaces keep the spaces that they are made of.
PARTS = ("spaces", "feature_space", "node_space", "edge_space")


def read(env: Any) -> Dict[str, Any]:
    """The states of an env's own generator and of its spaces' generators, as plain values."""
    core = env.unwrapped
    # Asking for np_random makes it, from the system's entropy, if there is none yet.
    told = {"env": _tell(core.np_random), "seed": getattr(core, "_np_random_seed", None)}
    for name in SPACES:
        told[name] = [_tell(space.np_random) for space in _parts(getattr(core, name, None))]
    return told


def write(env: Any, told: Dict[str, Any]) -> None:
    """Give an env the random state that `read` saw."""
    core = env.unwrapped
    core.np_random = _rebuild(told["env"])
    core._np_random_seed = told["seed"]
    for name in SPACES:
        for space, state in zip(_parts(getattr(core, name, None)), told[name]):
            space._np_random = _rebuild(state)


def _parts(space: Any) -> Iterator[Any]:
    """A space and all that it is made of."""
    if hasattr(space, "_np_random"):
        yield space
    for name in PARTS:
        inner = getattr(space, name, ())
        values = inner.values() if isinstance(inner, dict) else inner
        for part in values if isinstance(inner, (dict, tuple, list)) else (inner,):
            yield from _parts(part)


def _tell(generator: Any) -> Any:
    return generator.bit_generator.state


def _rebuild(state: Dict[str, Any]) -> np.random.Generator:
    kind = getattr(np.random, state["bit_generator"])
    bits = kind()
    bits.state = state
    return np.random.Generator(bits)
