"""What an env says of itself and could do, by reading its files; nothing of it is run.

It reads a stranger's files, so the hub does it in a process of its own (`examining`).
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec
from packaging.requirements import Requirement

from envhub.client import Client
from envhub.errors import EnvHubError
from envhub.fetch import Source
from envhub.inspection.findings import SEVERITIES, shown
from envhub.inspection.report import inspect
from envhub.manifest import FILE, Manifest, read_manifest
from envhub.parameters import declared
from envhub.server.about import About, Check, Concern, Suite, Task
from envhub.server.facets import engines

ENTRY: Final = "env.py"
MOST_FILES: Final = 2000
MOST_BYTES: Final = 1_000_000
MOST_FINDINGS: Final = 100
MOST_ENTRIES: Final = 100
_WORDS: Final = 500


class Module(msgspec.Struct, frozen=True):
    """What one Python file has at its top level.

    Attributes:
        path: in the repo.
        imports: the first parts of what it imports.
        takes: the arguments of its `make_env`, `*` for all; `None` if it has no `make_env`.
    """

    path: str
    imports: frozenset[str]
    takes: frozenset[str] | None


def read(root: Path) -> tuple[About | None, Source | None, tuple[Module, ...]]:
    """Read the repo in a folder.

    Args:
        root: the folder.

    Returns:
        What is known of the env, `None` if there is none; its files, if they can be loaded; and
        its Python files.
    """
    modules = tuple(_modules(root))
    entries = tuple(each.path for each in modules if each.takes is not None)
    entry = ENTRY if (root / ENTRY).is_file() or not entries else entries[0]
    manifest, problem = _manifest(root, entry)
    if not (entries or (root / ENTRY).is_file() or (root / FILE).is_file()):
        return None, None, modules
    entry = manifest.entry or entry
    about = About(
        "read",
        entry=entry if (root / entry).is_file() else "",
        entries=entries[:MOST_ENTRIES],
        checks=(Check("manifest", not problem, problem),),
        **_told(manifest, modules),
    )
    try:
        user = Client(lock=False)
        source = user.fetch(user.resolve(f"{root}:{entry}"))
    except EnvHubError as error:
        check = Check("entry", False, words(error))
        return msgspec.structs.replace(about, checks=(*about.checks, check)), None, modules
    return _inspected(about, source), source, modules


def words(error: Exception) -> str:
    """An error in a few words, which a stranger may have chosen."""
    if not isinstance(error, EnvHubError):
        return shown(f"{type(error).__name__}: {error}", _WORDS)
    return shown(f"{error.what}: {error.why}" if error.why else error.what, _WORDS)


def _manifest(root: Path, entry: str) -> tuple[Manifest, str]:
    try:
        return read_manifest(root, entry), ""
    except EnvHubError as error:
        return Manifest(), words(error)


def _told(manifest: Manifest, modules: tuple[Module, ...]) -> dict[str, Any]:
    """The fields of the block that come from a manifest."""
    needed = [Requirement(line) for line in manifest.requirements]
    imported = {name for module in modules for name in module.imports}
    suites = {
        name: Suite(
            suite.description,
            {task: Task(told.description) for task, told in suite.tasks.items()},
        )
        for name, suite in manifest.suites.items()
    }
    names = [*(each.name for each in needed), *imported]
    return {
        "python": manifest.requires_python,
        "requirements": manifest.requirements,
        "permissions": manifest.permissions.words,
        "parameters": {k: msgspec.to_builtins(each) for k, each in declared(manifest).items()},
        "engines": engines(names, [extra for each in needed for extra in each.extras]),
        "suites": suites,
        "n_tasks": sum(len(suite.tasks) for suite in suites.values()),
        "preview": manifest.preview or "",
    }


def _inspected(about: About, source: Source) -> About:
    report = inspect(source)
    return msgspec.structs.replace(
        about,
        checks=(*about.checks, Check("entry", True)),
        findings=tuple(Concern(**asdict(each)) for each in report.findings[:MOST_FINDINGS]),
        severities={severity: report.count(severity) for severity in SEVERITIES},
    )


def _modules(root: Path) -> Iterator[Module]:
    """The Python files of a repo, those that lie highest first."""
    paths = sorted(root.rglob("*.py"), key=lambda path: (len(path.parts), str(path)))
    for path in paths[:MOST_FILES]:
        if path.is_file() and path.stat().st_size <= MOST_BYTES:
            module = _module(path.relative_to(root).as_posix(), path.read_bytes())
            if module:
                yield module


def _module(path: str, data: bytes) -> Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's invalid escapes
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the inspection has a finding for that
    imports = {name.partition(".")[0] for node in tree.body for name in _imported(node)}
    found = [takes for node in tree.body if (takes := _takes(node)) is not None]
    return Module(path, frozenset(imports), found[-1] if found else None)


def _imported(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module


def _takes(node: ast.stmt) -> frozenset[str] | None:
    """The arguments of `make_env`, if a statement makes that."""
    if isinstance(node, ast.FunctionDef) and node.name == "make_env":
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [each.arg for each in named]
        return frozenset([*names, "*"] if node.args.kwarg else names)
    if isinstance(node, ast.Assign):
        targets = [each.id for each in node.targets if isinstance(each, ast.Name)]
        return frozenset() if "make_env" in targets else None
    if isinstance(node, ast.ImportFrom):
        given = [alias.asname or alias.name for alias in node.names]
        return frozenset() if "make_env" in given else None
    return None
