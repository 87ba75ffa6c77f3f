"""Pin → Source: real, verified files on disk. The digest is checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, InitVar, dataclass
from pathlib import Path

import msgspec

from envhub import tree
from envhub.errors import CorruptSourceError, LockMismatchError, OfflineError
from envhub.hubs.base import Commit, Hub, Progress
from envhub.pins import File, Pin, tree_digest
from envhub.settings import NO_MORE, Limits
from envhub.store import Listing, Store

_OURS = object()


@dataclass(frozen=True, slots=True)
class Source:
    """A pin's files on disk, verified. Only `fetch` makes one.

    Attributes:
        pin: what it is.
        root: the folder; real files, no links that leave it.
        files: what lies in it. Bytecode caches of the repo are left out.
    """

    pin: Pin
    root: Path
    files: tuple[File, ...]
    _: KW_ONLY
    made_by: InitVar[object] = None

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _OURS:
            raise TypeError("a Source comes from envhub.fetch.fetch, which verifies it")

    @property
    def entry(self) -> Path:
        """The entry file."""
        return self.root / self.pin.path

    @property
    def bytecode(self) -> Path | None:
        """Where its compiled files may be kept: beside the folder, or nowhere if it is live."""
        return None if self.pin.dirty else self.root.parent / "bytecode"


def fetch(
    pin: Pin,
    hub: Hub,
    store: Store,
    *,
    offline: bool = False,
    progress: Progress | bool | None = None,
    limits: Limits = NO_MORE,
) -> Source:
    """Have a pin's files on disk, all of them and exactly them.

    What the cache has is only looked at; what it lacks is downloaded, and only that.

    Args:
        pin: what to fetch.
        hub: the hub that has it; a mirror will do, since the pin's digest decides.
        store: the cache.
        offline: take it from the cache or not at all.
        progress: called with bytes that arrived; `True` shows a bar on a terminal.
        limits: how much may be downloaded.

    Raises:
        OfflineError: `offline`, and the cache lacks files.
        HubError, NotFoundError: the hub does not give them, or they are more than `limits`.
        StoreError: the cache is full, read-only, or its files are not those of the commit.
        LockMismatchError: the hub lists other files for this commit than the pin was made from.
    """
    if hub.live or pin.commit is None:
        return _in_place(pin, hub)
    listing = _listing(pin, hub, store, offline=offline)
    files = tree.wanted(listing.files)
    slot = store.slot(listing)
    if not slot.is_full:
        if offline:
            raise _offline(pin, "has not all files of")
        tree.check_limits(files, limits, pin.repo)

        def fill(missing: Sequence[File], into: Path) -> None:
            with _bar(pin, missing, progress) as arrived:
                hub.download(pin.ref, _commit(pin), missing, into, arrived)

        store.build(slot, listing, fill)
    if faults := store.check(slot, files):
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise CorruptSourceError(
            f"the cached files of {pin} are not those of the commit: {faults[0]}{more}",
            why=f"they are in {slot.tree}",
            hint=f"envhub cache verify --fix {pin.pinned_ref}",
        )
    return Source(pin, slot.tree, files, made_by=_OURS)


def _listing(pin: Pin, hub: Hub, store: Store, *, offline: bool) -> Listing:
    """The listing that the pin was made from: the cache's if it is that, else the hub's."""
    blank = Listing(
        hub=pin.hub,
        repo=pin.repo,
        repo_type=pin.repo_type,
        commit=pin.commit or "",
        subdirectory=pin.ref.subdirectory or "",
        files=(),
    )
    cached = store.slot(blank).listing()
    if cached and cached.digest == pin.digest:
        return cached
    if offline:
        raise _offline(pin, "does not know the files of")
    listing = msgspec.structs.replace(blank, files=hub.files(pin.ref, _commit(pin)))
    tree.check_listing(listing.files, listing.repo)
    if listing.digest != pin.digest:
        raise LockMismatchError(
            f"{hub.address} lists other files for {pin} than the pin was made from",
            why=f"the pin says {pin.digest}, the hub {listing.digest}",
            hint=f"envhub lock {pin.ref}   # only if you know why",
        )
    return listing


def _commit(pin: Pin) -> Commit:
    return Commit(pin.hub, pin.repo, pin.repo_type, pin.commit)


def _offline(pin: Pin, lacks: str) -> OfflineError:
    return OfflineError(
        f"the cache {lacks} {pin}, and offline mode is on",
        hint=f"envhub fetch {pin.pinned_ref}   # while online",
    )


def _in_place(pin: Pin, hub: Hub) -> Source:
    """The folder itself; what is in it now must be what was pinned."""
    commit = hub.resolve(pin.ref)
    files = hub.files(pin.ref, commit)
    if tree_digest(files) != pin.digest:
        raise CorruptSourceError(
            f"{pin.ref} changed since it was pinned",
            hint="load it again, or envhub lock it again if a lock file pins it",
        )
    return Source(pin, Path(commit.hub.removeprefix("file://")), files, made_by=_OURS)


@contextmanager
def _bar(pin: Pin, files: Sequence[File], progress: Progress | bool | None) -> Iterator[Progress]:
    """Where the hub reports the bytes that arrive."""
    if callable(progress):
        yield progress
        return
    from tqdm import tqdm  # here, since only a download should cost its 20 ms

    total = sum(file.size for file in files)
    with tqdm(
        desc=f"{pin.repo}@{pin.version[:7]}",
        total=total,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None if progress else True,
    ) as bar:
        yield lambda count: bar.update(count)
