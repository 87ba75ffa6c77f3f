"""The user's own call of `make_env`, with what it lacks: a line to paste."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from envhub.errors import MissingDependencyError
from envhub.wishes import Wishes
from envhub.worlds import package_of


@contextmanager
def naming_packages(ref: str, wishes: Wishes, given: Mapping[str, Any]) -> Iterator[None]:
    """Say which call installs a package that an env needs and does not declare.

    Args:
        ref: the ref as typed.
        wishes: what the call has asked for already.
        given: its other arguments; those that are `None`, `False` or 1 are left out.
    """
    try:
        yield
    except MissingDependencyError as error:
        package = package_of(error.name or "")
        if package:
            extra = {"extra_requirements": [*wishes.extra_requirements, package]}
            error.why = f"nothing that it declares brings {package}"
            error.hint = line(ref, {**given, **extra})
        raise


def line(ref: str, given: Mapping[str, Any]) -> str:
    """A call of `make_env` as text."""
    words = [f"{name}={value!r}" for name, value in given.items() if not _is_usual(value)]
    return f"envhub.make_env({', '.join([repr(ref), *words])})".replace("'", '"')


def _is_usual(value: Any) -> bool:
    return value is None or value is False or (value == 1 and value is not True)
