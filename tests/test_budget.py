"""The budgets that no linter keeps: lengths, tests per source, words that promise later work."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Callable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))

MAX_LINES = 400
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
LATER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
SWITCHED_OFF = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<rest>.*)")
REASON = re.compile(r"(?:: ?[A-Z]+\d+(?:, ?[A-Z]+\d+)*|\[[\w, -]+\])\W+\w.{5,}")


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def over(limit: int, paths: list[Path]) -> dict[str, int]:
    return {name(path): n for path in paths if (n := len(lines(path))) > limit}


def found(unwanted: Callable[[str], bool]) -> list[str]:
    paths = set(SOURCES + TESTS + EXAMPLES + BENCHMARKS) - {Path(__file__)}
    return [f"{name(path)}: {line}" for path in paths for line in lines(path) if unwanted(line)]


def without_reason(line: str) -> bool:
    match = SWITCHED_OFF.search(line)
    return match is not None and not REASON.match(match["rest"])


def code_lines(path: Path) -> int:
    """How many lines of a file hold code: no blank lines, comments and docstrings.

    Docstrings with shapes, units and errors are a third of the source, and no test answers them.
    """
    text = path.read_text()
    counted = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            counted -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return len(counted)


def test_length() -> None:
    """No file is longer than what one reads in one go; an entry file fits on a page or two."""
    assert over(MAX_LINES, SOURCES + TESTS + BENCHMARKS) == {}
    assert over(100, [path for path in EXAMPLES if path.name == "env.py"]) == {}


def test_tests_per_source() -> None:
    """There is at least one line of test code for each line of source code."""
    source = sum(map(code_lines, SOURCES))
    tests = sum(map(code_lines, TESTS))
    assert tests >= source


def test_nothing_is_put_off() -> None:
    """No comment promises work for later."""
    assert found(lambda line: bool(LATER.search(line))) == []


def test_checks_are_switched_off_with_a_reason() -> None:
    """Each line that a linter or mypy is told to pass over names the rule and says why."""
    assert found(without_reason) == []


def test_development_requirements_are_pinned() -> None:
    """Every line has a version, every version has hashes, and no address is named."""
    text = (ROOT / "requirements" / "dev.txt").read_text()
    heads = re.findall(r"^(?=\S)(?!#).*$", text, re.MULTILINE)
    assert [head for head in heads if "==" not in head] == []
    assert len(re.findall(r"\\\n    --hash=sha256:", text)) >= len(heads)
    assert re.findall(r"://|index|@ ", text) == []


def test_development_requirements_are_complete() -> None:
    """What envhub itself depends on is among the pins, in a version that it accepts."""
    text = (ROOT / "requirements" / "dev.txt").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ours = [line for name in ("cli", "hub", "inspect", "video") for line in extras[name]]
    wanted = map(Requirement, [*project["dependencies"], *ours])
    unmet = [
        str(need)
        for need in wanted
        if not need.specifier.contains(pins.get(canonicalize_name(need.name), "0"))
    ]
    assert unmet == []
