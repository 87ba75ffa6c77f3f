"""Source → World: everything that an env declares is there before its code is started.

An env that declares requirements gets a venv of its own under a Python that suits it, and one that
declares nothing the caller's packages. What was once found for a commit is remembered in the cache
folder, so that the next load asks no index:

```
worlds/<key>.json    the packages that a commit's requirements mean, for one Python
```
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec
from packaging.utils import canonicalize_name

from envhub import disk, settings
from envhub.errors import (
    ArgumentError,
    InstallError,
    InterpreterError,
    LockError,
    LockMismatchError,
    RequirementError,
    StoreError,
    UntrustedError,
)
from envhub.fetch import Source
from envhub.interpreters import Interpreter, choose, interpreters, own
from envhub.isolation.world import World, callers
from envhub.manifest import Manifest, read_manifest
from envhub.permissions import NONE, Permissions
from envhub.reqlines import check_lines
from envhub.requirements import LockedRequirements, lock_requirements, wants_another_python
from envhub.uvprogram import Uv
from envhub.venvs import Venv, build, find, health
from envhub.wishes import Date, Wishes

logger = logging.getLogger("envhub")

LEVELS: Final = ("process", "venv")
"""The levels that need a world."""

_HOST: Final = "gymnasium>=0.26"
"""What envhub's own part of the env's process needs, numpy included."""

_MODULES: Final = {
    "bs4": "beautifulsoup4",
    "box2d": "box2d",
    "cv2": "opencv-python-headless",
    "git": "gitpython",
    "google": "protobuf",
    "opengl": "pyopengl",
    "pil": "pillow",
    "pkg-resources": "setuptools<81",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "usb": "pyusb",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Modules whose package has another name, both as package indexes write them."""


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares worlds with one uv and the wishes of one user.

    Attributes:
        uv: the program that finds and installs packages, and the cache folder.
        wishes: what the user adds and allows.
        strict: only what a lock file has is installed.
    """

    uv: Uv
    wishes: Wishes = field(default_factory=Wishes)
    strict: bool = False

    def level(self, manifest: Manifest, asked: str = "auto") -> str:
        """`"venv"` if an env has packages or a Python of its own, else `"process"`.

        Raises:
            ArgumentError: packages are to be added where no venv is wanted.
        """
        if asked == "process" and self.wishes.extra_requirements:
            raise ArgumentError(
                "extra_requirements need a venv of the env's own",
                why=f"isolation={asked!r} takes the caller's packages as they are",
                hint='isolation="auto"',
            )
        if asked in LEVELS:
            return asked
        declared = (*manifest.requirements, *self.wishes.extra_requirements)
        suits = manifest.python.contains(own().version, prereleases=True)
        return "process" if suits and not declared else "venv"

    def prepare(
        self,
        source: Source,
        *,
        permissions: Permissions = NONE,
        level: str = "auto",
        locked: Sequence[LockedRequirements] = (),
        date: Date = lambda: None,
    ) -> World:
        """The world of a source; its venv is built if it is not there.

        Args:
            source: the verified files.
            permissions: what it gets of what it asks for.
            level: `"process"`, `"venv"`, or `"auto"`: by what the env declares.
            locked: what the lock file has for it, if anything, for any platform.
            date: when its commit was made.

        Raises:
            ManifestError, RequirementError: the env declares what cannot be.
            UntrustedError: the user must agree to something first.
            InterpreterError: no Python here suits.
            InstallError, OfflineError: packages cannot be had.
            LockMismatchError: the lock file is for something else.
            LockError: `strict`, and the lock file has no packages for it.
        """
        manifest = read_manifest(source.root, source.pin.path)
        agreed = agreements(manifest, source)
        if self.level(manifest, level) == "process":
            world = callers()
        else:
            venv = self._build(*self._locked(source, manifest, locked, date), source)
            world = World(venv.python, (venv.site_packages,), level="venv")
        return replace(
            world,
            variables={
                **settings.variables(permissions.env),
                **_filled({**manifest.env, **agreed}, source, world),
            },
            permissions=permissions,
            startup_timeout=manifest.startup_timeout,
            fork_safe=manifest.fork_safe,
            one_per_process=manifest.one_per_process,
            step=manifest.step,
        )

    def lock(self, source: Source, date: Date = lambda: None) -> LockedRequirements | None:
        """Find the packages of a source anew; `None` if it declares none.

        Raises:
            ManifestError, RequirementError, InterpreterError, InstallError, OfflineError: see
                `prepare`.
        """
        manifest = read_manifest(source.root, source.pin.path)
        if self.level(manifest) == "process":
            return None
        return self._anew(source, manifest, date)[0]

    def packages(
        self,
        source: Source,
        *,
        locked: Sequence[LockedRequirements] = (),
        date: Date = lambda: None,
    ) -> LockedRequirements | None:
        """The packages that `prepare` would install; `None` if that are the caller's.

        Raises:
            EnvHubError: as for `prepare`.
        """
        manifest = read_manifest(source.root, source.pin.path)
        if self.level(manifest) == "process":
            return None
        return self._locked(source, manifest, locked, date)[0]

    def _choose(self, manifest: Manifest, minor: str | None = None) -> Interpreter:
        download = self.uv if self.wishes.allow_python_download else None
        return choose(manifest.python, locked=minor, download=download)

    def _locked(
        self,
        source: Source,
        manifest: Manifest,
        locked: Sequence[LockedRequirements],
        date: Date,
    ) -> tuple[LockedRequirements, Interpreter]:
        """The packages, and the Python that they are for: of the lock file, else as before."""
        if self.strict and not locked:
            raise LockError(
                f"the lock file has no packages for {source.pin}",
                hint=f"envhub lock {source.pin.ref}",
            )
        if locked:
            found, interpreter = self._of_lock_file(source, manifest, locked)
        else:
            known = self._remembered(source, manifest)
            found, interpreter = known or self._anew(source, manifest, date)
        return found, interpreter

    def _remembered(
        self, source: Source, manifest: Manifest
    ) -> tuple[LockedRequirements, Interpreter] | None:
        """The packages that were found before, under whichever Python that was."""
        for interpreter in self._candidates(manifest):
            if known := _read(self._note(source, manifest, interpreter)):
                return known, interpreter
        return None

    def _anew(
        self, source: Source, manifest: Manifest, date: Date
    ) -> tuple[LockedRequirements, Interpreter]:
        """The packages for a Python; one that the manifest leaves open is the first with all."""
        failures: list[InstallError] = []
        for interpreter in self._candidates(manifest):
            try:
                return self._resolve(source, manifest, interpreter, date), interpreter
            except InstallError as error:
                if not wants_another_python(error):
                    raise
                failures.append(error)
        raise failures[0]

    def _candidates(self, manifest: Manifest) -> Iterator[Interpreter]:
        first = self._choose(manifest)
        yield first
        seen = {first.minor}
        for other in () if manifest.requires_python else interpreters():
            if other.minor not in seen:
                seen.add(other.minor)
                yield other

    def _of_lock_file(
        self, source: Source, manifest: Manifest, locked: Sequence[LockedRequirements]
    ) -> tuple[LockedRequirements, Interpreter]:
        """What the lock file has for this machine, under a Python that is here."""
        mine = own()
        here = [each for each in locked if each.platform == mine.platform]
        if not here:
            places = ", ".join(sorted({each.platform for each in locked}))
            raise LockMismatchError(
                f"the packages of {source.pin} are locked for {places}, not for {mine.platform}",
                hint=f"envhub lock {source.pin.ref}   # adds this platform",
            )
        here.sort(key=lambda each: each.python != mine.minor)
        for each in here:
            try:
                interpreter = self._choose(manifest, each.python)
            except InterpreterError:
                if each is here[-1]:
                    raise
            else:
                break
        self._check(source, manifest, each)
        return each, interpreter

    def _check(self, source: Source, manifest: Manifest, locked: LockedRequirements) -> None:
        wanted = self._lines(manifest)
        if lacking := [line for line in wanted if line not in locked.requirements]:
            extra = check_lines("extra_requirements", self.wishes.extra_requirements)
            more = "".join(f" --extra-requirement {line!r}" for line in extra)
            raise LockMismatchError(
                f"{', '.join(lacking)} of {source.pin} is not in the lock file",
                why=f"it has packages for {', '.join(locked.requirements) or 'nothing'}",
                hint=f"envhub lock {source.pin.ref}{more}",
            )

    def _lines(self, manifest: Manifest) -> tuple[str, ...]:
        extra = check_lines("extra_requirements", self.wishes.extra_requirements)
        return tuple(dict.fromkeys((*manifest.requirements, *extra)))

    def _resolve(
        self, source: Source, manifest: Manifest, interpreter: Interpreter, date: Date
    ) -> LockedRequirements:
        """Ask the index for the packages, and remember them."""
        lines = self._lines(manifest)

        def ask(*host: str) -> LockedRequirements:
            return lock_requirements(
                [*lines, *host],
                interpreter,
                self.uv,
                exclude_newer=day,
                allow_build=self.wishes.allow_build,
                indexes=manifest.indexes,
                gpu=manifest.permissions.gpu,
            )

        day = self.wishes.day(date)
        found = ask()
        if lacking := _host_lacks(found):
            found = ask(lacking)
        found = msgspec.structs.replace(found, requirements=lines)
        try:
            path = self._note(source, manifest, interpreter)
            disk.write(path, msgspec.json.encode(found))
        except StoreError as error:
            logger.debug("not remembered: %s", error)
        return found

    def _note(self, source: Source, manifest: Manifest, interpreter: Interpreter) -> Path:
        """Where it is remembered what the requirements mean: for ever for a commit."""
        pin, wishes = source.pin, self.wishes
        parts = (
            (pin.hub, pin.repo, pin.commit or ""),
            self._lines(manifest),
            (str(interpreter.version), interpreter.platform),
            sorted(map(canonicalize_name, wishes.allow_build)),
            manifest.indexes,
            (wishes.exclude_newer, manifest.permissions.gpu, self.uv.torch),
        )
        key = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
        return self.uv.home / "worlds" / f"{key}.json"

    def _build(self, locked: LockedRequirements, interpreter: Interpreter, source: Source) -> Venv:
        venv = find(locked, interpreter, self.uv.home)
        if not health(venv):
            return venv
        allowed = set(map(canonicalize_name, self.wishes.allow_build))
        if builds := [name for name in locked.allow_build if name not in allowed]:
            names = ", ".join(f'"{name}"' for name in builds)
            raise RequirementError(
                f"{', '.join(builds)} of {source.pin} would be built from source",
                why="that runs code of the package before any env is started",
                hint=f"allow_build=[{names}]",
            )
        return build(locked, interpreter, self.uv)


def _host_lacks(found: LockedRequirements) -> str:
    """What must be added to an env's packages for envhub's own part of its process."""
    names = {each.name for each in found.packages}
    if not names & {"gymnasium", "gym"}:
        return _HOST
    return "" if "numpy" in names else "numpy"


def agreements(manifest: Manifest, source: Source) -> dict[str, str]:
    """The variables that stand for an agreement; the user has agreed by setting them.

    Raises:
        UntrustedError: one is not set.
    """
    mine = settings.variables(manifest.accept)
    for name, value in manifest.accept.items():
        if mine.get(name) != value:
            raise UntrustedError(
                f"{source.pin} runs only if you agree to what {name}={value} stands for",
                why="such a variable says that you accept a licence, which nobody can do for you",
                hint=f"export {name}={value}   # if you do",
            )
    return dict(manifest.accept)


def _filled(values: dict[str, str], source: Source, world: World) -> dict[str, str]:
    """Variables with the folders of this machine for `{repo}` and `{packages}`."""
    folders = {"{repo}": str(source.root), "{packages}": str(world.packages[0])}

    def fill(value: str) -> str:
        for mark, folder in folders.items():
            value = value.replace(mark, folder)
        return value

    return {name: fill(value) for name, value in values.items()}


def package_of(module: str) -> str:
    """The package that most likely has a module."""
    top = canonicalize_name(module.partition(".")[0])
    return _MODULES.get(top, top)


def packages(world: World) -> Iterator[str]:
    """Names and versions of the packages of a world, as `name==version`."""
    for folder in world.packages:
        for path in folder.glob("*.dist-info"):
            name, _, version = path.name.removesuffix(".dist-info").partition("-")
            yield f"{canonicalize_name(name)}=={version}"


def _read(path: Path) -> LockedRequirements | None:
    """What was remembered; a note that is missing or damaged says nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=LockedRequirements)
    except (OSError, msgspec.MsgspecError):
        return None
