"""Close whatever holds envs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

logger = logging.getLogger("envhub")


def close_envs(obj: Any) -> None:
    """Close an env, a vector env, or all in a mapping or sequence, however deep.

    One that fails to close is logged and does not keep the others open.

    Raises:
        NotImplementedError: `obj` is nothing that could be closed.
    """
    if isinstance(obj, Mapping):
        _close_all(obj.values())
    elif isinstance(obj, Sequence):
        _close_all([] if isinstance(obj, (str, bytes)) else obj)
    elif hasattr(obj, "close"):
        _close(obj)
    else:
        raise NotImplementedError(f"a {type(obj).__name__} cannot be closed")


def _close_all(envs: Any) -> None:
    for env in envs:
        if isinstance(env, (Mapping, Sequence)) or hasattr(env, "close"):
            close_envs(env)


def _close(env: Any) -> None:
    try:
        env.close()
    except Exception:
        logger.exception("closing %s failed", env)
