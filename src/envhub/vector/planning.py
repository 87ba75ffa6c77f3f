"""What the envs of a vector are, from what the workers say and what the caller wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium import Space
from gymnasium.vector.utils import batch_differing_spaces, batch_space

ObservationMode = str | tuple[Space[Any], Space[Any]]

NOT_EQUIVALENT = (
    "AsyncVectorEnv(..., observation_mode='same') however some of the sub-environments observation "
    "spaces are not equivalent. If this is intentional, use `observation_mode='different'` instead."
)
NOT_ALIKE = (
    "AsyncVectorEnv(..., observation_mode='different' or custom space) however the "
    "sub-environment's observation spaces do not share a common shape and dtype."
)


def check_mode(mode: Any) -> None:
    """Refuse an observation mode that is none, in Gymnasium's words.

    Raises:
        TypeError: a pair, but not of spaces.
        ValueError: something else.
    """
    if isinstance(mode, tuple) and len(mode) == 2:
        if not all(isinstance(space, Space) for space in mode):
            kinds = " and ".join(str(type(space)) for space in mode)
            raise TypeError(f"Expected both elements of observation_mode to be Spaces, got {kinds}")
    elif mode not in ("same", "different"):
        raise ValueError(
            "Invalid `observation_mode`, expected: 'same' or 'different' or tuple of single and "
            f"batch observation space, actual got {mode}"
        )


def observation_spaces(
    mode: ObservationMode, said: Sequence[dict[str, Any]], num_envs: int
) -> tuple[Space[Any], Space[Any]]:
    """The spaces of one env's observation and of all envs' observations.

    Args:
        mode: how observation spaces are batched.
        said: what each worker said of its envs.
        num_envs: how many envs.
    """
    if isinstance(mode, tuple):
        batched, single = mode
        return single, batched
    if mode == "same":
        single = said[0]["observation_space"]
        return single, batch_space(single, num_envs)
    spaces = [space for told in said for space in told["spaces"]]
    return spaces[0], batch_differing_spaces(spaces)


def check_spaces(
    mode: ObservationMode, action_space: Space[Any], said: Sequence[dict[str, Any]], size: int
) -> None:
    """Refuse envs whose spaces are not those of the vector, in Gymnasium's words.

    Args:
        mode: how observation spaces are batched.
        action_space: of one env.
        said: what each worker said of its envs' spaces.
        size: bytes of the block.

    Raises:
        RuntimeError: some env has other spaces.
    """
    if not all(same for told in said for same in told["observation"]):
        raise RuntimeError(NOT_EQUIVALENT if mode == "same" else NOT_ALIKE)
    if not all(same for told in said for same in told["action"]):
        raise RuntimeError(
            f"Some environments have an action space different from `{action_space}`. In order to "
            "batch actions, the action spaces from all environments must be equal."
        )
    if any(told["size"] != size for told in said):
        raise RuntimeError("the envs do not agree on how large their observations are")
