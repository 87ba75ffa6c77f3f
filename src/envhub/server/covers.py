"""A picture for an env that has none: a small world drawn from its name, the same every time."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from markupsafe import Markup

HUES = 8
WIDTH, HEIGHT, CELL = 12, 5, 20


@lru_cache(maxsize=2000)
def cover(name: str) -> Markup:
    """An SVG of hills below a sky, as HTML; its colours are the style sheet's.

    Args:
        name: of the repo.
    """
    digest = hashlib.sha256(name.lower().encode()).digest()
    hills = [_hills(digest[layer * 8 :], layer) for layer in range(3)]
    sun = f'<circle class="sun" cx="{30 + digest[30] % 180}" cy="{16 + digest[31] % 22}" r="9"/>'
    size = f"0 0 {WIDTH * CELL} {HEIGHT * CELL}"
    drawn = "".join(f'<path class="hill{layer}" d="{path}"/>' for layer, path in enumerate(hills))
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="cover hue{digest[29] % HUES}" viewBox="{size}" aria-hidden="true"'
        f' preserveAspectRatio="xMidYMax slice">{sun}{drawn}</svg>'
    )


def _hills(seed: bytes, layer: int) -> str:
    """The line of hills of a layer; the nearer, the lower."""
    step, ground = 2 * CELL, HEIGHT * CELL
    heights = [ground - 62 + layer * 19 + seed[n] % 26 for n in range(8)]
    points = "".join(
        f"S{n * step - step / 2:g} {height} {n * step} {height}"
        for n, height in enumerate(heights[1:], 1)
    )
    return f"M0 {ground}V{heights[0]}{points}V{ground}Z"
