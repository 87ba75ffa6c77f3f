"""What changed between two commits of a repo: code, requirements, assets."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from envhub.fetch import Source
from envhub.pins import File

CODE = {".py", ".pyi", ".pyx", ".sh", ".toml", ".yaml", ".yml", ".json", ".cfg", ".ini", ".xml"}
REQUIREMENTS = {"requirements.txt", "pyproject.toml", "envhub.toml"}
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs.

    Attributes:
        path: where it is in the repo.
        kind: `added`, `removed` or `changed`.
        plus: lines added; 0 for files that are no text.
        minus: lines removed.
        is_code: whether it is read as code or configuration.
    """

    path: str
    kind: str
    plus: int = 0
    minus: int = 0
    is_code: bool = False

    def __str__(self) -> str:
        lines = f" +{self.plus} −{self.minus}" if self.plus or self.minus else ""
        return f"{self.kind} {self.path}{lines}"


@dataclass(frozen=True, slots=True)
class Diff:
    """All that differs between two commits.

    Attributes:
        changes: the files, code first.
        requirements: lines of requirement files that came (`+ …`) and went (`- …`).
    """

    changes: tuple[Change, ...]
    requirements: tuple[str, ...]

    def summary(self) -> str:
        """A few lines for a person: how much, which files, which requirements."""
        code = sum(change.is_code for change in self.changes)
        lines = [f"{len(self.changes)} files differ, {code} of them code"]
        lines += [f"  {change}" for change in self.changes[:SHOWN]]
        if len(self.changes) > SHOWN:
            lines.append(f"  … and {len(self.changes) - SHOWN} more")
        if self.requirements:
            lines += ["requirements:", *(f"  {line}" for line in self.requirements)]
        else:
            lines.append("requirements: unchanged")
        return "\n".join(lines)


def diff(old: Source, new: Source) -> Diff:
    """What changed from `old` to `new`."""
    before = {file.path: file for file in old.files}
    after = {file.path: file for file in new.files}
    paths = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    changes = [_change(path, before, after, old.root, new.root) for path in paths]
    changes.sort(key=lambda change: (not change.is_code, change.path))
    return Diff(tuple(changes), tuple(_requirement_lines(changes, old.root, new.root)))


def _change(
    path: str, before: dict[str, File], after: dict[str, File], old: Path, new: Path
) -> Change:
    kind = "added" if path not in before else "removed" if path not in after else "changed"
    is_code = PurePosixPath(path).suffix in CODE or PurePosixPath(path).name in REQUIREMENTS
    if not is_code:
        return Change(path, kind)
    plus = minus = 0
    for line in _changed_lines(old / path, new / path):
        plus += line.startswith("+")
        minus += line.startswith("-")
    return Change(path, kind, plus, minus, is_code=True)


def _changed_lines(old: Path, new: Path) -> list[str]:
    """The lines of a unified diff that begin with + or −, without its header."""
    lines = difflib.unified_diff(_lines(old), _lines(new), lineterm="", n=0)
    return [line for line in list(lines)[2:] if line.startswith(("+", "-"))]


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.is_file() else []


def _requirement_lines(changes: list[Change], old: Path, new: Path) -> list[str]:
    return [
        f"{line[0]} {line[1:].strip()}"
        for change in changes
        if PurePosixPath(change.path).name in REQUIREMENTS
        for line in _changed_lines(old / change.path, new / change.path)
        if line[1:].strip() and not line[1:].strip().startswith("#")
    ]
