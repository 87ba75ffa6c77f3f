"""What every isolation level can do, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from envhub.faults import error_for
from envhub.fetch import Source
from envhub.worker.call import Request
from envhub.worker.faults import Fault

Tasks = Mapping[str, Mapping[str | int, Any]]
"""`{suite: {task: vector env}}`."""


class Isolation(Protocol):
    """A place where the code of a repo runs."""

    def make(self, source: Source, request: Request) -> Tasks:
        """Load the source's entry file there and call its `make_env` once.

        Raises:
            LoadError: the file cannot be imported there.
            ContractError: `make_env` does not keep the contract.
            IsolationError: the level cannot be had.
        """
        ...


@contextmanager
def translating() -> Iterator[None]:
    """Turn the `Fault` of a repo into the error with its code; other exceptions pass."""
    try:
        yield
    except Fault as fault:
        raise error_for(fault) from fault.__cause__
