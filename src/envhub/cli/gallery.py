"""The gallery in a hub: for `envhub demo` and `envhub serve --demo`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import envhub
from envhub.errors import NotFoundError

if TYPE_CHECKING:
    from envhub.server.hub import Hub

GALLERY = Path(envhub.__file__).parents[2] / "examples"
"""Where the gallery is in a checkout; an installed envhub does not have it."""

OWNER = "gallery"
TAG = "v1.0"


@dataclass(frozen=True)
class Published:
    """An env repo of the gallery, in a hub."""

    name: str
    commit: str
    files: int

    @property
    def repo(self) -> str:
        """Its full name."""
        return f"{OWNER}/{self.name}"

    @property
    def ref(self) -> str:
        """What to type to load it."""
        return f"{self.repo}@{TAG}"


def publish(gallery: Path, hub: Hub) -> Iterator[Published]:
    """Put every env repo of a folder into a hub, with a tag; what is there already stays.

    Raises:
        NotFoundError: the folder has none.
    """
    # Here, since the server is an optional extra.
    from envhub.server.seeding import Seed, files_of, sow

    found = sorted(path.parent for path in gallery.glob("*/env.py"))
    if not found:
        raise NotFoundError(
            f"the gallery is not in {gallery}",
            why="the demo publishes the env repos of a checkout, and this envhub was installed "
            "without one",
            hint="run it in a checkout: make demo",
        )
    for folder in found:
        files = files_of(folder)
        seed = Seed(f"{OWNER}/{folder.name}", files, tag=TAG, message=f"Publish {folder.name}")
        yield Published(folder.name, sow(hub, seed), len(files))
