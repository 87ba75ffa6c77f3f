"""docs/architecture.md and the tree say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LINES = re.findall(r"^\| `((?:envhub|lerobot_env_envhub)/[^`]*)` \| (.*) \|$", PAGE, re.MULTILINE)
MODULES = sorted(
    path.relative_to(SOURCE).as_posix().removesuffix("__init__.py") for path in SOURCE.rglob("*.py")
)


def first_line(name: str) -> str:
    path = SOURCE / (name + "__init__.py" if name.endswith("/") else name)
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.partition("\n")[0]


def test_one_line_per_module() -> None:
    """Each module has exactly one line, and each line has its module."""
    assert sorted(name for name, _ in LINES) == MODULES


def test_line_is_the_docstring() -> None:
    """A module's line is what the module says of itself, a sentence of at most 100 characters."""
    said = {name: first_line(name) for name, _ in LINES}
    assert {name: line.replace("\\|", "|") for name, line in LINES} == said
    assert [name for name, line in said.items() if not 10 <= len(line) <= 100] == []


def test_packages_are_packages() -> None:
    """Every folder with modules has an `__init__.py`, so that the wheel and mypy see it."""
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
