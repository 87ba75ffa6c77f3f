"""The error of our tree for what is wrong with a repo."""

from __future__ import annotations

from envhub.errors import EnvHubError
from envhub.worker.faults import Fault


def error_for(fault: Fault) -> EnvHubError:
    """The error that says the same as a fault."""
    error = _BY_CODE[fault.code](fault.what, why=fault.why, hint=fault.hint)
    if fault.name:
        error.name = fault.name  # type: ignore[attr-defined]  # an ImportError has it
    return error


def _codes(kind: type[EnvHubError]) -> dict[str, type[EnvHubError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        found.update(_codes(child))
    return found


_BY_CODE = _codes(EnvHubError)
