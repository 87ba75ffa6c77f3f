"""Bundles: env repos, the wheels that they need and their lock in one file, for no network at all.

A `.envhub` file is a zip archive:

```
envhub.json      what is in it: repos, their files, their locked packages, the wheels
files/<hash>     the repos' files, each once
wheels/<name>    the wheels
```

It comes from anywhere, so it is not unpacked: members are read by the names and up to the sizes
that `envhub.json` gives, links are never made, and every file is compared with its hash.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Final, Literal

import msgspec

from envhub import disk, tree
from envhub.errors import CorruptSourceError, HubError, RepoNotFoundError
from envhub.pins import File, Pin
from envhub.requirements import LockedRequirements

SUFFIX: Final = ".envhub"

_CONTENTS: Final = "envhub.json"
_MOST: Final = 64 << 20
"""Bytes of `envhub.json`; one of a hundred thousand files has a fifth of that."""
_CHUNK: Final = 1 << 20
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class Wheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wheel in a bundle."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+!-]{0,250}\.whl\Z")]
    size: Annotated[int, msgspec.Meta(ge=0)]
    hash: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]


class Packed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A repo in a bundle.

    Attributes:
        ref: what it was bundled as.
        repo: its name.
        path: the entry file.
        origin: the hub and the commit that it comes from, for people: nobody can check that.
        files: what it consists of.
        worlds: its packages, for the platforms that the bundle is for.
    """

    ref: str
    repo: str
    path: str
    origin: str
    files: tuple[File, ...]
    worlds: tuple[LockedRequirements, ...]

    @classmethod
    def of(cls, pin: Pin, files: Sequence[File], worlds: Sequence[LockedRequirements]) -> Packed:
        """A pinned repo."""
        origin = pin.repo if pin.dirty else f"{pin.hub} {pin.commit}"
        return cls(str(pin.ref), pin.repo, pin.path, origin, tuple(files), tuple(worlds))


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a bundle."""

    version: Literal[1]
    repos: tuple[Packed, ...]
    wheels: tuple[Wheel, ...]


class Bundle:
    """A bundle on disk, open for reading.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def contents(self) -> Contents:
        """What is in it, checked.

        Raises:
            HubError: it is no bundle, or says what cannot be.
        """
        try:
            found = msgspec.json.decode(self._head, type=Contents)
        except msgspec.MsgspecError as error:
            raise HubError(
                f"{self.path} is no bundle that this envhub reads", why=str(error)
            ) from error
        for repo in found.repos:
            tree.check_listing(repo.files, repo.repo)
        return found

    def commit(self, repo: Packed) -> str:
        """64 hex digits that stand for a repo of this bundle, with its packages, and no other."""
        number = self.contents.repos.index(repo)
        return hashlib.sha256(b"%d\n" % number + self._head).hexdigest()

    def find(self, name: str | None) -> tuple[Packed, str]:
        """A repo and its entry file.

        Args:
            name: of the repo, with the path of an entry file behind it if it is another one; `None`
                means the only one there is.

        Raises:
            RepoNotFoundError: there is none, or there are several.
        """
        repos = self.contents.repos
        for repo in repos:
            if name is not None and name in {repo.repo, repo.ref}:
                return repo, repo.path
            if name is not None and name.startswith(f"{repo.repo}/"):
                return repo, name.removeprefix(f"{repo.repo}/")
        if len(repos) == 1:
            return repos[0], name or repos[0].path
        names = sorted(repo.repo for repo in repos)
        raise RepoNotFoundError(
            f"{self.path} has no repo {name!r}" if name else f"{self.path} has {len(repos)} repos",
            hint=" or ".join(f"{self.path}:{each}" for each in names),
        )

    def copy_files(self, files: Collection[File], into: Path, named: Collection[str]) -> None:
        """Write files below a folder.

        Args:
            files: which; their paths were checked when the bundle was opened.
            into: the folder.
            named: paths of those that are wanted.

        Raises:
            CorruptSourceError: the bundle has other bytes for one.
        """
        with self._open() as archive:
            for file in files:
                if file.path in named:
                    target = into / file.path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as out:
                        self._copy(archive, _member(file), file.size, out)

    @contextmanager
    def wheels(self) -> Iterator[Path]:
        """A folder with the wheels, for a while.

        Raises:
            CorruptSourceError: the bundle has other bytes for one.
        """
        with tempfile.TemporaryDirectory(prefix="envhub-wheels-") as name, self._open() as archive:
            for wheel in self.contents.wheels:
                target = Path(name) / wheel.name
                with target.open("xb") as out:
                    self._copy(archive, f"wheels/{wheel.name}", wheel.size, out)
                if tree.hash_file(target, "sha256:") != wheel.hash:
                    raise CorruptSourceError(f"{wheel.name} in {self.path} has other bytes")
            yield Path(name)

    @cached_property
    def _head(self) -> bytes:
        with self._open() as archive:
            try:
                with archive.open(_CONTENTS) as member:
                    data = member.read(_MOST + 1)
            except (KeyError, *_BROKEN) as error:
                raise HubError(f"{self.path} is no bundle: it has no {_CONTENTS}") from error
        if len(data) > _MOST:
            raise HubError(f"{_CONTENTS} of {self.path} is larger than {_MOST:,} bytes")
        return data

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (zipfile.BadZipFile, OSError) as error:
            if isinstance(error, CorruptSourceError | HubError):
                raise
            raise HubError(f"{self.path} is no bundle", why=str(error)) from error

    def _copy(self, archive: zipfile.ZipFile, name: str, size: int, out: IO[bytes]) -> None:
        """Write exactly `size` bytes of a member; one that has more or fewer is refused."""
        left = size
        try:
            with archive.open(name) as member:
                while chunk := member.read(min(_CHUNK, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        break
                    out.write(chunk)
        except (KeyError, *_BROKEN) as error:
            raise CorruptSourceError(f"{self.path} lacks {name}", why=str(error)) from error
        if left:
            raise CorruptSourceError(
                f"{name} in {self.path} has not the {size} bytes that it should"
            )


_BROKEN: Final = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises for members that are damaged, encrypted or compressed in odd ways."""


def write(path: Path, repos: Sequence[tuple[Packed, Path]], wheels: Sequence[Path]) -> Contents:
    """Write a bundle, whole or not at all.

    Args:
        path: the file.
        repos: each with the folder of its files.
        wheels: the wheels that they need.

    Raises:
        StoreError: the folder cannot be written.
    """
    listed = {each.name: each for each in wheels}
    contents = Contents(
        1,
        tuple(repo for repo, _ in repos),
        tuple(
            Wheel(name, each.stat().st_size, tree.hash_file(each, "sha256:"))
            for name, each in sorted(listed.items())
        ),
    )
    aside = path.with_name(f".{path.name}.part")
    with disk.guarded(path.parent):
        try:
            with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
                _add(archive, _CONTENTS, msgspec.json.encode(contents))
                members = {
                    _member(file): root / file.path for repo, root in repos for file in repo.files
                }
                for name, source in sorted(members.items()):
                    _add(archive, name, source)
                for name, source in sorted(listed.items()):
                    _add(archive, f"wheels/{name}", source)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    return contents


def _add(archive: zipfile.ZipFile, name: str, source: Path | bytes) -> None:
    """Add a member, always with the same date; what is compressed already is stored."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_STORED if name.startswith("wheels/") else zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as member:
        if isinstance(source, bytes):
            member.write(source)
            return
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                member.write(chunk)


def _member(file: File) -> str:
    return f"files/{file.oid.replace(':', '-')}"
