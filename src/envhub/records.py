"""Is a venv still what was installed? Compared with what its packages themselves say: `RECORD`."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envhub import tree, venvs
from envhub.tree import Fault
from envhub.venvs import Ready, Venv

MARK = "venv:"
"""What the names of venvs begin with."""


@dataclass(frozen=True, slots=True)
class Cached:
    """A venv in the cache, whole or not.

    Attributes:
        key: of the venv.
        folder: all that belongs to it.
        ready: what it is; `None` if it was never finished.
    """

    key: str
    folder: Path
    ready: Ready | None

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return f"{MARK}{self.key[:12]}"

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return tree.size(self.folder)

    @property
    def venv(self) -> Venv:
        """The venv itself."""
        path = self.folder / "venv"
        site_packages = next(path.glob("[Ll]ib/**/site-packages"), path)
        program = Path(self.ready.program) if self.ready else path
        return Venv(self.key, path, program, site_packages)


def cached(home: Path) -> list[Cached]:
    """All venvs in a cache folder."""
    found = []
    for key in venvs.keys(home):
        folder = home / "venvs" / key
        venv = Venv(key, folder / "venv", folder, folder)
        found.append(Cached(key, folder, venv.ready()))
    return found


def verify(each: Cached) -> tuple[Fault, ...]:
    """Hash every file of a venv that its packages list; the others must be as they were.

    One that was never finished is not used, so it has no faults.
    """
    if each.ready is None:
        return ()
    venv = each.venv
    right, faults = set(), []
    for path, wanted in _recorded(venv):
        file = venv.site_packages / path
        name = _plain(venv, file)
        if not file.is_file():
            faults.append(Fault(name, "is missing"))
        elif _hash(file, wanted.partition("=")[0]) != wanted.partition("=")[2]:
            faults.append(Fault(name, "has other bytes than were installed"))
        else:
            right.add(name)
    named = right.union(fault.path for fault in faults)
    return (*faults, *(fault for fault in venvs.changes(venv) if fault.path not in named))


def _recorded(venv: Venv) -> Iterator[tuple[str, str]]:
    """Files and their hashes, as packages list them."""
    for record in sorted(venv.site_packages.glob("*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8", errors="replace") as lines:
            for row in csv.reader(lines):
                # Of itself and of what was made here, a package has no hash.
                if len(row) > 1 and re.match(r"sha(256|384|512)=", row[1]):
                    yield row[0], row[1]


def _plain(venv: Venv, file: Path) -> str:
    parts: list[str] = []
    for part in file.relative_to(venv.path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def _hash(file: Path, kind: str) -> str:
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, kind).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
