"""How READMEs and code become HTML: what `markdown` loads when a page is asked for first."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import quote

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from envhub.server.colouring import KINDS, Budget, style_sheet
from envhub.server.index import FRONT

MAX_README, MAX_BEGIN = 100_000, 10_000
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


def readme(text: str, base: str) -> str:
    """See `markdown.readme`."""

    def moved(_tag: str, name: str, value: str) -> str | None:
        if name not in _ADDRESSES or _ELSEWHERE.match(value):
            return value
        return f"{base}/{quote(value.lstrip('/'), safe='/%?#=&+.-_~')}"

    return nh3.clean(
        _reader(Budget()).render(FRONT.sub("", text[:MAX_README], count=1)),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=moved,
        allowed_classes={"span": set(KINDS)},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow ugc",
    )


def first_words(text: str, most: int) -> str:
    """See `markdown.first_words`."""
    tokens = _reader(Budget()).parse(FRONT.sub("", text, count=1)[:MAX_BEGIN])
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
    return Budget().file(name, text) if text and "\0" not in text else ""


def _reader(budget: Budget) -> MarkdownIt:
    """What reads one README."""

    def fence(text: str, language: str, _attributes: str) -> str:
        return budget.fence(text, language)

    options = {"html": True, "highlight": fence}
    return MarkdownIt("commonmark", options).enable(["table", "strikethrough"])


def colours() -> str:
    """See `markdown.colours`."""
    return style_sheet()
