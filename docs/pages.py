"""The generated parts of the pages in this folder; cog puts them there.

Regenerate with `cog -I docs -r docs/*.md`; `scripts/check` fails when a page is stale.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

from envhub.cli import main
from envhub.inspection.findings import KINDS, SEVERITIES
from envhub.settings import FOREIGN as FOREIGN
from envhub.settings import VARIABLES, Variable

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"


def modules() -> str:
    """A table row per module: where it is, and the first line of its docstring."""
    found = {_name(path): _first_line(path) for path in SOURCE.rglob("*.py")}
    rows = sorted(found.items(), key=lambda item: (item[0].count("/"), item[0]))
    return _table(("module", "what it is"), ((f"`{name}`", line) for name, line in rows))


def layers() -> str:
    """The import rule, as import-linter reads it."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = config["tool"]["importlinter"]["contracts"][0]
    rows = (layer.replace("(envhub.", "").replace(")", "") for layer in contract["layers"])
    return "\n".join(("", "```", *rows, "```", ""))


def kinds() -> str:
    """A table row per kind of finding, the worst first."""
    order = sorted(KINDS.items(), key=lambda item: SEVERITIES.index(item[1].severity))
    rows = ((kind.severity, f"`{name}`", kind.why) for name, kind in order)
    return _table(("severity", "kind", "what it means"), rows)


def settings(variables: tuple[Variable, ...] = VARIABLES) -> str:
    """A table row per environment variable."""
    rows = ((f"`{each.name}`", each.help, each.default or "–") for each in variables)
    return _table(("variable", "meaning", "default"), rows)


def commands() -> str:
    """What `--help` prints, of every command."""
    return "\n".join(_help(main, click.Context(main, info_name="envhub", terminal_width=80)))


def _help(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"\n## {context.command_path}\n\n```\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _help(child, click.Context(child, context, name))


def _name(path: Path) -> str:
    """`envhub/refs.py`, or `envhub/hubs/` for a package."""
    name = path.relative_to(SOURCE).as_posix()
    return name.removesuffix("__init__.py")


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.partition("\n")[0].replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(("", *(f"| {' | '.join(line)} |" for line in lines), ""))
