"""How READMEs and code become HTML: what `markdown` loads when a page is asked for first."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import quote

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_by_name, get_lexer_for_filename
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from envhub.server.index import FRONT

MAX_TEXT, MAX_COLOURED = 400_000, 150_000
# fmt: off
_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em",
    "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "ol", "p", "pre", "q",
    "s", "samp", "small", "source", "span", "strong", "sub", "summary", "sup", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "ul", "var", "video",
}
# fmt: on
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "video": {"src", "controls", "width", "height", "poster"},
    "source": {"src", "type"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
    "details": {"open"},
}
_ADDRESSES = {"href", "src", "poster"}
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)

# What colours code in READMEs: pygments' names for kinds of words.
_KINDS = {name for name in STANDARD_TYPES.values() if name}


def readme(text: str, base: str) -> str:
    """See `markdown.readme`."""

    def moved(_tag: str, name: str, value: str) -> str | None:
        if name not in _ADDRESSES or _ELSEWHERE.match(value):
            return value
        return f"{base}/{quote(value.lstrip('/'), safe='/%?#=&+.-_~')}"

    return nh3.clean(
        _reader.render(FRONT.sub("", text[:MAX_TEXT], count=1)),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=moved,
        allowed_classes={"span": _KINDS},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow ugc",
    )


def first_words(text: str, most: int) -> str:
    """See `markdown.first_words`."""
    tokens = _reader.parse(FRONT.sub("", text[:MAX_TEXT], count=1))
    for before, token in pairwise(tokens):
        if before.type == "paragraph_open" and before.level == 0:
            words = "".join(map(_spoken, token.children or ())).strip()
            if words:
                return words if len(words) <= most else f"{words[:most].rsplit(' ', 1)[0]} …"
    return ""


def _spoken(token: Token) -> str:
    """What of a part of a line is words."""
    if token.type == "softbreak":
        return " "
    return token.content if token.type in {"text", "code_inline"} else ""


def code(name: str, data: bytes) -> str:
    """See `markdown.code`."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    if not text or "\0" in text:
        return ""
    try:
        lexer = get_lexer_for_filename(name) if len(text) <= MAX_COLOURED else TextLexer()
    except ClassNotFound:
        lexer = TextLexer()
    formatter = HtmlFormatter(
        cssclass="code", linenos="inline", linespans="L", lineanchors="", anchorlinenos=False
    )
    return str(highlight(text, lexer, formatter))


def _fenced(text: str, language: str, _attributes: str) -> str:
    """The code of a fence in a README, coloured if it says what it is."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""
    return str(highlight(text[:MAX_COLOURED], lexer, HtmlFormatter(nowrap=True)))


_reader = MarkdownIt("commonmark", {"html": True, "highlight": _fenced}).enable(
    ["table", "strikethrough"]
)


def colours() -> str:
    """See `markdown.colours`."""
    light, dark = (_rules(style) for style in ("xcode", "github-dark"))
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _rules(style: str) -> str:
    """The colours of words; background and line numbers are the pages' own."""
    lines = HtmlFormatter(style=style).get_style_defs(["pre"]).splitlines()
    return "\n".join(line for line in lines if line.startswith("pre .") and "linenos" not in line)
