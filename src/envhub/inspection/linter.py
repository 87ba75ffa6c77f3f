"""What bandit knows about Python code and `code` does not: careless TLS, archives, shells.

bandit is an extra, `gym-envhub[inspect]`. It is used as a library, and told to pay no attention to
the `# nosec` that a stranger may have written. What it looks for stands in few files, and it takes
20 ms for each: the others are not given to it.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from envhub.inspection.findings import Finding, Severity, shown

TESTS: Final = (
    *("B103", "B104", "B202", "B306", "B313", "B314", "B315", "B316", "B317", "B318", "B319"),
    *("B323", "B324", "B405", "B411", "B501", "B502", "B503", "B504", "B505", "B506"),
    *("B507", "B508", "B509", "B601", "B602", "B604", "B609", "B612", "B701"),
)
"""bandit's tests, but those for what `code` finds, and those for databases and web pages."""

_WORTH = re.compile(
    rb"verify\s*=|_create_unverified|\bssl\b|yaml\.load|chmod|0\.0\.0\.0|extractall|mktemp"
    rb"|\b(import|from)\s+(lxml|xml)|md5|sha1|Crypto|paramiko|shell\s*=|snmp|logging\.config"
    rb"|jinja2|xmlrpc"
)
_SEVERITIES: Final[Mapping[str, Severity]] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low"}


def is_installed() -> bool:
    """Whether bandit is there."""
    return find_spec("bandit") is not None


def lint(root: Path, paths: Iterable[str]) -> list[Finding]:
    """What bandit finds in some files; nothing, if it is not installed.

    Args:
        root: the folder that they are in.
        paths: the Python files.
    """
    worth = [path for path in paths if _WORTH.search((root / path).read_bytes())]
    if not worth or not is_installed():
        return []
    found = _run([str(root / path) for path in worth])
    return [_finding(issue, Path(issue.fname).relative_to(root).as_posix()) for issue in found]


def _run(files: list[str]) -> list[Any]:
    """The issues that bandit sees, the unsure ones left out."""
    kept = warnings.formatwarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bandit.core import config, manager  # the extra `inspect`, and 0.4 s

        warnings.formatwarning = kept  # importing bandit replaces it
        logging.getLogger("bandit").setLevel(logging.CRITICAL)  # of files that cannot be parsed
        bandit = manager.BanditManager(
            config.BanditConfig(),
            "file",
            profile={"include": list(TESTS), "exclude": []},
            quiet=True,
            ignore_nosec=True,
        )
        bandit.files_list = files
        bandit.run_tests()
        issues: list[Any] = bandit.get_issue_list("LOW", "MEDIUM")
        return issues


def _finding(issue: Any, path: str) -> Finding:
    lines = issue.get_code(max_lines=1, tabbed=False).strip().partition(" ")[2]
    return Finding(
        kind=f"bandit-{issue.test_id}",
        severity=_SEVERITIES[issue.severity],
        path=path,
        line=issue.lineno,
        what=shown(lines.strip() or issue.test),
        why=shown(issue.text, 200),
    )
