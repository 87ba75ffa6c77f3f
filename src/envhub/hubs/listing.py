"""What a hub's list of repos says of each: the same everywhere, and `env` on hubs like ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Block(msgspec.Struct):
    """What our hub found out about an env (`envhub.server.about`), as far as a search shows it.

    Attributes:
        facets: words that it can be filtered by, like `action:discrete`.
        python: the versions of Python that it runs under.
        engines: simulators among its packages.
        n_tasks: of all suites together; 0 if nobody knows.
    """

    facets: tuple[str, ...] = ()
    python: str = ""
    engines: tuple[str, ...] = ()
    n_tasks: int = 0


class Listed(msgspec.Struct):
    """One repo of a hub's list.

    Attributes:
        id: `owner/name`.
        tags: of its card, with those that the hub makes of other fields, like `license:mit`.
        card: the front matter of its README.
        env: what the hub found out about it, on a hub that does that.
        downloads: as the hub counts them.
        modified: when it changed last.
        private: whether only some may see it.
        gated: whether its owner lets people in one by one.
    """

    id: str
    tags: tuple[str, ...] = ()
    card: dict[str, Any] | None = msgspec.field(default=None, name="cardData")
    env: Block | None = None
    downloads: int | None = 0
    modified: datetime | None = msgspec.field(default=None, name="lastModified")
    private: bool = False
    gated: bool | str = False
