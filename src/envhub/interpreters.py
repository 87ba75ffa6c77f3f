"""Which Pythons are on this machine, and which of them an env can run under."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envhub import proc, settings
from envhub.errors import CommandError, InterpreterError
from envhub.uvprogram import Uv, last_words

OLDEST: Final = Version("3.8")
"""The oldest Python that the worker's syntax runs under."""

_NEWEST: Final = 14
_SYSTEM: Final = (Path("/usr/bin"), Path("/usr/local/bin"), Path("/opt/homebrew/bin"))
_CONDA: Final = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda")
_NAME = re.compile(r"python(\d(?:\.\d+)?)?(\.exe)?")
_ASK: Final = """
import sys, sysconfig
print("%d.%d.%d" % sys.version_info[:3])
print(sysconfig.get_platform())
print(sysconfig.get_config_var("SOABI"))
print(sys.implementation.name)
print(sys.executable)
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One Python.

    Attributes:
        path: the program; never that of a venv.
        version: its full version.
        platform: what its binaries are for, `linux-x86_64` say.
    """

    path: Path
    version: Version
    platform: str

    @property
    def minor(self) -> str:
        """Its version in two parts, `3.11`."""
        return f"{self.version.major}.{self.version.minor}"

    def __str__(self) -> str:
        return f"{self.version} at {self.path}"


@cache
def own() -> Interpreter:
    """The Python that runs this program; where that is a venv's, the one below it."""
    program = getattr(sys, "_base_executable", sys.executable)
    return Interpreter(
        Path(program).resolve(),
        Version("{}.{}.{}".format(*sys.version_info)),
        _platform(sysconfig.get_platform(), str(sysconfig.get_config_var("SOABI"))),
    )


def interpreters(minor: str | None = None) -> tuple[Interpreter, ...]:
    """All Pythons that are found, the newest first.

    Args:
        minor: only those of this version, `3.11` say; programs with another in their name are not
            asked, which takes some 10 ms each.
    """
    found = {own(), *filter(None, map(ask, _programs(minor)))}
    wanted = [each for each in found if minor in {None, each.minor} and each.version >= OLDEST]
    return tuple(sorted(wanted, key=lambda each: (each.version, str(each.path)), reverse=True))


def choose(
    wanted: SpecifierSet, *, locked: str | None = None, download: Uv | None = None
) -> Interpreter:
    """The Python for an env: the caller's own if it suits, else the newest that does.

    Args:
        wanted: which versions the env runs under.
        locked: the version in two parts, if a lock file names one.
        download: the uv that may download a Python if none suits; only the user can allow that.

    Raises:
        InterpreterError: none suits; the message lists what was found.
    """

    def suits(each: Interpreter) -> bool:
        return each.minor == (locked or each.minor) and wanted.contains(
            each.version, prereleases=True
        )

    mine = own()
    if suits(mine):
        return mine
    found = next(filter(suits, interpreters(locked)), None)
    version = locked or _suggested(wanted)
    if found is None and download is not None and version:
        _download(download, version)
        found = next(filter(suits, interpreters(locked)), None)
    if found is None:
        raise _none_suits(wanted, locked)
    return found


def _none_suits(wanted: SpecifierSet, locked: str | None) -> InterpreterError:
    listing = "".join(f"\n  {each}" for each in interpreters())
    version = locked or _suggested(wanted)
    return InterpreterError(
        f"the env needs Python {locked or wanted}, and no such Python was found",
        why=f"found:{listing}",
        hint=f"uv python install {version}   # or allow_python_download=True"
        if version
        else f"envs run under Python {OLDEST} or newer",
    )


def _suggested(wanted: SpecifierSet) -> str:
    """The newest Python that suits, so far as one can know without looking it up; else nothing."""
    exact = [each.version for each in wanted if each.operator == "==" and "*" not in each.version]
    minors = [f"3.{minor}" for minor in range(_NEWEST, OLDEST.minor - 1, -1)]
    ends = [*exact, *(minor for minor in minors if wanted.contains(f"{minor}.99"))]
    return next((version for version in ends if Version(version) >= OLDEST), "")


def _download(uv: Uv, version: str) -> None:
    done = uv.run("python", "install", version, title=f"Python {version}", downloads="manual")
    if done.returncode:
        raise InterpreterError(
            f"Python {version} could not be downloaded",
            why=last_words(done),
            hint="install it by other means, or set UV_PYTHON_INSTALL_MIRROR",
        )


def _programs(minor: str | None) -> Iterator[Path]:
    """Programs that may be Pythons, each once, in no venv."""
    seen: set[Path] = set()
    for folder in _folders():
        for path in _named(folder):
            real = path.resolve()
            if real in seen or (path.parent.parent / "pyvenv.cfg").exists():
                continue
            seen.add(real)
            name = _NAME.fullmatch(real.name)
            version = (name and name[1]) or ""
            if version in {"", "3", minor} or (minor is None and version.startswith("3")):
                yield real


def _folders() -> Iterator[Path]:
    yield Path(sys.base_prefix) / "bin"
    # What pyenv's shims would start is in its versions; a shim of another one only fails.
    shims = settings.pyenv_root() / "shims"
    yield from (folder for folder in settings.search_path() if folder != shims)
    yield from sorted(settings.pyenv_root().glob("versions/*/bin"))
    yield from sorted(settings.uv_pythons().glob("*/bin"))
    for conda in _CONDA:
        yield Path.home() / conda / "bin"
        yield from sorted(Path.home().glob(f"{conda}/envs/*/bin"))
    with suppress(OSError):
        envs = (Path.home() / ".conda" / "environments.txt").read_text(errors="replace")
        yield from (Path(env) / "bin" for env in envs.splitlines())
    yield from _SYSTEM


def _named(folder: Path) -> list[Path]:
    """Programs in a folder that are called like Pythons."""
    try:
        paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(path for path in paths if shutil.which(path))


@cache
def ask(program: Path) -> Interpreter | None:
    """What a program says of itself; `None` for shims of what is not there, PyPy, and the like."""
    try:
        answer = proc.run([program, "-I", "-S", "-c", _ASK], timeout=10).text.splitlines()
        version, platform, abi, implementation, path = answer
    except (CommandError, OSError, ValueError):
        return None
    # Builds without a GIL, or with assertions, need other wheels than everybody else.
    if implementation != "cpython" or not re.fullmatch(r"None|(cpython-|cp)\d+-.*", abi):
        return None
    return Interpreter(Path(path).resolve(), Version(version), _platform(platform, abi))


def _platform(platform: str, abi: str) -> str:
    """What wheels are chosen by, without the version of macOS that this Python was built on."""
    plain = re.sub(r"^macosx-[\d.]+-", "macos-", platform)
    return f"{plain}-musl" if "musl" in abi else plain
