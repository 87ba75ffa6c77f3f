"""What a repo may use beyond its own files: asked for in its manifest, granted by the user."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of an environment variable."""

_FLAGS: Final = ("network", "gpu", "display")


class Permissions(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True
):
    """What the env needs beyond its own files; nothing by default.

    Attributes:
        network: connections to other machines.
        gpu: the GPU's device files.
        display: a screen.
        writable: folders of the repo that it writes to.
        env: variables of the user's environment that it reads.
    """

    network: bool = False
    gpu: bool = False
    display: bool = False
    writable: tuple[str, ...] = ()
    env: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """One word each, as they are written in grants: `network`, `write:logs`, `env:NAME`."""
        flags = [name for name in _FLAGS if getattr(self, name)]
        folders = [f"write:{folder}" for folder in self.writable]
        return (*flags, *folders, *(f"env:{name}" for name in self.env))

    @staticmethod
    def of(words: Iterable[str]) -> Permissions:
        """The permissions that these words name; `words` is the way back.

        Raises:
            ValueError: a word names no permission.
        """
        found = sorted(set(words))
        for word in found:
            if problem := _word_problem(word):
                raise ValueError(f"{word!r} {problem}")
        return Permissions(
            **{name: name in found for name in _FLAGS},
            writable=tuple(w.removeprefix("write:") for w in found if w.startswith("write:")),
            env=tuple(word.removeprefix("env:") for word in found if word.startswith("env:")),
        )


def _word_problem(word: str) -> str:
    kind, colon, value = word.partition(":")
    if kind == "write" and colon:
        return "" if is_inside(value) else "names no folder of the repo"
    if kind == "env" and colon:
        return "" if VARIABLE.fullmatch(value) else "names no environment variable"
    known = ", ".join((*_FLAGS, "write:<folder>", "env:<NAME>"))
    return "" if word in _FLAGS else f"is none of {known}"


NONE: Final = Permissions()
"""No permissions at all."""


def is_inside(path: str) -> bool:
    """Whether a path of a manifest or a grant stays in the repo."""
    parts = path.split("/")
    return not (".." in parts or "" in parts or re.search(r"[\\\x00-\x1f:]|^~", path))
