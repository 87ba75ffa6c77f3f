"""Looks at one commit of a repo, in a process of its own: `python -m envhub.server.examining`.

It is told a folder, and the hub's process id. The hub puts into the folder `order.json` and, as the
folder that this names, the repo's files; it finds `about.json` there, written anew whenever more is
known, and `preview.webp` if there is a picture. The hub ends the process, and all that it has
started, when its time is over; it ends by itself when the hub does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from envhub import disk
from envhub.server.about import About
from envhub.server.facets import facets
from envhub.server.reading import read
from envhub.worker.birth import follow
from envhub.worker.limits import first_to_go, limit

ORDER: Final = "order.json"
ABOUT: Final = "about.json"
PREVIEW: Final = "preview.webp"

LIMITS: Final = {"file_size": 4 << 30, "core": 0}


class Order(msgspec.Struct, frozen=True):
    """What is to be done.

    Attributes:
        repo: the folder with the repo's files, within that of the order.
        run: whether to run it, too.
        memory: bytes that it may take while it runs.
    """

    repo: str
    run: bool = False
    memory: int = 2 << 30


def examine(folder: Path, limits: Mapping[str, int] = LIMITS) -> None:
    """Do what the order in a folder says, in a process that has nothing else to do."""
    order = msgspec.json.decode((folder / ORDER).read_bytes(), type=Order)
    limit(limits)

    def tell(about: About | None) -> None:
        known = about and msgspec.structs.replace(about, facets=facets(about))
        disk.write(folder / ABOUT, msgspec.json.encode(known))

    about, source, modules = read(folder / order.repo)
    tell(about)
    if order.run and about and source:
        # Here, since it takes a while to import, and hubs that run nothing never need it.
        from envhub.server.trying import run, write_preview

        frames = run(about, source, modules, order.memory, tell)
        write_preview(frames, folder / PREVIEW)


def main(folder: Path, hub: int) -> None:
    """Examine for as long as the hub's process is there, and let it and all others go first."""
    follow(lambda: os.getppid() != hub)
    first_to_go()
    os.nice(10)
    examine(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
