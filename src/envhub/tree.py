"""A commit's files on disk, compared with what the hub lists. Knows folders, not caches."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from envhub.errors import HubError
from envhub.pins import File
from envhub.settings import Limits

BYTECODE = "__pycache__"
IMPORTABLE = (".py", ".pyc", ".pyd", ".pyw", ".so")

Stamp = tuple[int, int, int, int]
"""Size, mtime in ns, ctime in ns and inode of a file: equal stamps mean untouched bytes."""

_OID = re.compile(r"sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\\]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_AMOUNTS = {
    "files": "{:,} files",
    "size": "{:,} bytes",
    "name": "a name of {:,} bytes",
    "depth": "a file {:,} folders deep",
}
_RENAME = "the owner of the repo must rename or remove it"
_MAX_PART, _MAX_PATH = 255, 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one path of a tree, in words."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def check_listing(files: Iterable[File], name: str) -> None:
    """Refuse a listing whose files could not lie below one folder, before anything is written.

    Args:
        files: what the hub lists for a commit.
        name: the repo, for the message.

    Raises:
        HubError: a path leaves the repo, is one of git's own, or meets another one.
    """
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for file in files:
        problem = _path_problem(file.path)
        if not problem and (not _OID.fullmatch(file.oid) or file.size < 0):
            problem = "has no hash and size that envhub knows"
        key = unicodedata.normalize("NFC", file.path).casefold()
        if not problem and key in seen:
            problem = f"has the same name as {seen[key]!r} where upper and lower case are one"
        if problem:
            raise HubError(
                f"{name} lists the file {file.path!r}, which {problem}",
                hint=_RENAME,
            )
        seen[key] = file.path
        folders.update(_parents(key))
    if both := folders & seen.keys():
        path = seen[min(both)]
        raise HubError(f"{name} lists {path!r} both as a file and as a folder", hint=_RENAME)


def check_limits(files: Collection[File], limits: Limits, name: str) -> None:
    """Refuse what is more than a repo may bring, before anything of it is downloaded.

    Args:
        files: what would be downloaded.
        limits: how much that may be.
        name: the repo, for the message.

    Raises:
        HubError: the message has the limit, the hint how to raise it.
    """
    found = Limits(
        files=len(files),
        size=sum(file.size for file in files),
        name=max((len(part.encode()) for f in files for part in f.path.split("/")), default=0),
        depth=max((file.path.count("/") for file in files), default=0),
    )
    for what, most in asdict(limits).items():
        if (amount := getattr(found, what)) > most:
            raise too_much(name, what, amount, most)


def too_much(name: str, what: str, amount: int, most: int) -> HubError:
    """The error for a repo that brings more than it may.

    Args:
        name: the repo.
        what: the field of `Limits`.
        amount: how much it is.
        most: how much it may be.
    """
    return HubError(
        f"{name} has {_AMOUNTS[what].format(amount)}; the limit is {most:,}",
        why="the limit keeps a repo from filling the disk by surprise; nothing was downloaded",
        hint=f"ENVHUB_MAX_{what.upper()}={amount}   # if that is what you expect of it",
    )


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _path_problem(path: str) -> str:
    """Why a path must not be written below a folder, or nothing."""
    parts = path.split("/")
    checks = (
        (not path, "has no name"),
        (path.startswith("/") or ".." in parts, "leaves the repo"),
        ("" in parts or "." in parts, "has an empty part"),
        (bool(_UNSAFE.search(path)), "has a character that no file name may have"),
        (any(_is_git(part) for part in parts), "is one of git's own"),
        (_too_long(parts), "has a name that is too long"),
        (any(_is_reserved(part) for part in parts), "has a name that Windows keeps for itself"),
    )
    return next((problem for bad, problem in checks if bad), "")


def _is_git(part: str) -> bool:
    # Some file systems take these for .git too; see git's own core.protectHFS and protectNTFS.
    plain = "".join(char for char in part if unicodedata.category(char) != "Cf")
    return plain.casefold().rstrip(" .") in {".git", "git~1"}


def _is_reserved(part: str) -> bool:
    return part.endswith((" ", ".")) or bool(_RESERVED.fullmatch(part))


def _too_long(parts: Sequence[str]) -> bool:
    sizes = [len(part.encode(errors="replace")) for part in parts]
    return max(sizes) > _MAX_PART or sum(sizes) + len(sizes) > _MAX_PATH


def wanted(files: Iterable[File]) -> tuple[File, ...]:
    """The files that are put on disk: all but bytecode caches.

    A repo that ships `__pycache__` could run other code than its sources show.
    """
    return tuple(file for file in files if BYTECODE not in file.path.split("/")[:-1])


def walk(root: Path) -> dict[str, os.stat_result]:
    """Everything below `root` that is no folder, by its path with `/`; links are not followed.

    A folder that does not exist, or that another process removes meanwhile, has nothing in it.
    """
    found: dict[str, os.stat_result] = {}
    folders = [("", os.fspath(root))]
    while folders:
        prefix, folder = folders.pop()
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    found[prefix + entry.name] = entry.stat(follow_symlinks=False)
    return found


def stamp(status: os.stat_result) -> Stamp:
    """What changes whenever the bytes of a file do."""
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a folder differs from a listing.

    Attributes:
        faults: what is wrong; nothing, if the folder is the commit.
        stamps: those of the listed files that are there.
    """

    faults: tuple[Fault, ...]
    stamps: dict[str, Stamp]


def compare(root: Path, files: Sequence[File], known: Mapping[str, Stamp]) -> Comparison:
    """Compare the folder `root` with a listing.

    Files that are missing or have other bytes are faults, and so are files that could be imported
    though the commit does not have them. Other files that are not listed are left alone.

    Args:
        root: the folder.
        files: the listing.
        known: stamps of files that were right when they had them; the others are hashed.
    """
    found = walk(root)
    faults, stamps = [], {}
    for file in files:
        status = found.pop(file.path, None)
        if status is not None:
            stamps[file.path] = stamp(status)
            if stamps[file.path] == known.get(file.path):
                continue
        if what := _fault(root, file, status):
            faults.append(Fault(file.path, what))
    strangers = sorted(path for path, status in found.items() if _could_run(path, status))
    faults += [Fault(path, "is not in the commit") for path in strangers]
    return Comparison(tuple(faults), stamps)


def _could_run(path: str, status: os.stat_result) -> bool:
    if BYTECODE in path.split("/"):
        return False  # envhub's loader reads no bytecode
    return stat.S_ISLNK(status.st_mode) or path.casefold().endswith(IMPORTABLE)


def _fault(root: Path, file: File, status: os.stat_result | None) -> str:
    """What is wrong with a listed file, or nothing."""
    if status is None:
        return "is missing"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if status.st_size != file.size:
        return f"has {status.st_size} bytes instead of {file.size}"
    return "" if hash_file(root / file.path, file.oid) == file.oid else "has other bytes"


def drop_wrong(root: Path, files: Iterable[File], *, keep_begun: bool = False) -> dict[File, str]:
    """Hash those files that are there and remove the wrong ones.

    Args:
        root: the folder.
        files: the listing.
        keep_begun: leave files that are too short, for a download to go on with.

    Returns:
        The files that are not right, and what is wrong with them.
    """
    found = walk(root)
    wrong = {}
    for file in files:
        status = found.get(file.path)
        if what := _fault(root, file, status):
            wrong[file] = what
            if status and not (keep_begun and _is_begun(file, status)):
                (root / file.path).unlink()
    return wrong


def _is_begun(file: File, status: os.stat_result) -> bool:
    mode = status.st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IWUSR) and status.st_size < file.size


def hash_file(path: Path, kind: str = "sha1:") -> str:
    """The oid of a file on disk, of the kind that `kind` begins with."""
    with path.open("rb") as file:
        if kind.startswith("sha256:"):
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
        git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        return "sha1:" + hashlib.file_digest(file, lambda: git).hexdigest()


def prune(root: Path, files: Iterable[File]) -> None:
    """Remove everything below `root` that is not listed, and folders that are empty then."""
    keep = {file.path for file in files}
    for path in walk(root):
        if path not in keep:
            (root / path).unlink()
    for folder, _, _ in os.walk(root, topdown=False):
        if folder != os.fspath(root) and not os.listdir(folder):  # noqa: PTH208 - os.walk's str
            Path(folder).rmdir()


def protect(root: Path) -> dict[str, Stamp]:
    """Make the files below `root` read-only, so that nothing changes them by accident.

    Returns:
        Their stamps after that.
    """
    for path, status in walk(root).items():
        if stat.S_ISREG(status.st_mode):
            (root / path).chmod(0o555 if status.st_mode & 0o100 else 0o444)
    return {path: stamp(status) for path, status in walk(root).items()}


def size(root: Path) -> int:
    """Bytes of the files below `root`; 0 if there is no such folder."""
    return sum(status.st_size for status in walk(root).values())


def folder_address(folder: str | Path) -> str:
    """What names a folder on this machine in a pin: `file://` and its whole path."""
    return f"file://{os.path.abspath(Path(folder).expanduser())}"  # noqa: PTH100 - cuts ..
