"""Characters that make a text say something else than it seems to."""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
from typing import Final

from envhub.inspection.findings import Found

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_INVISIBLE = re.compile("[\u200b\u200c\u2060-\u2064\u00ad\u180e\u3164\U000e0000-\U000e007f]")
_FOREIGN = re.compile(r"\w*[^\W\d_\x00-\x7f]\w*")
_SCRIPTS: Final = {"LATIN", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "GREEK"}
_LIKE_LATIN: Final = frozenset(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0430\u0435\u043e\u0440"
    "\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb"  # Cyrillic
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf"
)
"""Letters of Cyrillic and Greek that look like Latin ones. θ, α and Δ do not: science has them."""


def read_letters(data: bytes, found: Found) -> None:
    """Note what reorders or hides text, and names that look like others.

    Args:
        data: a Python file.
        found: where to note it.
    """
    if data.isascii():
        return
    text = data.decode(errors="replace").removeprefix("\ufeff")
    for number, line in enumerate(text.split("\n"), 1):
        for kind, pattern in (("bidi", _BIDI), ("invisible", _INVISIBLE)):
            for char in pattern.findall(line):
                found.add(kind, number, unicodedata.name(char, f"U+{ord(char):04X}").lower())
    if any(map(_is_look_alike, _FOREIGN.findall(text))):
        _read_names(text, found)


def _read_names(text: str, found: Found) -> None:
    """Look at the names one by one, which takes ten times as long as the rest."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and _is_look_alike(token.string):
                found.add("look-alike", token.start[0], _spelt(token.string))
    except (tokenize.TokenError, SyntaxError):
        return  # the syntax tree has said so already


def _is_look_alike(name: str) -> bool:
    """Whether a name has letters that look like Latin ones beside Latin ones, or only such."""
    letters = {char for char in name if char.isalpha() and not char.isascii()}
    foreign = {_script(char) for char in letters} & _SCRIPTS - {"LATIN", "GREEK"}
    latin = any(char.isalpha() and char.isascii() for char in name)
    alike = letters & _LIKE_LATIN
    return (bool(alike) and (latin or not letters - alike)) or bool(foreign and latin)


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]


def _spelt(name: str) -> str:
    """The name, with its foreign letters by number, so that they can be told apart."""
    return "".join(char if char.isascii() else f"\\u{ord(char):04x}" for char in name)
