"""READMEs and code as HTML that can do no harm: rendered, then cleaned, then kept by content."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from envhub.server.recent import Recent

_pages: Recent[tuple[str, str], str] = Recent(20_000_000, len)


def readme(text: str, base: str, oid: str) -> str:
    """A README as HTML, without its front matter.

    Args:
        text: Markdown, with HTML in it if its author liked.
        base: where relative addresses lead: the repo's files at one commit.
        oid: git's hash of it.
    """
    return _pages.get((base, oid), lambda: _rendering().readme(text, base))


def first_words(text: str, most: int = 200) -> str:
    """The first sentences of a README, as plain text; empty if it has none."""
    return str(_rendering().first_words(text, most))


def code(path: str, oid: str, read: Callable[[], bytes]) -> str:
    """A file as HTML, coloured if its kind is known; empty if it is no text.

    Args:
        path: whose ending tells the kind.
        oid: git's hash of it, by which the HTML is kept.
        read: reads it, if need be.
    """
    name = path.rpartition("/")[2]
    return _pages.get((name, oid), lambda: _rendering().code(name, read()))


def colours() -> str:
    """The style sheet of coloured code, for light and for dark."""
    return str(_rendering().colours())


def _rendering() -> ModuleType:
    # Here, since it takes a quarter of the hub's start and a sixth of its memory, and a hub that
    # only machines ask never needs it.
    from envhub.server import rendering

    return rendering
