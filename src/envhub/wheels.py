"""Locked packages → their wheels as files, from wherever uv knows them to be."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.specifiers import SpecifierSet

from envhub import tree
from envhub.errors import EnvHubError, InstallError
from envhub.hubs.parallel import each
from envhub.interpreters import choose
from envhub.requirements import LockedRequirements
from envhub.uvprogram import Uv, last_words

TIMEOUT = 30.0
_CHUNK = 1 << 20


class _File(msgspec.Struct):
    """A wheel as https://packaging.python.org/en/latest/specifications/pylock-toml/ has it."""

    hashes: dict[str, str]
    url: str = ""
    path: str = ""

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.url or self.path).path.rpartition("/")[2])


class _Package(msgspec.Struct):
    name: str
    version: str
    wheels: tuple[_File, ...] = ()


class _Pylock(msgspec.Struct):
    packages: tuple[_Package, ...] = ()


def download(locked: LockedRequirements, uv: Uv, into: Path) -> Sequence[Path]:
    """Download the wheels of locked packages into a folder.

    Raises:
        InstallError: one is built from source, the index does not give it, or gives other bytes.
        InterpreterError: the Python that the packages are for is not here.
        OfflineError: `uv` is offline.
    """
    if locked.allow_build:
        names = ", ".join(locked.allow_build)
        raise InstallError(f"{names} is built from source, so there is no wheel to take along")
    folder = into.resolve()
    files = _find(locked, uv)
    each(lambda file, _progress, stop: _fetch(file, folder, stop), files, _unheard)
    return [folder / file.name for file in files]


def _unheard(_size: int) -> None:
    """Wheels are few and small beside the files of most repos."""


def _find(locked: LockedRequirements, uv: Uv) -> list[_File]:
    """Where the wheels are; uv chooses the one that fits best."""
    interpreter = choose(SpecifierSet(), locked=locked.python)
    done = uv.run(
        *("pip", "compile", "-", "--python", interpreter.path, "--format", "pylock.toml"),
        *locked.options,
        title="finding wheels",
        indexes=locked.indexes,
        stdin=locked.text.encode(),
    )
    if done.returncode:
        raise InstallError("the wheels of an env could not be found", why=last_words(done))
    found = msgspec.toml.decode(done.stdout, type=_Pylock)
    hashes = {package.name: package.hashes for package in locked.packages}
    return [_chosen(package, hashes.get(package.name, ())) for package in found.packages]


def _chosen(package: _Package, hashes: Sequence[str]) -> _File:
    for file in package.wheels:
        if f"sha256:{file.hashes.get('sha256')}" in hashes:
            return file
    raise InstallError(
        f"the index has no wheel of {package.name} {package.version} as it is locked"
    )


def _fetch(file: _File, folder: Path, stop: Event) -> None:
    target = folder / file.name
    address = urlsplit(file.url)
    try:
        if file.path or address.scheme == "file":
            shutil.copyfile(file.path or unquote(address.path), target)
        else:
            _stream(file.url, target, stop)
    except (OSError, EnvHubError) as error:
        why = error.why or error.what if isinstance(error, EnvHubError) else str(error)
        raise InstallError(f"{file.name} could not be downloaded", why=why) from error
    wanted = f"sha256:{file.hashes['sha256']}"
    if not stop.is_set() and tree.hash_file(target, "sha256:") != wanted:
        raise InstallError(f"the index gave other bytes for {file.name} than it was locked with")


def _stream(url: str, target: Path, stop: Event) -> None:
    # Late: the HTTP library takes longer to import than all of envhub.
    from envhub.hubs.hfhttp import Place, meanings, open_reply

    host = urlsplit(url).hostname or url
    place = Place(host, target.name, url)
    with meanings(place), open_reply("GET", url, {}, TIMEOUT) as reply, target.open("wb") as out:
        for chunk in reply.iter_bytes(_CHUNK):
            if stop.is_set():
                return
            out.write(chunk)
