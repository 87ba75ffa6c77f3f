"""A folder as it is to be published: what belongs to it, put aside so that nothing changes it.

What is checked is what is sent: a file that `.gitignore` leaves out is missing in the check, too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pathspec import GitIgnoreSpec

from envhub import disk
from envhub.errors import HubError, RefError, RepoNotFoundError
from envhub.hubs.local import IGNORED
from envhub.pins import File
from envhub.tree import hash_file

LOCK: Final = "envhub.lock"
_RULES: Final = ".gitignore"
_NEVER: Final = IGNORED - {LOCK}

Specs = Mapping[str, GitIgnoreSpec]
"""Folder → the rules of the `.gitignore` in it."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What belongs to a folder, put aside.

    Attributes:
        root: where.
        left_out: what `.gitignore` leaves out, folders as a whole.
    """

    root: Path
    left_out: tuple[str, ...]


@contextmanager
def parcel(folder: Path, home: Path) -> Iterator[Parcel]:
    """Put aside what belongs to a folder for as long as the block runs.

    Its place is the same each time, so that what was installed for it is found again.

    Args:
        folder: the env repo.
        home: the cache folder.

    Raises:
        RepoNotFoundError: there is no such folder.
        RefError: a link in it leaves it, or leads to a folder.
        StoreError: the cache cannot be written.
    """
    whole = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - keeps links
    if not whole.is_dir():
        what = "is a file, not a folder" if whole.exists() else "does not exist"
        raise RepoNotFoundError(f"the folder {whole} {what}", hint="envhub init NAME   # makes one")
    key = hashlib.sha256(os.fsencode(whole)).hexdigest()[:16]
    place = home / "parcels" / key
    with disk.alone(home, f"parcel-{key}"), disk.guarded(home):
        shutil.rmtree(place, ignore_errors=True)
        root = place / (whole.name or "root")
        root.mkdir(parents=True)
        left_out: list[str] = []
        try:
            for path, file in _belonging(whole, left_out):
                _put(file, root / path)
            yield Parcel(root, tuple(left_out))
        finally:
            shutil.rmtree(place, ignore_errors=True)


def listing(root: Path) -> tuple[File, ...]:
    """The files of a parcel, hashed as git would."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return tuple(
        File(path.relative_to(root).as_posix(), hash_file(path), path.stat().st_size)
        for path in paths
    )


def _put(file: Path, target: Path) -> None:
    """A second name for the same bytes where the disk can do that, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(file, target)
        return
    shutil.copyfile(file, target)


def _belonging(root: Path, left_out: list[str]) -> Iterator[tuple[str, Path]]:
    """Path in the repo and file on disk of all that belongs to a folder; notes what does not."""
    folders: list[tuple[str, Specs]] = [("", {})]
    while folders:
        prefix, specs = folders.pop()
        specs = {**specs, **_rules(root, prefix)}
        for entry in sorted((root / prefix).iterdir()):
            path = f"{prefix}{entry.name}"
            if entry.name in _NEVER or entry.name.endswith(".pyc"):
                continue
            is_folder = entry.is_dir() and not entry.is_symlink()
            if _is_ignored(f"{path}/" if is_folder else path, specs):
                left_out.append(path)
            elif is_folder:
                folders.append((f"{path}/", specs))
            else:
                yield path, _file(root, path)


def _rules(root: Path, prefix: str) -> Specs:
    file = root / prefix / _RULES
    if not file.is_file():
        return {}
    return {prefix: GitIgnoreSpec.from_lines(file.read_text(errors="replace").splitlines())}


def _is_ignored(path: str, specs: Specs) -> bool:
    """As gitignore(5): the rules of the nearest folder that speak of a path decide."""
    for folder in sorted(specs, key=len, reverse=True):
        verdict = specs[folder].check_file(path.removeprefix(folder)).include
        if verdict is not None:
            return verdict
    return False


def _file(root: Path, path: str) -> Path:
    """The file itself, where a link to one counts as a copy of it.

    Raises:
        RefError: the link leads out of the folder, or to a folder.
        HubError: it is no file.
    """
    whole = (root / path).resolve()
    if not whole.is_relative_to(root.resolve()):
        raise RefError(
            f"the link {path!r} in {root} leaves the folder",
            why="nothing outside of it is published",
            hint=f"put a copy of {(root / path).readlink()} there instead",
        )
    if whole.is_dir():
        raise RefError(
            f"the link {path!r} in {root} leads to a folder",
            why="a hub keeps files, and no links",
            hint=f"put a copy of {PurePosixPath(path).name} there instead",
        )
    if not whole.is_file():
        raise HubError(f"{path!r} in {root} is no file", hint=f"write {path} into .gitignore")
    return whole
