"""Names that must be importable, but whose work only LeRobot itself can do."""

from __future__ import annotations

from typing import Any


class OnlyInLeRobot:
    """Base of classes that can be imported and named in annotations, but not made."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        name = type(self).__name__
        raise ImportError(
            f"{name} needs LeRobot, which is not installed here; envhub only stands in for the "
            "names that env repos use\n→ pip install lerobot",
            name="lerobot",
        )
