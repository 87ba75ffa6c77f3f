"""READMEs and code as HTML: what is left of them can do no harm, and looks as it was meant."""

from __future__ import annotations

import html
import re
import time
from functools import partial
from html.parser import HTMLParser

import pytest
from tests.server.vectors import VECTORS

from envhub.server import colouring, markdown, rendering


class Harm(HTMLParser):
    """Collects what could run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in rendering._TAGS:
            self.found.append(tag)
        for name, value in attrs:
            scheme = re.sub(r"[\x00-\x20]", "", value or "").lower().partition(":")
            outside = scheme[1] and scheme[0] not in {"http", "https", "mailto"}
            if name.startswith("on") or name in {"style", "srcdoc", "formaction", "id"}:
                self.found.append(name)
            elif name in {"href", "src", "poster"} and outside and "/" not in scheme[0]:
                self.found.append(str(value))


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_runs(vector: str) -> None:
    """Of what a README may hold, only text, pictures and plain links are left."""
    harm = Harm()
    harm.feed(markdown.readme(f"# Title\n\n{vector}\n", "/ada/x/resolve/main", vector))
    assert harm.found == []


def test_there_are_many() -> None:
    """The corpus is no token one."""
    assert len(set(VECTORS)) >= 100


def test_good_markdown() -> None:
    """What is harmless looks as its author meant it; relative addresses lead to its files."""
    html = markdown.readme(
        "---\ntags: [a]\n---\n# T\n\n| a |\n|---|\n| *b* |\n\n![p](assets/p 1.png)\n"
        "[l](./docs/x.md) [h](#t) [w](https://x.example/) <b>bold</b>\n",
        "/ada/x/resolve/c",
        "good",
    )
    assert "tags:" not in html
    assert "<td><em>b</em></td>" in html
    assert 'href="/ada/x/resolve/c/./docs/x.md"' in html
    assert 'href="#t"' in html
    assert 'rel="noopener nofollow ugc"' in html
    assert "<b>bold</b>" in html


def test_code_in_readmes() -> None:
    """Code that says its language is coloured, with no classes but those of colours."""
    html = markdown.readme(
        "```python\nimport x  # <b>\n```\n```nosuch\n<i>\n```\n```\nplain\n```\n"
        '<span class="top k">x</span><p class="top">y</p>',
        "/b",
        "fenced",
    )
    assert '<span class="kn">import</span>' in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert '<span class="k">x</span>' in html
    assert 'class="top' not in html


def test_code() -> None:
    """Files are coloured by their name, line by line; what is no text is not shown."""
    read: list[str] = []

    def data(text: bytes) -> bytes:
        read.append("once")
        return text

    shown = [markdown.code("a/env.py", "o1", lambda: data(b"x = '<b>'\ny = 2\n")) for _ in "ab"]
    assert shown[0] == shown[1]
    assert read == ["once"]
    assert 'id="L-2"' in shown[0]
    assert "<b>" not in shown[0]
    assert "&lt;b&gt;" in shown[0]
    plain = markdown.code("LICENSE", "o2", lambda: b"<script>alert(1)</script>")
    assert "<script" not in plain
    assert "alert(1)" in plain
    for number, nothing in enumerate((b"", b"a\0b", b"\xff\xfe")):
        assert markdown.code("a.py", f"n{number}", partial(bytes, nothing)) == ""
    long = b"x = 1\n" * (colouring.MAX_COLOURED // 4)
    assert 'class="o"' not in markdown.code("long.py", "o3", lambda: long)


def test_same_content_under_two_names() -> None:
    """The same bytes are coloured for what each file is."""
    text = b"def f(): pass\n"
    kept = {name: markdown.code(name, "same", lambda: text) for name in ("a.py", "a.txt")}
    assert 'class="k"' in kept["a.py"]
    assert 'class="k"' not in kept["a.txt"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "---\ntags: [a]\n---\n# T\n\n![p](x.png)\n\nA **pole** on\na `cart`.\n",
            "A pole on a cart.",
        ),
        ("<img src=x onerror=alert(1)>\n\n> no\n\n- no\n\n[link](x) <b>bold</b>", "link bold"),
        ("# Only a title", ""),
        ("", ""),
        ("word " * 100, "word " * 39 + "word …"),
    ],
)
def test_first_words(text: str, words: str) -> None:
    """A list shows the first sentences of a README, as words and nothing else."""
    assert markdown.first_words(text) == words


# Each takes minutes if nobody looks at the time or at the length of lines.
SLOW = [
    ("ini", "a="),
    ("ini", "a=\n"),
    ("yaml", "*"),
    ("yaml", "*" * 450 + "\n"),
    ("xml", "<!--\n"),
]


@pytest.mark.parametrize(("language", "part"), SLOW)
def test_code_that_is_slow_to_read(language: str, part: str) -> None:
    """A text that would keep pygments busy for minutes is shown without colours after a moment."""
    text = part * (colouring.MAX_COLOURED // len(part))
    begin = time.process_time()
    shown = colouring.Budget(0.1).fence(text, language)
    assert time.process_time() - begin < 4
    assert len(html.unescape(shown)) >= len(text) or not shown


def test_one_budget_for_a_readme() -> None:
    """Many pieces of code in a README have no more time together than one has."""
    budget = colouring.Budget(0)
    assert "<span" not in budget.fence("x = 1", "python")
    assert budget.fence("x = 1", "nosuch") == ""
    assert "<span" in colouring.Budget().fence("x = 1", "python")


def test_only_known_languages() -> None:
    """Languages that nobody tried with hostile texts have no colours."""
    assert markdown.code("a.cbl", "cobol", lambda: b"DISPLAY 'x'.").count("<span") == 3
    assert colouring.Budget().fence("DISPLAY 'x'.", "cobol") == ""


def test_long_readme() -> None:
    """Of a README that nobody reads to its end the beginning is shown."""
    shown = markdown.readme("word " * 50_000, "/b", "long")
    assert rendering.MAX_README - 10 < len(shown) < rendering.MAX_README + 100
