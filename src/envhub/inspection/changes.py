"""What changed between two commits of a repo: code, requirements, permissions, abilities."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from envhub.errors import ManifestError
from envhub.fetch import Source
from envhub.inspection.assets import read_assets
from envhub.inspection.code import read_code
from envhub.inspection.findings import Finding, shown
from envhub.manifest import read_permissions
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
        return f"{self.kind} {shown(self.path)}{lines}"


@dataclass(frozen=True, slots=True)
class Diff:
    """All that differs between two commits.

    Attributes:
        changes: the files, code first.
        requirements: lines of requirement files that came (`+ …`) and went (`- …`).
        permissions: those that are asked for now (`+ …`) and no longer (`- …`).
        findings: what the changed files could not do before, the worst first.
    """

    changes: tuple[Change, ...]
    requirements: tuple[str, ...]
    permissions: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

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
        if self.permissions:
            lines += ["permissions:", *(f"  {line}" for line in self.permissions)]
        if self.findings:
            lines += ["new in it:", *self._new()]
        return "\n".join(lines)

    def _new(self) -> Iterator[str]:
        for found in self.findings[:SHOWN]:
            yield f"  {found.severity}: {found.kind} {shown(found.where)}  {found.what}"
        if len(self.findings) > SHOWN:
            yield f"  … and {len(self.findings) - SHOWN} more"

    def as_dict(self) -> dict[str, Any]:
        """All of it, as `--json` prints it."""
        return {
            "changes": [asdict(change) for change in self.changes],
            "requirements": list(self.requirements),
            "permissions": list(self.permissions),
            "findings": [asdict(finding) for finding in self.findings],
        }


def diff(old: Source, new: Source) -> Diff:
    """What changed from `old` to `new`."""
    before = {file.path: file for file in old.files}
    after = {file.path: file for file in new.files}
    paths = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    changes = [_change(path, before, after, old.root, new.root) for path in paths]
    changes.sort(key=lambda change: (not change.is_code, change.path))
    return Diff(
        tuple(changes),
        tuple(_requirement_lines(changes, old.root, new.root)),
        tuple(_permissions(old, new)),
        tuple(sorted(_new_findings(changes, old, new), key=lambda finding: finding.rank)),
    )


def _permissions(old: Source, new: Source) -> Iterator[str]:
    before, after = _asked(old), _asked(new)
    yield from (f"+ {word}" for word in after if word not in before)
    yield from (f"- {word}" for word in before if word not in after)


def _asked(source: Source) -> tuple[str, ...]:
    try:
        return read_permissions(source.root, source.pin.path).words
    except ManifestError:
        return ()


def _new_findings(changes: Sequence[Change], old: Source, new: Source) -> Iterator[Finding]:
    """What files that came or changed could do that they could not do before."""
    files = {file.path: file for file in new.files}
    for change in changes:
        if change.path not in files:
            continue
        known = {(finding.kind, finding.what) for finding in _findings(old, change.path)}
        for finding in (*_findings(new, change.path), *read_assets(new.root, [files[change.path]])):
            if (finding.kind, finding.what) not in known:
                yield finding


def _findings(source: Source, path: str) -> list[Finding]:
    file = source.root / path
    if not (path.endswith((".py", ".pyw")) and file.is_file()):
        return []
    return read_code(path, file.read_bytes(), source.pin.repo)


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
        f"{line[0]} {shown(line[1:].strip())}"
        for change in changes
        if PurePosixPath(change.path).name in REQUIREMENTS
        for line in _changed_lines(old / change.path, new / change.path)
        if line[1:].strip() and not line[1:].strip().startswith("#")
    ]
