"""The cache folder: look, lock, look again, build aside, move into place; size and clean-up.

```
refs/<key>.json                          what a ref meant when it was last resolved
sources/<hub>/<repo>/<commit>/files.json the listing: what the commit consists of
                              tree/      its files; there only when all of them are right
                              stat.json  their stamps, so that a load need not hash them again
                              bytecode/  what loading compiled of them
                              partial/   a download under way, or one that was killed
locks/                                   one empty file per commit that was ever built
git/                                     bare clones
```

A commit that is present is read without a lock and without a write, so a read-only cache works.
Names of folders only have to be unique: what they hold is told by `files.json`.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from envhub import disk, tree
from envhub.errors import CorruptSourceError, DiskFullError, HubError, StoreError
from envhub.pins import File, is_commit, tree_digest
from envhub.refs import Ref
from envhub.tree import Fault, Stamp

logger = logging.getLogger("envhub")

Fill = Callable[[Sequence[File], Path], None]
"""Writes files below a folder; the store verifies them."""

_T = TypeVar("_T")


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one commit of one repo consists of.

    Attributes:
        hub: where the repo lives, as in a pin.
        repo: its name there.
        repo_type: `model`, `space`, `dataset`, `git` or `package`.
        commit: the full 40-hex hash, or the version of a package.
        subdirectory: the folder of the git repo that is the env repo; `""` is all of it.
        files: all files, as the hub lists them.
    """

    hub: str
    repo: str
    repo_type: str
    commit: str
    subdirectory: str
    files: tuple[File, ...]

    @property
    def digest(self) -> str:
        """The tree digest."""
        return tree_digest(self.files)

    @property
    def name(self) -> str:
        """The commit in a few words, for messages."""
        folder = f"#{self.subdirectory}" if self.subdirectory else ""
        return f"{self.repo}{folder}@{self.commit[:12]}"

    def __repr__(self) -> str:
        return f"<Listing of {self.name}: {len(self.files)} files>"


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one commit in the cache."""

    folder: Path

    @property
    def tree(self) -> Path:
        """The commit's files; the folder exists only when they were all right."""
        return self.folder / "tree"

    @property
    def partial(self) -> Path:
        """A download under way, or one that was killed."""
        return self.folder / "partial"

    @property
    def is_full(self) -> bool:
        """Whether the commit can be loaded from here."""
        return self.tree.is_dir()

    def listing(self) -> Listing | None:
        """What the commit consists of, if that is known here."""
        listing = _read(self.folder / "files.json", Listing)
        return listing if listing and listing.commit == self.folder.name else None

    def write_listing(self, listing: Listing) -> None:
        """Note what the commit consists of."""
        disk.write(self.folder / "files.json", msgspec.json.encode(listing))

    def stamps(self) -> dict[str, Stamp]:
        """The stamps that the files had when they were right."""
        return _read(self.folder / "stat.json", dict[str, Stamp]) or {}

    def write_stamps(self, stamps: dict[str, Stamp]) -> None:
        """Note the stamps of files that are right."""
        disk.write(self.folder / "stat.json", msgspec.json.encode(stamps))


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit in the cache, for lists and clean-up.

    Attributes:
        slot: where it is.
        listing: what it is; `None` if that file cannot be read.
        size: bytes on disk, what was downloaded in part included.
        complete: whether it can be loaded.
        fetched: when it was downloaded, in seconds since the epoch; 0 if it was not.
    """

    slot: Slot
    listing: Listing | None
    size: int
    complete: bool
    fetched: float

    @property
    def name(self) -> str:
        """`owner/name@commit`, shortened."""
        return self.listing.name if self.listing else self.slot.folder.name[:12]


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes on disk, by what they are for."""

    sources: int
    partial: int
    git: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.sources + self.partial + self.git


class _Meaning(msgspec.Struct, frozen=True):
    """What a ref meant when it was last resolved."""

    repo: str
    repo_type: str
    commit: str


class Store:
    """The cache folder. Making one touches nothing on disk.

    Args:
        root: the folder; it is made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def git(self) -> Path:
        """The folder of the bare clones."""
        return self.root / "git"

    def slot(self, listing: Listing) -> Slot:
        """The place of a commit; its `files` do not matter.

        Raises:
            HubError: the hub's commit is no full commit hash.
        """
        if not is_commit(listing.commit, listing.repo_type):
            raise HubError(
                f"{listing.hub} answered with the commit {listing.commit!r}",
                why="a commit is 40 hex digits, or the version of a package",
                hint="check the address: is it the hub that you meant?",
            )
        repo = f"{listing.repo_type}/{listing.repo}"
        if listing.subdirectory:
            repo += f"#{listing.subdirectory}"
        return Slot(self.root / "sources" / _slug(listing.hub) / _slug(repo) / listing.commit)

    def recall(self, hub: str, ref: Ref) -> Listing | None:
        """What a ref meant when it was last resolved, if that is known here."""
        meaning = _read(self._meaning(hub, ref), _Meaning)
        if meaning is None or (ref.is_pinned and meaning.commit != ref.revision):
            return None
        folder = ref.subdirectory or ""
        blank = Listing(hub, meaning.repo, meaning.repo_type, meaning.commit, folder, ())
        return self.slot(blank).listing()

    def remember(self, ref: Ref, listing: Listing) -> None:
        """Note what a ref means, also for the same ref pinned to that commit.

        Raises:
            StoreError: the cache cannot be written.
        """
        if self.recall(listing.hub, ref) == listing:
            return
        self.slot(listing).write_listing(listing)
        meaning = msgspec.json.encode(_Meaning(listing.repo, listing.repo_type, listing.commit))
        for known in {ref, ref.at(listing.commit)}:
            disk.write(self._meaning(listing.hub, known), meaning)

    def _meaning(self, hub: str, ref: Ref) -> Path:
        key = f"{hub}\n{replace(ref, endpoint='', path=None)}"
        return self.root / "refs" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def check(self, slot: Slot, files: Sequence[File]) -> tuple[Fault, ...]:
        """Compare a present commit with its listing; only files whose stamp changed are hashed."""
        known = slot.stamps()
        now = tree.compare(slot.tree, files, known)
        if not now.faults and now.stamps != known:
            try:
                slot.write_stamps(now.stamps)
            except StoreError as error:
                logger.debug("stamps not kept: %s", error)
        return now.faults

    def build(self, slot: Slot, listing: Listing, fill: Fill) -> None:
        """Put a commit into its slot, unless another process just did.

        Args:
            slot: where.
            listing: what.
            fill: downloads the files that are neither there in part nor in a neighbour commit.

        Raises:
            StoreError: the cache cannot be written, or is full.
            CorruptSourceError: what arrived is not what the hub lists.
        """
        with self._locked(slot):
            if slot.is_full:
                return
            slot.partial.mkdir(parents=True, exist_ok=True)
            files = tree.wanted(listing.files)
            self._complete(slot, listing.name, files, fill)
            tree.prune(slot.partial, files)
            stamps = tree.protect(slot.partial)
            slot.write_listing(listing)
            slot.partial.replace(slot.tree)
            slot.write_stamps(stamps)

    def _complete(self, slot: Slot, name: str, files: Sequence[File], fill: Fill) -> None:
        """Fill `partial` with verified files; those that are right already are kept."""
        missing = tree.drop_wrong(slot.partial, files, keep_begun=True)
        _copy(missing, slot.partial, self._neighbours(slot))
        wrong = tree.drop_wrong(slot.partial, missing, keep_begun=True)
        # Twice, since a file that another process left in part may go on with other bytes.
        for _ in range(2):
            if wrong:
                _check_space(slot, files, wrong)
                fill(tuple(wrong), slot.partial)
                wrong = tree.drop_wrong(slot.partial, wrong)
        if wrong:
            file, what = next(iter(wrong.items()))
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise CorruptSourceError(
                f"what arrived of {name} is not what the hub lists: {file.path} {what}{more}",
                hint="load it again; what was right is kept",
            )

    def _neighbours(self, slot: Slot) -> dict[str, Path]:
        """Files of the repo's other commits that are on this disk, by their oid."""
        have: dict[str, Path] = {}
        for folder in slot.folder.parent.iterdir():
            other = Slot(folder)
            listing = other.listing() if other.is_full else None
            for file in listing.files if listing else ():
                have.setdefault(file.oid, other.tree / file.path)
        return have

    def _locked(self, slot: Slot) -> AbstractContextManager[None]:
        """Only one process at a time; it works in the slot, the disk's refusals in our words."""
        return disk.alone(self.root, "--".join(slot.folder.parts[-3:]))

    def entries(self) -> list[Entry]:
        """Every commit in the cache, the oldest first."""
        folders = (self.root / "sources").glob("*/*/*")
        entries = [_entry(Slot(folder)) for folder in folders if folder.is_dir()]
        return sorted(entries, key=lambda entry: (entry.fetched, entry.name))

    def usage(self) -> Usage:
        """Bytes on disk."""
        entries = self.entries()
        return Usage(
            sources=sum(entry.size for entry in entries if entry.complete),
            partial=sum(entry.size for entry in entries if not entry.complete),
            git=tree.size(self.git),
        )

    def verify(self, entry: Entry) -> tuple[Fault, ...]:
        """Hash every file of a commit, whatever its stamps say; one not there has no faults."""
        if not entry.complete:
            return ()
        if entry.listing is None:
            return (Fault("files.json", "cannot be read"),)
        return tree.compare(entry.slot.tree, tree.wanted(entry.listing.files), {}).faults

    def reopen(self, entry: Entry) -> None:
        """Make a commit a partial download again: the next fetch keeps what is right of it."""
        with self._locked(entry.slot):
            if entry.slot.is_full:
                shutil.rmtree(entry.slot.partial, ignore_errors=True)
                entry.slot.tree.replace(entry.slot.partial)

    def remove(self, entry: Entry) -> None:
        """Remove a commit from the cache. It vanishes at once; its bytes go after that."""
        with self._locked(entry.slot):
            if entry.slot.folder.exists():
                entry.slot.folder.replace(self.root / f"trash-{secrets.token_hex(8)}")
        for trash in self.root.glob("trash-*"):  # a killed process may have left some, too
            shutil.rmtree(trash, ignore_errors=True)


def _entry(slot: Slot) -> Entry:
    return Entry(
        slot=slot,
        listing=slot.listing(),
        size=tree.size(slot.tree) + tree.size(slot.partial),
        complete=slot.is_full,
        fetched=slot.tree.stat().st_mtime if slot.is_full else 0.0,
    )


def _copy(files: Iterable[File], into: Path, have: Mapping[str, Path]) -> None:
    """Copy what a neighbour commit has; its bytes are checked like any others."""
    for file in files:
        path = have.get(file.oid)
        if path and path.is_file() and not path.is_symlink():
            (into / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into / file.path)


def _check_space(slot: Slot, files: Iterable[File], missing: Collection[File]) -> None:
    """Refuse a download that cannot fit, before it fills the disk of others."""
    right = sum(file.size for file in files) - sum(file.size for file in missing)
    begun = tree.size(slot.partial) - right
    need = sum(file.size for file in missing) - begun
    free = shutil.disk_usage(slot.partial).free
    if need > free:
        raise DiskFullError(
            f"the download needs {need:,} bytes and the disk of {slot.partial} has {free:,}",
            hint="envhub cache rm <repo>   # envhub cache ls lists them",
        )


def _slug(text: str) -> str:
    """A readable and unique name of a folder."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text.partition("://")[2] or text).strip("-.")
    return f"{plain[-60:]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _read(path: Path, kind: type[_T]) -> _T | None:
    """A file of ours; one that is missing or damaged says nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
