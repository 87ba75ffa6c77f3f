"""All that can be said of a repo before anything of it runs: one value, for people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from envhub.errors import ManifestError
from envhub.fetch import Source
from envhub.hubs.base import LogEntry
from envhub.inspection import linter
from envhub.inspection.assets import read_assets
from envhub.inspection.code import read_code
from envhub.inspection.findings import SEVERITIES, Finding, Severity, shown
from envhub.inspection.packages import read_requirements
from envhub.manifest import read_permissions
from envhub.permissions import NONE, Permissions
from envhub.pins import File, Pin
from envhub.uvprogram import Uv

NO_PROOF: Final = (
    "This is a help for reading, not a proof: whoever wants to hide something from it can. "
    "What a repo cannot do is decided by the sandbox that it runs in."
)
_MOST_KINDS = 4


@dataclass(frozen=True, slots=True)
class Report:
    """What a repo is, asks for and could do.

    Attributes:
        pin: exactly what was read.
        files: all that it consists of.
        history: its commit and some before it, the newest first.
        requirements: the packages that it wants.
        permissions: what it asks for beyond its own files.
        findings: what to look at, the worst first.
        linted: whether bandit has read it, too.
    """

    pin: Pin
    files: tuple[File, ...]
    history: tuple[LogEntry, ...]
    requirements: tuple[str, ...]
    permissions: Permissions
    findings: tuple[Finding, ...]
    linted: bool

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(finding.severity == severity for finding in self.findings)

    def summary(self) -> str:
        """A few lines for a person who is asked to consent."""
        asks = ", ".join(self.permissions.words) or "nothing beyond its own files"
        return "\n".join([outline(self.files), f"it asks for {asks}", *summed_up(self.findings)])

    def as_dict(self) -> dict[str, Any]:
        """All of it, as `--json` prints it."""
        return {
            "note": NO_PROOF,
            "ref": self.pin.pinned_ref,
            "hub": self.pin.hub,
            "repo": self.pin.repo,
            "commit": self.pin.commit,
            "digest": self.pin.digest,
            "entry": self.pin.path,
            "size": self.size,
            "files": [asdict(file) for file in self.files],
            "history": [{**asdict(each), "date": each.date.isoformat()} for each in self.history],
            "requirements": list(self.requirements),
            "permissions": list(self.permissions.words),
            "linted": self.linted,
            "findings": [asdict(finding) for finding in self.findings],
        }


def inspect(
    source: Source,
    *,
    history: Sequence[LogEntry] = (),
    index: Uv | None = None,
    lint: bool = True,
) -> Report:
    """Read a repo without running anything of it.

    Args:
        source: its files.
        history: what the hub knows of its commits.
        index: asks the user's package index about each requirement; `None` asks nobody.
        lint: let bandit read it, too, if it is installed.
    """
    pin, root = source.pin, source.root
    python = [file.path for file in source.files if file.path.endswith((".py", ".pyw"))]
    requirements, odd = read_requirements(root, pin.path, index)
    findings = [
        *odd,
        *(found for path in python for found in read_code(path, _read(source, path), pin.repo)),
        *(linter.lint(root, python) if lint else ()),
        *read_assets(root, source.files),
    ]
    return Report(
        pin=pin,
        files=source.files,
        history=tuple(history),
        requirements=requirements,
        permissions=_permissions(source),
        findings=tuple(sorted(findings, key=lambda finding: finding.rank)),
        linted=lint and linter.is_installed(),
    )


def _read(source: Source, path: str) -> bytes:
    return (source.root / path).read_bytes()


def _permissions(source: Source) -> Permissions:
    try:
        return read_permissions(source.root, source.pin.path)
    except ManifestError:  # the requirements have a finding for that
        return NONE


def outline(files: Sequence[File]) -> str:
    """What is known of a repo by its listing alone, before anything of it is downloaded."""
    python = sum(file.path.endswith(".py") for file in files)
    size = sum(file.size for file in files)
    return f"it has {len(files):,} files, {python:,} of them Python, {size:,} bytes"


def summed_up(findings: Sequence[Finding]) -> Iterator[str]:
    """A line per severity: the kinds, and where the first of each is."""
    for severity in SEVERITIES:
        firsts: dict[str, str] = {}
        for finding in findings:
            if finding.severity == severity:
                firsts.setdefault(finding.kind, f"{finding.kind} ({shown(finding.where)})")
        names = list(firsts.values())
        more = f" and {len(names) - _MOST_KINDS} more" if len(names) > _MOST_KINDS else ""
        if names and severity != SEVERITIES[-1]:
            yield f"{severity}: {', '.join(names[:_MOST_KINDS])}{more}"
