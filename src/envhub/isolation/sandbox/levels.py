"""How strong a cage is, and what it does not cover: one value, which is on every result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BUBBLEWRAP: Final = "bubblewrap"
LANDLOCK: Final = "landlock"
SEATBELT: Final = "seatbelt"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Level:
    """What stands between an env's code and the user.

    Attributes:
        name: `"bubblewrap"`, `"landlock"`, `"seatbelt"` or `"none"`, the strongest first.
        layers: the mechanisms that are in force.
        gaps: what they do not cover, one sentence each.
        why: why it is not a stronger one; empty for the strongest.
    """

    name: str
    layers: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_sandbox(self) -> bool:
        """Whether the user's files, tokens and network are out of reach."""
        return self.name != NONE

    def __str__(self) -> str:
        return self.name

    def as_dict(self) -> dict[str, object]:
        """The level as `--json` prints it."""
        return {
            "name": self.name,
            "layers": list(self.layers),
            "gaps": list(self.gaps),
            "why": self.why,
        }


OFF: Final = Level(
    NONE,
    gaps=("the env can do whatever you can: files, network, other processes",),
    why='sandbox="off"',
)
