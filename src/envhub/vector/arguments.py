"""Checks what Gymnasium checks, in its words."""

from __future__ import annotations

from typing import Any

import numpy as np


def seeds_of(seed: Any, num_envs: int) -> list[Any]:
    """A seed for each env.

    Args:
        seed: `None`, a whole number for the first env (the next one has one more), or a list.
        num_envs: how many envs.

    Raises:
        ValueError: a list of another length.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, int | np.integer):
        return [int(seed) + env for env in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(
            f"If seeds are passed as a list the length must match num_envs={num_envs} "
            f"but got length={len(seed)}."
        )
    return list(seed)


def mask_of(options: dict[str, Any] | None, num_envs: int) -> tuple[Any, Any]:
    """The options for each env, and the mask of envs to reset, `None` for all.

    The caller's dict stays as it is.

    Raises:
        TypeError: the mask is no array of bool.
        ValueError: the mask has another shape, or picks no env.
    """
    if options is None or "reset_mask" not in options:
        return options, None
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray):
        raise TypeError(f"`options['reset_mask']` must be a numpy array, got {type(mask)}")
    if mask.shape != (num_envs,):
        raise ValueError(
            f"`options['reset_mask']` must have shape `({num_envs},)`, got {mask.shape}"
        )
    if mask.dtype != np.bool_:
        raise TypeError(f"`options['reset_mask']` must have `dtype=np.bool_`, got {mask.dtype}")
    if not mask.any():
        raise ValueError(
            "`options['reset_mask']` must contain a boolean array with at least one True value, "
            f"got reset_mask={mask}"
        )
    return {key: value for key, value in options.items() if key != "reset_mask"}, mask


def concurrency_of(limit: Any) -> int | None:
    """How many envs may step at once.

    Raises:
        ValueError: no whole number, or less than 1.
    """
    if limit is None:
        return None
    if not isinstance(limit, int | np.integer):
        raise ValueError(f"`max_concurrency` must be an integer or None, got {type(limit)}.")
    if limit < 1:
        raise ValueError(f"`max_concurrency` must be a positive or None, got {limit}.")
    return int(limit)
