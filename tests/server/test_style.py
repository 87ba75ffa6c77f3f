"""The style sheet: everything that is read can be read, by day and by night."""

from __future__ import annotations

import re

import pytest

from envhub.server import html, markdown

SHEET = html.static("hub.css").decode()
LEAST, LEAST_SHAPE = 4.5, 3.0  # WCAG 2.2, AA: 1.4.3 for text, 1.4.11 for edges of controls
TEXTS = [
    *[(ink, ground) for ink in ("ink", "soft", "accent") for ground in ("paper", "raised", "tint")],
    *[(ink, ground) for ink in ("good", "bad", "warn") for ground in ("paper", "raised")],
    *[("ink", ground) for ground in ("glow", "plus", "minus")],
    *[("soft", ground) for ground in ("plus", "minus", "glow")],
    ("accent", "glow"),
    ("bad", "minus"),
    ("on-accent", "accent"),
]
SHAPES = [("field", "paper"), ("field", "raised"), ("accent", "paper"), ("bad", "paper")]


def variables(sheet: str) -> dict[str, dict[str, str]]:
    """The colours of the pages: `light` and `dark`."""
    found = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", each)) for each in found)
    return {"light": light, "dark": light | dark}


def luminance(colour: str) -> float:
    """How bright a colour is, by WCAG's formula."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' brightness, 1 to 21."""
    low, high = sorted(luminance(colour) + 0.05 for colour in (one, other))
    return high / low


def test_formula() -> None:
    """The ratios are WCAG's."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    """Text has a contrast of 4.5 on whatever it stands on, edges of controls one of 3."""
    colours = variables(SHEET)[scheme]
    wanted = [(pair, LEAST) for pair in TEXTS] + [(pair, LEAST_SHAPE) for pair in SHAPES]
    weak = {
        pair: round(ratio, 2)
        for pair, least in wanted
        if (ratio := contrast(colours[pair[0]], colours[pair[1]])) < least
    }
    assert weak == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_code(scheme: str) -> None:
    """Each kind of word in code can be read on the grounds that code has."""
    sheets = dict(zip(("light", "dark"), markdown.colours().split("@media"), strict=True))
    grounds = [variables(SHEET)[scheme][name] for name in ("raised", "tint")]
    rules = re.findall(r"pre \.(\w+) \{ color: (#[0-9A-Fa-f]{3,6})", sheets[scheme])
    assert len(rules) > 40
    weak = {}
    for name, colour in rules:
        long = "#" + "".join(digit * 2 for digit in colour[1:]) if len(colour) == 4 else colour
        ratio = min(contrast(long, ground) for ground in grounds)
        if ratio < LEAST and name != "w":  # blanks are not read
            weak[name] = round(ratio, 2)
    assert weak == {}


def test_only_named_colours() -> None:
    """No rule has a colour of its own, which would be out of reach of this test."""
    own = html.TEMPLATES.joinpath("hub.css").read_text()
    rules = re.sub(r":root \{.*?\}", "", own, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s}])", rules) == []


def test_nothing_from_elsewhere() -> None:
    """Style, script and templates name no other machine."""
    for path in html.TEMPLATES.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path.name
        assert not re.search(r"\sstyle=|\son[a-z]+=", text), path.name
    assert "prefers-color-scheme: dark" in SHEET
    assert "prefers-reduced-motion" in SHEET
