"""What users can meet is documented, and what is documented exists."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from envhub import errors, proc
from envhub.cli import main
from envhub.lockfile import Lock
from envhub.settings import FOREIGN, VARIABLES, Variable
from envhub.testing import ServedHub
from envhub.trustfile import Policy, Rules

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md")])
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)(?:#([^)\s]+))?\)")

Errors = type[errors.EnvHubError]


def tree(kind: Errors = errors.EnvHubError) -> Iterator[Errors]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


KINDS = list(tree())


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, group
    if isinstance(group, click.Group):
        for name, child in group.commands.items():
            if not child.hidden:
                yield from commands(child, f"{path} {name}")


COMMANDS = list(commands(main, "envhub"))


def test_generated_pages_are_fresh() -> None:
    """cog would write the generated parts as they are."""
    pages = sorted(DOCS.glob("*.md"))
    program: tuple[str | Path, ...] = (
        sys.executable,
        "-m",
        "cogapp",
        "-I",
        DOCS,
        "--check",
        *pages,
    )
    done = proc.run(program, cwd=ROOT, check=False)
    assert done.returncode == 0, f"run: cog -I docs -r docs/*.md\n{done.text}"


def test_a_section_per_error_code() -> None:
    """docs/errors.md has the codes of errors.py as its headings, each once and in that order."""
    assert list(sections("errors.md")) == [kind.code for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_section_names_the_classes(kind: Errors) -> None:
    """A section names the error and the built-in that it also is, and says something about it."""
    section = sections("errors.md")[kind.code]
    builtin = [base.__name__ for base in kind.__bases__ if not issubclass(base, errors.EnvHubError)]
    assert [name for name in (kind.__name__, *builtin) if f"`{name}`" not in section] == (
        ["Exception"] if kind is errors.EnvHubError else []
    )
    assert len(section.split()) >= 10


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_tree_is_drawn(kind: Errors) -> None:
    """The docstring of errors.py draws every error below its parent, with its built-in and code."""
    drawn = re.search(rf"^([│ ├└─]*){kind.__name__}\b ?(.*)$", errors.__doc__ or "", re.MULTILINE)
    assert drawn is not None
    parents = [base for base in kind.__mro__[1:] if issubclass(base, errors.EnvHubError)]
    assert len(drawn.group(1)) == 4 * len(parents)
    builtin = [base.__name__ for base in kind.__bases__ if not issubclass(base, errors.EnvHubError)]
    if parents:
        assert [name for name in builtin if f"({name})" not in drawn.group(2)] == []
    if parents and not kind.__subclasses__():
        assert drawn.group(2).split()[-1] == kind.code


@pytest.mark.parametrize("variable", VARIABLES + FOREIGN, ids=lambda variable: variable.name)
def test_settings_are_documented(variable: Variable) -> None:
    """docs/settings.md has a line for every environment variable that is read."""
    assert f"| `{variable.name}` | {variable.help} |" in (DOCS / "settings.md").read_text()


def test_no_other_variable_is_read() -> None:
    """settings.py reads no variable that its table lacks."""
    text = (ROOT / "src" / "envhub" / "settings.py").read_text()
    read = set(re.findall(r"\"((?:ENVHUB|HF)_[A-Z_]+)\"", text))
    assert read == {each.name for each in VARIABLES if each.name != "NO_COLOR"}


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_commands_are_documented(path: str, command: click.Command) -> None:
    """docs/cli.md has a section for every command with all of its options, each with a help."""
    section = sections("cli.md")[path]
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert [opt.name for opt in options if opt.opts[-1] not in section] == []
    assert [opt.name for opt in options if not opt.help] == []


def toml(page: str) -> str:
    return (DOCS / page).read_text().partition("```toml\n")[2].partition("```")[0]


def test_policy_example(tmp_path: Path) -> None:
    """The trust.toml of docs/trust.md is one, and its table has each key that there is."""
    (tmp_path / "trust.toml").write_text(toml("trust.md"))
    policy = Policy.read(tmp_path / "trust.toml")
    assert policy.grants[0].repo == "lerobot/cartpole-env"
    keys = [*(f"rules.{field}" for field in Rules.__struct_fields__), "grants"]
    assert (
        re.findall(r"^\| `([\w.]+)` \|", sections("trust.md")["trust.toml"], re.MULTILINE) == keys
    )


def test_lock_example(tmp_path: Path) -> None:
    """The envhub.lock of docs/lock.md is one, and would be written like that."""
    path = tmp_path / "envhub.lock"
    path.write_text(toml("lock.md"))
    lock = Lock.read(path)
    lock.write(path)
    assert path.read_text().partition("\n\n")[2] == toml("lock.md")


def test_testing_example(hub: ServedHub) -> None:
    """The test that docs/testing.md shows passes."""
    code = read(DOCS / "testing.md").partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    names["test_loads_the_release"](hub)


def typed() -> list[str]:
    """The commands in the pages' blocks, as one would type them."""
    blocks = re.findall(
        r"^```(?:console|bash)\n(.*?)^```", "\n".join(map(read, PAGES)), re.DOTALL | re.MULTILINE
    )
    lines = [line.removeprefix("$ ").partition("  #")[0] for line in "".join(blocks).splitlines()]
    parts = {part.strip() for line in lines for part in line.split("&&")}
    return sorted(part for part in parts if part.startswith("envhub "))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("line", typed())
def test_typed_commands_work(line: str) -> None:
    """The command line takes every command that a page shows, with its options."""
    _, *words = shlex.split(line)
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context("envhub", words)


def test_named_commands_exist() -> None:
    """A command that is named in a text exists."""
    names = {
        re.sub(r"( [^a-z].*| -.*)$", "", f"envhub {span}")
        for page in PAGES
        for span in re.findall(r"`envhub ([a-z][^`]*)`", read(page))
    }
    assert names - {path for path, _ in COMMANDS} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """A link from one page to another file of the repo finds it."""
    targets = [match.group(1) for match in LINK.finditer(page.read_text())]
    assert [target for target in targets if not (page.parent / target).exists()] == []
