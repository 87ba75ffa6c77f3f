"""Requirement lines: a package by name, with extras, versions and markers, and nothing else.

Installers take much more: options, other files, folders, addresses. All of that is refused here, by
its name, before an installer sees it, since what it brings could not be locked by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envhub.errors import RequirementError

_WHY: Final = "only packages by name are installed, so that the lock can hold their hashes"
_PROBLEMS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), problem)
    for pattern, problem in (
        # A marker may quote anything, also the end of a line and another line behind it.
        (r"(?s).*[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]", "has a line break in it"),
        (r"-r|--requirement|-c\b|--constraint", "includes another file"),
        (r"-e|--editable", "installs a folder"),
        (r"-", "is an option for pip"),
        (r"(git|hg|svn|bzr)\+", "is a repo"),
        (r"[./~]|[a-z]:[/\\]|[a-z0-9._-]*[/\\]", "is a path"),
        (r"[a-z][a-z0-9+.-]*:", "is an address"),
        (r"[\w.-]+\.(whl|zip|tar|tgz|tar\.\w+|txt|toml)\s*($|[;\[])", "is a file"),
    )
)


def check_line(name: str, line: str) -> str:
    """One requirement in its normal form: the package's name, extras, versions and marker.

    Args:
        name: what to call the place that the line comes from.
        line: the requirement.

    Raises:
        RequirementError: it is anything else.
    """
    line = line.strip()
    for pattern, problem in _PROBLEMS:
        if pattern.match(line):
            hint = f"write <package>==<version> in {name}"
            raise RequirementError(f"{name} has {line!r}, which {problem}", why=_WHY, hint=hint)
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise RequirementError(
            f"{name} has {line!r}, which is no requirement", why=str(error)
        ) from error
    if requirement.url is not None:
        hint = f"write {requirement.name}==<version> in {name}"
        raise RequirementError(f"{name} has {line!r}, which is an address", why=_WHY, hint=hint)
    for specifier in requirement.specifier:
        _check_specifier(name, line, specifier)
    return normal(requirement)


def normal(requirement: Requirement) -> str:
    """A requirement as text: parts in order, the name as package indexes write it."""
    extras = ",".join(sorted(map(canonicalize_name, requirement.extras)))
    versions = ",".join(sorted(map(str, requirement.specifier)))
    text = canonicalize_name(requirement.name) + (f"[{extras}]" if extras else "") + versions
    return f"{text} ; {requirement.marker}" if requirement.marker else text


def _check_specifier(name: str, line: str, specifier: Specifier) -> None:
    """`===` is followed by any text at all; it has to be a version."""
    if specifier.operator == "===":
        try:
            Version(specifier.version)
        except InvalidVersion as error:
            raise RequirementError(
                f"{name} has {line!r}, which asks for no version", why=str(error)
            ) from error


def check_lines(name: str, lines: Iterable[str]) -> tuple[str, ...]:
    """Several requirements in their normal form; see `check_line`."""
    return tuple(check_line(name, line) for line in lines)


def parse_lines(name: str, data: bytes) -> tuple[str, ...]:
    """The requirements of a `requirements.txt`, in their normal form.

    Hashes are left out: envhub's own lock has them, and a file with hashes pins versions, too.

    Args:
        name: what to call the file.
        data: its bytes.

    Raises:
        RequirementError: a line is an option, an include, an address or a path.
    """
    text = data.decode("utf-8-sig", errors="replace")
    plain = (_without_comment(line) for line in re.sub(r"\\\r?\n", " ", text).splitlines())
    return check_lines(name, (line for line in plain if line))


def _without_comment(line: str) -> str:
    line = re.sub(r"(^|\s)#.*$", "", line)
    return re.sub(r"\s--hash[=\s]\s*\S+", "", line).strip()
