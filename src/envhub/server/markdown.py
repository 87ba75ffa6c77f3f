"""READMEs and code as HTML that can do no harm: rendered, then cleaned, then kept by content."""

from __future__ import annotations

import re
from urllib.parse import quote

import nh3
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from envhub.server.index import FRONT
from envhub.server.recent import Recent

MAX_TEXT = 400_000
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

_reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_pages: Recent[tuple[str, str], str] = Recent(20_000_000, len)


def readme(text: str, base: str) -> str:
    """A README as HTML, without its front matter.

    Args:
        text: Markdown, with HTML in it if its author liked.
        base: where relative addresses lead: the repo's files at one commit.
    """
    return _pages.get((base, text), lambda: _readme(text[:MAX_TEXT], base))


def _readme(text: str, base: str) -> str:
    def moved(_tag: str, name: str, value: str) -> str | None:
        if name not in _ADDRESSES or _ELSEWHERE.match(value):
            return value
        return f"{base}/{quote(value.lstrip('/'), safe='/%?#=&+.-_~')}"

    return nh3.clean(
        _reader.render(FRONT.sub("", text, count=1)),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=moved,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow ugc",
    )


def code(path: str, text: str) -> str:
    """A file as HTML, coloured if its kind is known."""
    return _pages.get((path.rpartition(".")[2], text), lambda: _code(path, text))


def _code(path: str, text: str) -> str:
    try:
        lexer = get_lexer_for_filename(path)
    except ClassNotFound:
        lexer = get_lexer_for_filename("x.txt")
    return str(highlight(text, lexer, HtmlFormatter(cssclass="code", linenos="inline")))


def colours() -> str:
    """The style sheet of coloured code, for light and for dark."""
    light = HtmlFormatter(style="default").get_style_defs(".code")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".code")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
