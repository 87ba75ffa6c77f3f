"""`envhub.lock`: what every ref of a project means, written down.

```toml
version = 1

[[env]]
ref = "owner/name@v1.0:env.py"
hub = "https://huggingface.co"
repo = "owner/name"
repo_type = "model"
commit = "<40 hex>"
path = "env.py"
digest = "sha256:<64 hex>"

[[env.world]]
python = "3.11"
platform = "linux-x86_64"
exclude_newer = 2025-01-31T00:00:00Z
requirements = ["gymnasium==1.4.0"]

[[env.world.packages]]
name = "gymnasium"
version = "1.4.0"
hashes = ["sha256:<64 hex>"]
```

There is one world per Python and platform that the ref was locked on. A folder on this machine has
no `hub` and no `commit`: where it lies differs between machines, its digest does not. No password
and no address of a package index is ever written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w

from envhub import disk, tree
from envhub.errors import LockError
from envhub.pins import Pin, is_commit
from envhub.refs import Ref, parse
from envhub.requirements import LockedRequirements
from envhub.tree import Stamp, folder_address

NAME = "envhub.lock"
VERSION = 1

_HEADER = "# Written by envhub. Commit it: whoever has this file loads the same files.\n\n"
_PASSWORD = re.compile(r"https?://[^/@]+@|://[^/@]*:[^/@]*@")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
Determinism = Literal["exact", "same machine only", "not reproducible"]


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an env did with some seeds and actions, and all that decided about it.

    Attributes:
        digest: over its observations, rewards and flags.
        actions: over the actions that it was given.
        determinism: where the same digest can be expected.
        seeds: how many episodes were begun in each task.
        steps: how many steps were made in each.
        code: the digest of its files.
        python: the full version of the Python that it ran under.
        platform: what that one's binaries are for.
        packages: what was installed there, as `name==version`.
    """

    digest: Digest
    actions: Digest
    determinism: Determinism
    seeds: int
    steps: int
    code: Digest
    python: str
    platform: str
    packages: tuple[str, ...]

    @property
    def place(self) -> tuple[str, str]:
        """The Python and the platform, as worlds name them."""
        return ".".join(self.python.split(".")[:2]), self.platform

    def differences(self, now: Fingerprint) -> list[str]:
        """Which parts of the environment are others now, in words."""
        names = ("code", "python", "platform", "seeds", "steps", "actions")
        lines = [
            f"{name}: {getattr(self, name)} then, {getattr(now, name)} now"
            for name in names
            if getattr(self, name) != getattr(now, name)
        ]
        before, after = (dict(each.split("==", 1) for each in f.packages) for f in (self, now))
        lines += [
            f"package {name}: {before.get(name, 'none')} then, {after.get(name, 'none')} now"
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]
        return lines


class Entry(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"worlds": "world", "fingerprints": "fingerprint"},
):
    """What one ref means: the fields of a pin, its packages, and what it did.

    Attributes:
        worlds: its packages for each Python and platform that it was locked on.
        fingerprints: what it did there.
    """

    ref: str
    repo: str
    repo_type: str
    path: str
    digest: str
    hub: str | None = None
    commit: str | None = None
    worlds: tuple[LockedRequirements, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()

    def __post_init__(self) -> None:
        parse(self.ref)
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError(f"the digest of {self.ref!r} is not sha256: and 64 hex digits")
        if self.commit is not None and not is_commit(self.commit, self.repo_type):
            raise ValueError(f"the commit of {self.ref!r} is not 40 hex digits")
        if self.hub is None and parse(self.ref).kind != "local":
            raise ValueError(f"{self.ref!r} has no hub")
        if self.hub is not None and self.commit is None:
            raise ValueError(f"{self.ref!r} has a hub, and no commit")

    @classmethod
    def of(cls, pin: Pin) -> Entry:
        """The entry that says what a pin says."""
        # Where a folder lies differs between machines.
        hub = None if pin.ref.kind == "local" else pin.hub
        return cls(str(pin.ref), pin.repo, pin.repo_type, pin.path, pin.digest, hub, pin.commit)

    @property
    def pin(self) -> Pin:
        """The pin; a folder is looked for from the working folder, as its ref says."""
        ref = parse(self.ref)
        hub = self.hub or folder_address(ref.location)
        return Pin(ref, hub, self.repo, self.repo_type, self.commit, self.path, self.digest)

    def with_world(self, world: LockedRequirements | None) -> Entry:
        """This entry with the packages for one place; those for others stay if they still fit."""
        if world is None:
            return msgspec.structs.replace(self, worlds=())
        kept = [
            each
            for each in self.worlds
            if each.place != world.place and each.requirements == world.requirements
        ]
        worlds = tuple(sorted((*kept, world), key=lambda each: each.place))
        return msgspec.structs.replace(self, worlds=worlds)

    def with_fingerprint(self, found: Fingerprint) -> Entry:
        """This entry with what it did in one place, beside what it did in others."""
        kept = [each for each in self.fingerprints if each.place != found.place]
        prints = tuple(sorted((*kept, found), key=lambda each: each.place))
        return msgspec.structs.replace(self, fingerprints=prints)

    def replacing(self, old: Entry | None) -> Entry:
        """This entry with what is still known of the one that it replaces."""
        if old is None:
            return self
        # Packages for other places stay until they are locked anew for one: see `with_world`.
        same = old.commit == self.commit and old.digest == self.digest
        prints = old.fingerprints if same else ()
        return msgspec.structs.replace(self, worlds=old.worlds, fingerprints=prints)


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    env: tuple[Entry, ...] = ()


class Lock(msgspec.Struct, frozen=True):
    """The lock file as a value, in the order of its refs."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Lock:
        """Read a lock file.

        Raises:
            LockError: there is none, or it says something that envhub does not understand.
        """
        try:
            stamp = tree.stamp(path.stat())
        except OSError:
            return _parse(path)
        return _known(path, stamp)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What each ref means."""
        return tuple(entry.pin for entry in self.entries)

    def entry(self, ref: Ref) -> Entry | None:
        """All that is known of a ref, or `None`."""
        return next((entry for entry in self.entries if entry.ref == str(ref)), None)

    def find(self, ref: Ref) -> Pin | None:
        """What a ref means, or `None`."""
        entry = self.entry(ref)
        return entry.pin if entry else None

    def with_pins(self, pins: Iterable[Pin]) -> Lock:
        """This lock with more pins; a ref that it has already means the new one then.

        Raises:
            LockError: a ref has a password in it.
        """
        return self.with_entries(Entry.of(pin).replacing(self.entry(pin.ref)) for pin in pins)

    def with_entries(self, entries: Iterable[Entry]) -> Lock:
        """This lock with more entries, instead of those that it has for the same refs.

        Raises:
            LockError: a ref has a password in it.
        """
        new = tuple(entries)
        for entry in new:
            if _PASSWORD.search(f"{entry.ref} {entry.hub}"):
                raise LockError(
                    f"{_PASSWORD.sub('://***@', entry.ref)!r} has a password in it",
                    why="a lock file is shared, so it cannot hold one",
                    hint="leave it out of the ref and let git's credential helper know it",
                )
        merged = {entry.ref: entry for entry in (*self.entries, *new)}
        return Lock(tuple(merged[ref] for ref in sorted(merged)))

    def without(self, ref: Ref) -> Lock:
        """This lock without a ref."""
        return Lock(tuple(entry for entry in self.entries if entry.ref != str(ref)))

    def dumps(self) -> str:
        """The text of the file: equal locks have equal texts."""
        table = {"version": VERSION, "env": [_table(entry) for entry in self.entries]}
        return _HEADER + tomli_w.dumps(table)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            StoreError: the folder cannot be written.
        """
        disk.write(path, self.dumps().encode())


@lru_cache(maxsize=4)
def _known(path: Path, _stamp: Stamp) -> Lock:
    return _parse(path)


def _parse(path: Path) -> Lock:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LockError(f"there is no {path}", hint="envhub lock owner/name") from error
    except (OSError, ValueError) as error:
        hint = "repair it, or remove it and write it anew with envhub lock"
        raise LockError(f"{path} cannot be read", why=str(error), hint=hint) from error
    if table.get("version") != VERSION:
        raise LockError(
            f"{path} has version {table.get('version')!r}; this envhub reads {VERSION}",
            hint="pip install --upgrade gym-envhub",
        )
    try:
        document = msgspec.convert(table, _Document)
    except msgspec.ValidationError as error:
        raise LockError(
            f"{path} says something that envhub does not understand",
            why=str(error),
            hint="remove that line, or write the file anew with envhub lock",
        ) from error
    return Lock(document.env)


def _table(entry: Entry) -> dict[str, Any]:
    first = ("ref", "hub", "repo", "repo_type", "commit", "path", "digest")
    fields: dict[str, Any] = msgspec.to_builtins(entry, builtin_types=(datetime,))
    return {name: fields[name] for name in (*first, "world", "fingerprint") if name in fields}


def find_lock(start: Path) -> Path | None:
    """The lock file of a project: in `start` or above, up to a repo's root or the home folder."""
    for folder in (start.absolute(), *start.absolute().parents):
        if (folder / NAME).is_file():
            return folder / NAME
        if (folder / ".git").exists() or folder == Path.home():
            return None
    return None


def explain(held: Pin, actual: Pin) -> str:
    """Say in words where two pins of one ref differ; nothing if they do not.

    Args:
        held: what the lock file says.
        actual: what the hub or the disk says.
    """
    names = ("hub", "repo", "repo_type", "commit", "path", "digest")
    words = {"repo_type": "repo type", "digest": "tree digest"}
    lines = [
        f"{words.get(name, name)}: {getattr(held, name) or 'none'} in the lock,"
        f" {getattr(actual, name) or 'none'} now"
        for name in names
        if getattr(held, name) != getattr(actual, name)
    ]
    if held.commit == actual.commit is not None and held.digest != actual.digest:
        lines.append(
            "the same commit with other files: the hub or the network is not to be trusted"
        )
    return "\n".join(lines)
