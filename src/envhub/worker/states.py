"""The random state of an env: read before an unseeded reset, written back to live it again."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

SPACES = ("action_space", "observation_space")


def read(env: Any) -> Dict[str, Any]:
    """The states of an env's own generator and of its spaces' generators, as plain values."""
    core = env.unwrapped
    # Asking for np_random creates it, from the system's entropy, if the env has none yet.
    told = {"env": _tell(core.np_random), "seed": getattr(core, "_np_random_seed", None)}
    for name in SPACES:
        told[name] = _tell(getattr(getattr(core, name, None), "_np_random", None))
    return told


def write(env: Any, told: Dict[str, Any]) -> None:
    """Give an env the random state that `read` saw."""
    core = env.unwrapped
    core.np_random = _rebuild(told["env"])
    core._np_random_seed = told["seed"]
    for name in SPACES:
        if told[name] is not None:
            getattr(core, name)._np_random = _rebuild(told[name])


def _tell(generator: Any) -> Any:
    return None if generator is None else generator.bit_generator.state


def _rebuild(state: Dict[str, Any]) -> np.random.Generator:
    kind = getattr(np.random, state["bit_generator"])
    bits = kind()
    bits.state = state
    return np.random.Generator(bits)
