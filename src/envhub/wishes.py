"""What the user adds to what an env declares, and what they allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from envhub.errors import ArgumentError, ArgumentTypeError

COMMIT: Final = "commit"
NEVER: Final = "never"

Date = Callable[[], datetime | None]
"""When a commit was made; asked only if that matters."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user adds to what an env declares, and what they allow.

    Attributes:
        extra_requirements: packages beside those that it declares.
        allow_build: names of packages that may be built from source, which runs their code.
        allow_python_download: whether uv may download a Python if none here suits.
        exclude_newer: packages of which day: `commit` is the day of the env's commit, `never` is
            today, and anything else is a time like `2025-01-31`.

    Raises:
        ArgumentError: one of them cannot be meant.
    """

    extra_requirements: Sequence[str] = ()
    allow_build: Sequence[str] = ()
    allow_python_download: bool = False
    exclude_newer: str = COMMIT

    def __post_init__(self) -> None:
        for name in ("extra_requirements", "allow_build"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ArgumentTypeError(f"{name}={value!r} is no list", hint=f'{name}=["{value}"]')
        self.day(lambda: None)

    def day(self, date: Date) -> datetime | None:
        """The time after which no package is looked at; `None` if there is none.

        Raises:
            ArgumentError: `exclude_newer` is no time.
        """
        if self.exclude_newer == NEVER:
            return None
        if self.exclude_newer == COMMIT:
            made = date()
            # All of that day: who commits may upload a package a little later.
            return made and _midnight(made) + timedelta(days=1)
        try:
            when = datetime.fromisoformat(self.exclude_newer)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"exclude_newer={self.exclude_newer!r} is no time",
                why=f'it is "{COMMIT}", "{NEVER}" or a time',
                hint='exclude_newer="2025-01-31"',
            ) from error
        return when if when.tzinfo else when.replace(tzinfo=UTC)


def _midnight(when: datetime) -> datetime:
    return datetime.combine(when.astimezone(UTC), time(), UTC)
