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
```

A folder on this machine has no `hub` and no `commit`: where it lies differs between machines, its
digest does not. No password and no address of a package index is ever written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec
import tomli_w

from envhub import disk
from envhub.errors import LockError
from envhub.pins import Pin
from envhub.refs import Ref, parse
from envhub.tree import folder_address

NAME = "envhub.lock"
VERSION = 1

_HEADER = "# Written by envhub. Commit it: whoever has this file loads the same files.\n\n"
_PASSWORD = re.compile(r"https?://[^/@]+@|://[^/@]*:[^/@]*@")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one ref means; the fields are those of a pin."""

    ref: str
    repo: str
    repo_type: str
    path: str
    digest: str
    hub: str | None = None
    commit: str | None = None

    def __post_init__(self) -> None:
        parse(self.ref)
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError(f"the digest of {self.ref!r} is not sha256: and 64 hex digits")
        if self.commit is not None and not _COMMIT.fullmatch(self.commit):
            raise ValueError(f"the commit of {self.ref!r} is not 40 hex digits")
        if (self.hub is None) != (self.commit is None):
            raise ValueError(f"{self.ref!r} needs both hub and commit, or neither for a folder")

    @classmethod
    def of(cls, pin: Pin) -> Entry:
        """The entry that says what a pin says."""
        hub = None if pin.dirty else pin.hub
        return cls(str(pin.ref), pin.repo, pin.repo_type, pin.path, pin.digest, hub, pin.commit)

    @property
    def pin(self) -> Pin:
        """The pin; a folder is looked for from the working folder, as its ref says."""
        ref = parse(self.ref)
        hub = self.hub or folder_address(ref.location)
        return Pin(ref, hub, self.repo, self.repo_type, self.commit, self.path, self.digest)


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
        return cls(document.env)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What each ref means."""
        return tuple(entry.pin for entry in self.entries)

    def find(self, ref: Ref) -> Pin | None:
        """What a ref means, or `None`."""
        return next((entry.pin for entry in self.entries if entry.ref == str(ref)), None)

    def with_pins(self, pins: Iterable[Pin]) -> Lock:
        """This lock with more pins; a ref that it has already means the new one then.

        Raises:
            LockError: a ref has a password in it.
        """
        new = [Entry.of(pin) for pin in pins]
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


def _table(entry: Entry) -> dict[str, str]:
    order = ("ref", "hub", "repo", "repo_type", "commit", "path", "digest")
    fields = msgspec.structs.asdict(entry)
    return {name: fields[name] for name in order if fields[name] is not None}


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
