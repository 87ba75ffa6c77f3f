"""Ref → Pin: which commit, which files, which entry file. Downloads nothing but the listing."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from envhub.errors import (
    EntryNotFoundError,
    HubError,
    HubUnreachableError,
    NotFoundError,
    OfflineError,
    StoreError,
)
from envhub.hubs.base import Commit, Hub
from envhub.manifest import FILE, PYPROJECT, read_manifest
from envhub.pins import ENTRY, File, Pin, tree_digest
from envhub.refs import Ref
from envhub.store import Listing, Store
from envhub.tree import check_listing, hash_file

logger = logging.getLogger("envhub")


def resolve(ref: Ref, hub: Hub, store: Store, *, offline: bool = False) -> Pin:
    """Find out what a ref means now.

    A ref with a full commit that the cache knows costs no network. If the hub cannot be reached,
    the commit that the ref last meant is taken, with a line in the log.

    Args:
        ref: what to resolve.
        hub: the hub that answers it.
        store: the cache; it remembers the answer.
        offline: answer from the cache or not at all.

    Raises:
        NotFoundError: no such repo, revision or entry file; near names are in the hint.
        OfflineError: `offline`, and the ref was never resolved on this machine.
        HubError: the hub refused, could not be reached, or lists files that no folder can hold.
    """
    if hub.live:
        commit = hub.resolve(ref)
        files = hub.files(ref, commit)
        check_listing(files, commit.repo)
        path = commit.entry or _entry(ref, hub, commit, files, None)
        return Pin(ref, commit.hub, commit.repo, commit.repo_type, None, path, tree_digest(files))
    listing, entry = _look_up(ref, hub, store, offline=offline)
    commit = Commit(listing.hub, listing.repo, listing.repo_type, listing.commit)
    slot = store.slot(listing)
    return Pin(
        ref=ref,
        hub=listing.hub,
        repo=listing.repo,
        repo_type=listing.repo_type,
        commit=listing.commit,
        path=entry
        or _entry(ref, hub, commit, listing.files, slot.tree if slot.is_full or offline else None),
        digest=listing.digest,
    )


def _entry(ref: Ref, hub: Hub, commit: Commit, files: Sequence[File], folder: Path | None) -> str:
    """The entry file: as typed, else `env.py`, else what the manifest says.

    Args:
        ref: what was typed.
        hub: the hub that has the files.
        commit: the commit that they are of.
        files: what it lists.
        folder: a folder that has them already.
    """
    named = {file.path: file for file in files}
    wanted = [named[name] for name in (FILE, PYPROJECT) if name in named]
    if ref.path is not None or ENTRY in named or not wanted or ref.kind == "pypi":
        return entry_path(ref, files)
    with TemporaryDirectory() as name:
        if folder is None:
            folder = Path(name)
            hub.download(ref, commit, wanted, folder, lambda _size: None)
            for file in wanted:
                if hash_file(folder / file.path, file.oid) != file.oid:
                    raise HubError(f"{hub.address} gave other bytes for {file.path} than it lists")
        return entry_path(replace(ref, path=read_manifest(folder).entry), files)


def _look_up(ref: Ref, hub: Hub, store: Store, *, offline: bool) -> tuple[Listing, str]:
    """What a ref means, and its entry file if the hub names one."""
    known = store.recall(hub.address, ref)
    if known and (ref.is_pinned or offline):
        return known, ""
    if offline:
        raise OfflineError(
            f"{str(ref)!r} was never resolved on this machine, and offline mode is on",
            hint=_other_place(ref, None) or f"envhub fetch {ref}   # while online",
        )
    try:
        return _ask(ref, hub, store)
    except HubUnreachableError as error:
        if known is None:
            error.hint = _other_place(ref, None) or error.hint
            raise
        logger.warning("%s; %s is taken as it was last seen: %s", error.what, ref, known.commit)
        return known, ""
    except NotFoundError as error:
        error.hint = _other_place(ref, known) or error.hint
        raise


def _ask(ref: Ref, hub: Hub, store: Store) -> tuple[Listing, str]:
    commit = hub.resolve(ref)
    blank = Listing(
        hub=commit.hub,
        repo=commit.repo,
        repo_type=commit.repo_type,
        commit=commit.id or "",
        subdirectory=ref.subdirectory or "",
        files=(),
    )
    listing = store.slot(blank).listing()
    if listing is None:
        files = hub.files(ref, commit)
        check_listing(files, commit.repo)
        listing = msgspec.structs.replace(blank, files=files)
    try:
        store.remember(ref, listing)
    except StoreError as error:
        # A cache that is read-only or full must still load what it holds.
        logger.debug("not remembered: %s", error)
    return listing, commit.entry


def _other_place(ref: Ref, known: Listing | None) -> str:
    """Where that which the hub does not have could be instead, or nothing."""
    if ref.kind == "hub" and Path(ref.location).is_dir():
        return f"./{ref.location}   # the folder of that name"
    if known and ref.kind != "local":
        return f"{ref.at(known.commit)}   # what it last meant; the cache has it"
    return ""


def entry_path(ref: Ref, files: Sequence[File]) -> str:
    """The entry file that a ref names: `env.py`, the file, or the folder's `env.py`.

    Raises:
        EntryNotFoundError: the commit has no such file, or it is not Python.
    """
    paths = {file.path for file in files}
    asked = (None if ref.kind == "pypi" else ref.path) or ENTRY  # of a package it is an env id
    is_folder = any(path.startswith(f"{asked}/") for path in paths)
    path = f"{asked}/{ENTRY}" if is_folder else asked
    if path not in paths:
        raise EntryNotFoundError(
            f"{_repo(ref)!r} has no file {path!r}", hint=_near(ref, path, paths)
        )
    if not path.endswith(".py"):
        raise EntryNotFoundError(
            f"{path!r} of {_repo(ref)!r} is no Python file", hint=_near(ref, path, paths)
        )
    return path


def _repo(ref: Ref) -> str:
    return str(replace(ref, path=None))


def _near(ref: Ref, path: str, paths: Iterable[str]) -> str:
    """Refs of files with a similar name, or else what there is."""
    python = sorted(name for name in paths if name.endswith(".py"))
    if not python:
        return "the repo has no Python file at all"
    near = difflib.get_close_matches(path, python, n=3, cutoff=0.6)
    near += [name for name in python if name.rpartition("/")[2] == path.rpartition("/")[2]]
    names = list(dict.fromkeys(near))[:3] or python[:5]
    return "did you mean " + " or ".join(str(replace(ref, path=name)) for name in names) + "?"
