"""Which Python the syntax of a line needs."""

from __future__ import annotations

import sys

import pytest

from envhub.worker import syntax

NEWER = {
    "lazy import json": (3, 15),
    "try: pass\nexcept A, B: pass": (3, 14),
    "x = t'{y}'": (3, 14),
    "def f[T = int](): ...": (3, 13),
    "class A[T]: ...": (3, 12),
    "async def f[T](x: T): ...": (3, 12),
    "type X = int": (3, 12),
    "x = f'{y['a']}'": (3, 12),
    "try: pass\nexcept* E: pass": (3, 11),
    "x[*y]": (3, 11),
    "match x:\n case 1: pass": (3, 10),
    "with (\n a as b,\n c as d): pass": (3, 9),
    "@a[0].b\ndef f(): ...": (3, 9),
}


@pytest.mark.parametrize(("source", "version"), NEWER.items(), ids=NEWER)
def test_newer_syntax(
    monkeypatch: pytest.MonkeyPatch, source: str, version: tuple[int, int]
) -> None:
    """The line that an older Python stumbles over tells which one it needs; none, if this is it."""
    line = source.splitlines()[-1 if "except" in source else 0]
    error = SyntaxError("invalid syntax", ("env.py", 1, 1, line))
    monkeypatch.setattr(sys, "version_info", (version[0], version[1] - 1, 0))
    assert syntax.needed_python(error) == version
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert syntax.needed_python(error) is None


@pytest.mark.parametrize("line", ["def f(:", "x = = 1", "class A(B):", "f'{x}'", "print 'x'", ""])
def test_syntax_that_no_python_has(line: str) -> None:
    """Plain mistakes are no question of the version."""
    assert syntax.needed_python(SyntaxError("invalid syntax", ("env.py", 1, 1, line))) is None
