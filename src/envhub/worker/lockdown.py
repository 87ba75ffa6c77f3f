"""Lock this process down, before a byte of anybody else's code is in it.

The orders come from the client, which has looked at what the machine can do. Each of them is
carried out or the process ends: a lock that does not close is no reason to go on without it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from . import landlock, limits, privileges, seccomp
from .faults import Fault


def apply(orders: Mapping[str, Any]) -> Dict[str, Any]:
    """Carry out orders; those that are not given are not carried out.

    Args:
        orders: `limits` (see `limits.limit`), `uid` (a number), `landlock` (see
            `landlock.restrict`), `seccomp` (see `seccomp.wear`).

    Returns:
        What holds from now on, by the same names.

    Raises:
        Fault: one of them failed.
    """
    done: Dict[str, Any] = {}
    for name, carry_out in _STEPS.items():
        if orders.get(name) is None:
            continue
        try:
            done[name] = carry_out(orders)
        except (OSError, ImportError) as error:
            raise Fault(
                "isolation-unavailable",
                "the sandbox could not be closed: {}".format(name),
                why=str(error),
                hint="envhub doctor   # what this machine can do",
            ) from error
    return done


def _limits(orders: Mapping[str, Any]) -> Any:
    limits.first_to_go()
    limits.limit(orders["limits"])
    return dict(orders["limits"])


def _uid(orders: Mapping[str, Any]) -> Any:
    privileges.become(orders["uid"], read_all=orders.get("landlock") is not None)
    return orders["uid"]


def _landlock(orders: Mapping[str, Any]) -> Any:
    privileges.no_new_privileges()
    return landlock.restrict(orders["landlock"])


def _seccomp(orders: Mapping[str, Any]) -> Any:
    privileges.no_new_privileges()
    seccomp.wear(orders["seccomp"])
    return True


# In this order: who is no longer root cannot raise its limits again, and needs no right to give
# up files and calls.
_STEPS = {"limits": _limits, "uid": _uid, "landlock": _landlock, "seccomp": _seccomp}
