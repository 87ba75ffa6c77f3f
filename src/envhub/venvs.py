"""Locked requirements → a venv in the cache: built once, whole or not at all, read-only after that.

```
venvs/<key>/venv/         the venv; in use only if ready.json is there
            ready.json    what it is, written last
            stat.json     the stamps that its files had then
            partial-…/    a venv under way, or one whose builder was killed
```

Packages are copied out of the cache of uv, never linked: a link is one file in the cache and in all
venvs, and an env that writes to it would change the others. Bytecode is compiled here and not by
uv, which starts the venv's Python for it and so runs what a package has put into a `.pth` file.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from envhub import disk, proc, settings, tree
from envhub.errors import DiskFullError, InstallError, OfflineError
from envhub.interpreters import Interpreter
from envhub.proc import Completed
from envhub.requirements import LockedRequirements, explain
from envhub.tree import Fault, Stamp
from envhub.uvprogram import Uv, last_words

logger = logging.getLogger("envhub")

_LAYOUT: Final = "1 copy"
"""How venvs are built; another way makes other keys."""

_T = TypeVar("_T")


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a venv is, as it is noted when it is finished.

    Attributes:
        python: the full version of its Python.
        platform: what its binaries are for.
        program: the Python that it was built with.
        packages: the names and versions of its packages.
    """

    python: str
    platform: str
    program: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Venv:
    """One venv.

    Attributes:
        key: what decides its contents: packages, Python, platform.
        path: its folder.
        python: the Python below it. Envs are started with that one, not with the venv's own, and
            get the packages once they are locked down.
        site_packages: the folder of its packages.
    """

    key: str
    path: Path
    python: Path
    site_packages: Path

    @property
    def program(self) -> Path:
        """The venv's own Python, for people."""
        return _program(self.path)

    def ready(self) -> Ready | None:
        """What it is, or `None` if it was never finished."""
        return _read(self.path.parent / "ready.json", Ready)


def find(locked: LockedRequirements, interpreter: Interpreter, home: Path) -> Venv:
    """The place of the venv for `locked` in the cache folder `home`, whether it is there or not.

    Raises:
        InstallError: the requirements were locked for another Python or platform.
    """
    here = (interpreter.minor, interpreter.platform)
    if here != (locked.python, locked.platform):
        raise InstallError(
            f"the requirements are locked for Python {locked.python} on {locked.platform}, "
            f"not for {here[0]} on {here[1]}",
            hint="lock them here, too",
        )
    parts = (_LAYOUT, str(interpreter.version), interpreter.platform, *locked.options, locked.text)
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    path = home / "venvs" / key / "venv"
    return Venv(key, path, interpreter.path, _site_packages(path, interpreter))


def build(locked: LockedRequirements, interpreter: Interpreter, uv: Uv) -> Venv:
    """The venv for `locked`, built if it is not there; many processes may ask at once.

    Args:
        locked: the packages.
        interpreter: the Python that it is for.
        uv: the program that installs them.

    Raises:
        InstallError: the requirements were locked for another Python or platform, a package cannot
            be downloaded, has other bytes than it was locked with, or cannot be built.
        OfflineError: `uv` is offline, and its cache lacks a package.
        RequirementError: an index that the packages come from is not configured.
        StoreError: the cache cannot be written, or is full.
    """
    venv = find(locked, interpreter, uv.home)
    if not health(venv):
        return venv
    with disk.alone(uv.home, f"venv--{venv.key}"):
        if sickness := health(venv):
            logger.info("building venv %s: %s", venv.key, sickness)
            _clear(venv.path.parent)
            _fill(venv, locked, interpreter, uv)
    return venv


def health(venv: Venv) -> str:
    """Why a venv cannot be used, in words; nothing if it can.

    Looks at folders only, so that it costs nothing at every start; `changes` looks at all files.
    """
    ready = venv.ready()
    if ready is None:
        return "it is not there, or was never finished"
    if not venv.program.exists():
        return f"its Python, {ready.program}, is gone"
    there = set(_packages(venv.site_packages))
    if missing := [package for package in ready.packages if package not in there]:
        return f"it lacks {', '.join(missing)}"
    return ""


def changes(venv: Venv) -> tuple[Fault, ...]:
    """Files that are not as they were when the venv was finished; also if it was copied here."""
    known = _read(venv.path.parent / "stat.json", dict[str, Stamp]) or {}
    found = {path: tree.stamp(status) for path, status in tree.walk(venv.path).items()}
    faults = [Fault(path, "is missing") for path in known.keys() - found.keys()]
    for path, stamp in found.items():
        if known.get(path) != stamp:
            faults.append(Fault(path, "was changed" if path in known else "was added"))
    return tuple(sorted(faults, key=lambda fault: fault.path))


def keys(home: Path) -> tuple[str, ...]:
    """The keys of all venvs in the cache folder `home`, whole or not."""
    return tuple(sorted(path.name for path in (home / "venvs").glob("*") if path.is_dir()))


def remove(key: str, home: Path) -> None:
    """Remove a venv from the cache folder `home`; it is no longer in use at once."""
    with disk.alone(home, f"venv--{key}"):
        _clear(home / "venvs" / key)
        shutil.rmtree(home / "venvs" / key, ignore_errors=True)


def _fill(venv: Venv, locked: LockedRequirements, interpreter: Interpreter, uv: Uv) -> None:
    """Build a venv aside and move it into place; the note that it is ready comes last."""
    # A new name each time: the uv of a killed builder may still be writing to the old one.
    partial = venv.path.with_name(f"partial-{secrets.token_hex(8)}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        _install(partial, locked, interpreter, uv)
        site_packages = _site_packages(partial, interpreter)
        _compile(site_packages, interpreter)
        ready = Ready(
            python=str(interpreter.version),
            platform=interpreter.platform,
            program=str(interpreter.path),
            packages=tuple(sorted(_packages(site_packages))),
        )
        stamps = _protect(partial)
        disk.write(venv.path.parent / "stat.json", msgspec.json.encode(stamps))
        partial.replace(venv.path)
        disk.write(venv.path.parent / "ready.json", msgspec.json.encode(ready))
    finally:
        _discard(partial)


def _install(folder: Path, locked: LockedRequirements, interpreter: Interpreter, uv: Uv) -> None:
    """A venv with the packages in it, and nothing else."""
    # Relocatable, since it is moved; its scripts would start the Python of the old place.
    done = uv.run("venv", folder, "--python", interpreter.path, "--relocatable", "--no-project")
    if not done.returncode and locked.packages:
        done = uv.run(
            *("pip", "sync", "-", "--require-hashes", "--link-mode", "copy", *locked.options),
            *("--python", str(_program(folder))),
            title=f"installing {len(locked.packages)} packages",
            indexes=locked.indexes,
            stdin=locked.text.encode(),
            building=(interpreter.path, folder) if locked.allow_build else None,
        )
    if done.returncode:
        raise _not_installed(done, locked)


def _not_installed(done: Completed, locked: LockedRequirements) -> Exception:
    said = last_words(done)
    names = {each.name: each.requirement for each in locked.packages}
    found = re.search(r"`([a-z0-9-]+)==[^`]*`|Because ([a-z0-9-]+)", said)
    guilty = names.get(found[1] or found[2] if found else "", "the env's packages")
    if "network was disabled" in said:
        hint = "load it once while online"
        return OfflineError(
            f"offline mode is on, and the cache lacks {guilty}", why=said, hint=hint
        )
    refused = re.search(rf"os error ({errno.ENOSPC}|{errno.EDQUOT})\)", said)
    if refused:
        return DiskFullError("the disk of the cache is full", why=said, hint="envhub cache ls")
    return InstallError(f"{guilty} could not be installed", why=said, hint=explain(said))


def _compile(site_packages: Path, interpreter: Interpreter) -> None:
    """Write the bytecode of all packages, so that a start need not; nothing of them is run.

    `-S` keeps `.pth` files from being run. Files in another Python's syntax are passed over.
    """
    argv = (interpreter.path, "-I", "-S", "-m", "compileall", "-q", "-q", "-i", "-")
    environ = settings.uv_environ()
    sources = [str(path) for path in site_packages.rglob("*.py")]
    count = min(os.cpu_count() or 1, 1 + len(sources) // 50)

    def work(first: int) -> None:
        lines = "\n".join(sources[first::count])
        proc.run(argv, env=environ, stdin=os.fsencode(lines), check=False)

    # Side by side by ourselves, since compileall's own way takes a quarter longer.
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))


def _protect(folder: Path) -> dict[str, Stamp]:
    """Make all below `folder` read-only; the stamps of the files after that."""
    stamps = tree.protect(folder)
    for each in _folders(folder):
        each.chmod(0o555)
    return stamps


def _clear(folder: Path) -> None:
    """Remove what builders left in a venv's place; what says that it is ready goes first."""
    (folder / "ready.json").unlink(missing_ok=True)
    for path in (folder / "venv", *folder.glob("partial-*")):
        _discard(path)


def _discard(folder: Path) -> None:
    if folder.is_dir():
        for each in _folders(folder):
            each.chmod(0o755)
        # An orphan may still be writing there; what it leaves goes the next time.
        shutil.rmtree(folder, ignore_errors=True)


def _folders(folder: Path) -> Iterator[Path]:
    return (Path(path) for path, _, _ in os.walk(folder))


def _program(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _site_packages(venv: Path, interpreter: Interpreter) -> Path:
    if os.name == "nt":
        return venv / "Lib" / "site-packages"
    return venv / "lib" / f"python{interpreter.minor}" / "site-packages"


def _packages(site_packages: Path) -> Iterable[str]:
    """Names and versions of the packages in a folder."""
    return (path.name.removesuffix(".dist-info") for path in site_packages.glob("*.dist-info"))


def _read(path: Path, kind: type[_T]) -> _T | None:
    """A file of ours; one that is missing or damaged says nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
