"""What a repo's requirements would bring: slips of other names, and versions left open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from envhub.errors import ManifestError, RequirementError
from envhub.inspection.findings import Finding
from envhub.manifest import FILE, PYPROJECT, REQUIREMENTS, read_manifest
from envhub.uvprogram import Uv, last_words

SHORT: Final = 5
"""Names that are shorter have too many neighbours for a slip to mean anything."""

_ALIKE = str.maketrans("0158", "olsb")
_DECORATION = re.compile(r"^(python|py)-|-(python|py|lib|sdk|official)$|[-_.]")


def read_requirements(
    root: Path, entry: str, index: Uv | None = None
) -> tuple[tuple[str, ...], list[Finding]]:
    """The requirements of the repo in a folder, and what is odd about them.

    Args:
        root: the folder.
        entry: the entry file in it.
        index: asks the user's package index for each of them; `None` asks nobody.
    """
    try:
        lines = read_manifest(root, entry).requirements
    except (RequirementError, ManifestError) as error:
        name = error.what.partition(" ")[0]
        path = name if (root / name).is_file() else entry
        kind = "refused" if isinstance(error, RequirementError) else "manifest"
        return (), [Finding.of(kind, path, 0, error.what)]
    places = _places(root, entry, lines)
    found = [
        Finding.of(kind, *place, f"{line}{more}")
        for line, place in zip(lines, places, strict=True)
        for kind, more in (*_odd(Requirement(line)), *(_asked(line, index) if index else ()))
    ]
    return lines, found


def _odd(requirement: Requirement) -> Iterable[tuple[str, str]]:
    name = requirement.name
    if name not in popular():
        near = neighbour(name)
        yield ("squat", f", is it {near}?") if near else ("unknown", "")
    if not any(each.operator in {"==", "==="} for each in requirement.specifier):
        yield "unpinned", ""


@cache
def popular() -> frozenset[str]:
    """Some thousand well-known packages, by the names that package indexes write."""
    text = files(__package__).joinpath("popular.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def neighbour(name: str) -> str:
    """The well-known package that a name could be mistaken for, or nothing."""
    plain = _plain(name)
    alike = sorted(each for each in popular() if _plain(each) == plain)
    if not alike and len(name) >= SHORT:
        alike = sorted(each for each in popular() if len(each) >= SHORT and _is_slip(name, each))
    return alike[0] if alike else ""


def _plain(name: str) -> str:
    return _DECORATION.sub("", name).translate(_ALIKE)


def _is_slip(one: str, other: str) -> bool:
    """Whether one letter is missing, added or another one, or two neighbours are swapped."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if start is None:
        return True
    one, other = one[start:], other[start:]
    swapped = one[1::-1] + one[2:] == other
    return swapped or one[1:] == other[1:] or one[1:] == other or one == other[1:]


def _asked(line: str, index: Uv) -> Iterable[tuple[str, str]]:
    """What the package index says of one requirement."""
    done = index.run(
        *("pip", "compile", "-", "--no-deps", "--no-header", "--no-annotate", "--no-sources"),
        stdin=line.encode(),
        title=f"asking for {line}",
    )
    said = last_words(done)
    if re.search(r"not found in the (package registry|provided package locations)", said):
        yield "not-there", ""
    elif yanked := re.search(r"yanked(?: \((?:reason: )?\"?([^)\"]*))?", said):
        yield "yanked", f": {yanked[1]}" if yanked[1] else ""


def _places(root: Path, entry: str, lines: Sequence[str]) -> list[tuple[str, int]]:
    """The file and line of each requirement, as far as its name can be found."""
    texts = [
        (path, (root / path).read_text(encoding="utf-8", errors="replace").splitlines())
        for path in (FILE, PYPROJECT, entry, REQUIREMENTS)
        if (root / path).is_file()
    ]
    return [_place(texts, Requirement(line).name) for line in lines]


def _place(texts: Sequence[tuple[str, list[str]]], name: str) -> tuple[str, int]:
    word = re.escape(name).replace(r"\-", "[-_.]+")
    pattern = re.compile(rf"^\W*{word}(?![\w-])", re.IGNORECASE)
    for path, lines in texts:
        for number, line in enumerate(lines, 1):
            if pattern.search(line) or (path != REQUIREMENTS and _quoted(word, line)):
                return path, number
    return (texts[-1][0] if texts else REQUIREMENTS), 0


def _quoted(word: str, line: str) -> bool:
    return bool(re.search(rf"[\"']\s*{word}(?![\w-])", line, re.IGNORECASE))
