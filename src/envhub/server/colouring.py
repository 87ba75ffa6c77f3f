"""Code as HTML, coloured as long as that is quick: strangers choose what is in it.

Pygments' expressions take quadratic time for some lines, and for some texts. Files with long lines
have no colours, and the time is looked at between two words. Only languages that were tried with
such texts are known; sessions (`console`, `pycon`) take one long step, and are not among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pygments
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_by_name, get_lexer_for_filename
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

MAX_COLOURED, MAX_LINE = 100_000, 500
SECONDS = 1.0
# fmt: off
LANGUAGES: Final = frozenset([
    "python", "toml", "yaml", "json", "ini", "bash", "xml", "html", "css", "javascript", "c", "cpp",
    "cuda", "rust", "markdown", "lua", "diff", "docker", "make",
])
# fmt: on
KINDS: Final = frozenset(name for name in STANDARD_TYPES.values() if name)
"""The classes that coloured words have."""


class _TooSlowError(Exception):
    """There is no time left."""


class Budget:
    """The time that there is for the colours of a page.

    Args:
        seconds: of it.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._end = time.monotonic() + seconds

    def file(self, name: str, text: str) -> str:
        """A file, line by line, coloured if its name tells its language."""
        formatter = HtmlFormatter(cssclass="code", linenos="inline", linespans="L")
        return self._html(text, _lexer(get_lexer_for_filename, name, text), formatter)

    def fence(self, text: str, language: str) -> str:
        """A piece of a README; empty if it does not say what language it is."""
        lexer = _lexer(get_lexer_by_name, language, text, stripnl=False)
        plain = isinstance(lexer, TextLexer)
        return "" if plain else self._html(text, lexer, HtmlFormatter(nowrap=True))

    def _html(self, text: str, lexer: Any, formatter: Any) -> str:
        try:
            return str(pygments.format(self._tokens(lexer, text), formatter))
        except _TooSlowError:
            return str(pygments.highlight(text, TextLexer(stripnl=False), formatter))

    def _tokens(self, lexer: Any, text: str) -> Iterator[Any]:
        for token in lexer.get_tokens(text):
            if time.monotonic() > self._end:
                raise _TooSlowError
            yield token


def _lexer(find: Callable[..., Any], name: str, text: str, **options: Any) -> Any:
    """What knows the words of a language; of none, if it is none of ours or the text is long."""
    try:
        found = find(name, **options)
    except ClassNotFound:
        return TextLexer(**options)
    known = not LANGUAGES.isdisjoint(found.aliases)
    return found if known and _is_short(text) else TextLexer(**options)


def _is_short(text: str) -> bool:
    return len(text) <= MAX_COLOURED and max(map(len, text.split("\n"))) <= MAX_LINE


def style_sheet() -> str:
    """The style sheet of coloured code, for light and for dark."""
    light, dark = (_rules(style) for style in ("xcode", "github-dark"))
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _rules(style: str) -> str:
    """The colours of words; background and line numbers are the pages' own."""
    lines = HtmlFormatter(style=style).get_style_defs(["pre"]).splitlines()
    return "\n".join(line for line in lines if line.startswith("pre .") and "linenos" not in line)
