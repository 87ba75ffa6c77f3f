"""Characters that deceive are found; those that science and languages need are not."""

from __future__ import annotations

import pytest

from envhub.inspection.code import read_code

DECEIVING = {
    "right-to-left override": ("x = 'a\u202eb'", "bidi", "right-to-left override"),
    "isolate in a comment": ("pass\n# \u2066 if admin", "bidi", "left-to-right isolate"),
    "zero width space": ("x = 'a\u200bb'", "invisible", "zero width space"),
    "soft hyphen": ("# a\u00adb", "invisible", "soft hyphen"),
    "a tag": ("# a\U000e0041", "invisible", "tag latin capital letter a"),
    "Cyrillic in a Latin name": ("\u0430dmin = 1", "look-alike", "\\u0430dmin"),
    "Cyrillic that is all look-alikes": ("\u0441\u0435 = 1", "look-alike", "\\u0441\\u0435"),
    "Greek capitals in a Latin name": ("\u0391dmin = 1", "look-alike", "\\u0391dmin"),
    "a letter of another script": ("admin\u0436 = 1", "look-alike", "admin\\u0436"),
}


@pytest.mark.parametrize(("text", "kind", "what"), DECEIVING.values(), ids=DECEIVING)
def test_deceiving(text: str, kind: str, what: str) -> None:
    """Kind, line and the character by its name."""
    found = read_code("env.py", text.encode())
    assert [(each.kind, each.what) for each in found] == [(kind, what)]
    assert found[0].line == text.count("\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        "α_t = θ + Δx * μ",
        "# комментарий про admin\n",
        "x = 'смешанный text'",
        "скорость = 1",
        "größe = 1",
        "name = '名前'",
        "print('⚠️ 👩\u200d🔬')",
        "\ufeffx = 1",
    ],
)
def test_honest(text: str) -> None:
    """Greek for angles, comments and names in one's own language, emoji, a byte order mark."""
    assert read_code("env.py", text.encode()) == []


def test_names_in_a_file_that_is_no_python() -> None:
    """Where tokens cannot be had, the file is unreadable, and that is said once."""
    found = read_code("env.py", "x = '''\u0430dmin \u0430dmin".encode())
    assert [each.kind for each in found] == ["unreadable"]
