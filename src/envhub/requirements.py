"""Requirements → exact packages with their hashes, for one Python on one platform."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version

from envhub.errors import EnvHubError, InstallError, OfflineError, RequirementError
from envhub.interpreters import Interpreter
from envhub.proc import Completed
from envhub.reqlines import check_line, check_lines
from envhub.uvprogram import Uv, last_words

logger = logging.getLogger("envhub")

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z")]
Hash = Annotated[str, msgspec.Meta(pattern=r"^sha(256|384|512):[0-9a-f]{64,128}\Z")]

_CPU: Final = "cpu"
_PACKAGE = re.compile(
    r"(?P<name>\S+)==(?P<version>\S+)(?: ; (?P<marker>.*?))?(?P<hashes>(?: +--hash=\S+)+)"
)
_SMALL: Final = {"nvidia-ml-py", "nvidia-ml-py3"}


class LockedPackage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One package in one version.

    Attributes:
        name: as package indexes write it.
        version: the version.
        hashes: those of its files, `sha256:…`; any of them may be installed.
        marker: where it is needed; empty means everywhere.
    """

    name: Name
    version: str
    hashes: Annotated[tuple[Hash, ...], msgspec.Meta(min_length=1)]
    marker: str = ""

    def __post_init__(self) -> None:
        # A lock file comes from others, too, and its text goes to an installer.
        Version(self.version)
        try:
            check_line("the lock", self.requirement)
        except RequirementError as error:
            raise ValueError(error.what) from error

    @property
    def requirement(self) -> str:
        """The package as a requirement, without its hashes."""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}=={self.version}{marker}"


class LockedRequirements(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """All packages of an env, exactly; no address of an index is in it.

    Attributes:
        python: the version of Python in two parts, `3.11`.
        platform: what the binaries are for, `linux-x86_64` say.
        packages: by name.
        exclude_newer: the time after which nothing was looked at.
        allow_build: names of packages that are built from source.
        indexes: names of the user's indexes that the packages may come from.
        torch: the build of PyTorch.
        requirements: what the packages are meant to meet.
    """

    python: Annotated[str, msgspec.Meta(pattern=r"^3\.\d+\Z")]
    platform: str
    packages: tuple[LockedPackage, ...]
    exclude_newer: datetime | None = None
    allow_build: tuple[Name, ...] = ()
    indexes: tuple[str, ...] = ()
    torch: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.]+\Z")] = _CPU
    requirements: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """The Python and the platform that they are for."""
        return self.python, self.platform

    @property
    def text(self) -> str:
        """The packages as a requirements file with hashes."""
        hashed = (
            " \\\n    ".join((each.requirement, *(f"--hash={one}" for one in each.hashes)))
            for each in self.packages
        )
        return "".join(f"{each}\n" for each in hashed)

    @property
    def options(self) -> tuple[str, ...]:
        """What uv must be told beside the text: what may be built, and which PyTorch is meant."""
        source = [word for name in self.allow_build for word in ("--no-binary", name)]
        torch = () if self.torch == "index" else ("--torch-backend", self.torch)
        # What a build needs is not locked; its day at least is kept.
        until = self.until if self.allow_build else ()
        return ("--no-sources", "--only-binary", ":all:", *source, *torch, *until)

    @property
    def until(self) -> tuple[str, ...]:
        """The option of uv's that says after which time nothing is looked at."""
        return ("--exclude-newer", self.exclude_newer.isoformat()) if self.exclude_newer else ()


def lock_requirements(
    requirements: Sequence[str],
    interpreter: Interpreter,
    uv: Uv,
    *,
    exclude_newer: datetime | None = None,
    extra: Sequence[str] = (),
    allow_build: Sequence[str] = (),
    indexes: Sequence[str] = (),
    gpu: bool = False,
) -> LockedRequirements:
    """Find the packages that meet all requirements, and the hashes of their files.

    Args:
        requirements: what the env says that it needs.
        interpreter: the Python that it will run under.
        uv: the program that does it.
        exclude_newer: look at nothing that was uploaded later; UTC if it has no time zone.
        extra: what the user adds to the requirements.
        allow_build: names of packages that may be built from source, which runs their code.
        indexes: names of indexes that the env says its packages come from.
        gpu: whether the env says that it needs a GPU; without that, nothing of CUDA is installed.

    Raises:
        RequirementError: a line is not a package by name, an index is not configured, or CUDA
            would come along.
        InstallError: no set of versions meets all requirements, or the index does not answer.
        OfflineError: `uv` is offline, and its cache lacks something.
    """
    if exclude_newer is not None and exclude_newer.tzinfo is None:
        exclude_newer = exclude_newer.replace(tzinfo=UTC)
    lines = check_lines("the env", requirements) + check_lines("extra_requirements", extra)
    wish = LockedRequirements(
        python=interpreter.minor,
        platform=interpreter.platform,
        packages=(),
        requirements=lines,
        exclude_newer=exclude_newer,
        allow_build=tuple(sorted(map(canonicalize_name, allow_build))),
        indexes=tuple(sorted(indexes)),
        torch=uv.torch or ("auto" if gpu else _CPU),
    )
    if not lines:
        return wish
    done = uv.run(
        *("pip", "compile", "-", "--python", interpreter.path, "--generate-hashes"),
        *("--no-header", "--no-annotate", *wish.options),
        *(() if wish.allow_build else wish.until),
        title="finding packages",
        indexes=wish.indexes,
        stdin="\n".join(lines).encode(),
        building=(interpreter.path,) if allow_build else None,
    )
    if done.returncode:
        raise _unresolved(done, lines, interpreter)
    for warning in re.findall(r"(?m)^warning: (.*)$", done.stderr.decode(errors="replace")):
        logger.warning(warning)
    packages = tuple(_parse(done.text))
    if not gpu and uv.torch in {"", _CPU, "index"}:
        _refuse_cuda(packages)
    return msgspec.structs.replace(wish, packages=packages)


def _parse(text: str) -> Iterable[LockedPackage]:
    for line in text.replace("\\\n", "").splitlines():
        found = _PACKAGE.fullmatch(line)
        if found is None:
            what = f"uv answered {line!r}, which is no package with hashes"
            raise InstallError(what, hint="does the package index give hashes?")
        hashes = re.findall(r"--hash=(\S+)", found["hashes"])
        yield LockedPackage(
            name=canonicalize_name(found["name"]),
            version=found["version"],
            hashes=tuple(sorted(hashes)),
            marker=found["marker"] or "",
        )


def _refuse_cuda(packages: Iterable[LockedPackage]) -> None:
    names = [each.name for each in packages if each.name.startswith("nvidia-")]
    if found := [name for name in names if name not in _SMALL]:
        raise RequirementError(
            f"the env would install CUDA: {', '.join(found)}",
            why="that is several gigabytes, and the env does not say that it needs a GPU",
            hint="gpu = true below [permissions] in the manifest says so",
        )


def _unresolved(done: Completed, lines: Sequence[str], interpreter: Interpreter) -> EnvHubError:
    """The error for requirements that uv could not resolve."""
    said = last_words(done)
    guilty = " and ".join(_guilty(said, lines))
    what = f"{guilty} cannot be had for Python {interpreter.version} on {interpreter.platform}"
    if "network was disabled" in said:
        hint = "load it once while online"
        return OfflineError(
            f"offline mode is on, and the cache lacks {guilty}", why=said, hint=hint
        )
    return InstallError(what, why=said, hint=explain(said))


def _guilty(said: str, lines: Sequence[str]) -> Sequence[str]:
    """The requirements that uv complains about; all of them if that cannot be told."""

    def among(names: Collection[str]) -> list[str]:
        wanted = {canonicalize_name(name) for name in names}
        return [line for line in lines if re.split(r"[^a-z0-9-]", line)[0] in wanted]

    required = re.findall(r"you require ([\w.-]*\w)", said)
    return among(required) or among(re.findall(r"[\w.-]*\w", said)) or lines


def wants_another_python(error: InstallError) -> bool:
    """Whether packages cannot be had for this Python, and could perhaps for another one."""
    return bool(re.search(_OTHER_PYTHON, error.why))


def explain(said: str) -> str:
    """What helps against a complaint of uv's."""
    if names := re.findall(r"Wheels are required for `([^`]+)`", said):
        listed = ", ".join(f'"{name}"' for name in dict.fromkeys(names))
        return f"allow_build=[{listed}]   # runs the code that builds it"
    for pattern, hint in _HINTS:
        if re.search(pattern, said):
            return hint
    return "change one of the requirements"


_OTHER_PYTHON: Final = r"Python (ABI|implementation) tag|current Python version|requires Python"
_HINTS: Final = (
    (r"download\.pytorch\.org", "ENVHUB_TORCH=index takes PyTorch from your package index"),
    (
        r"Failed to fetch|error sending request|dns error",
        "UV_DEFAULT_INDEX=<address> names another package index; pip's settings are not read",
    ),
    (r"filtered by `exclude-newer`", 'exclude_newer="never" takes packages of today'),
    (
        _OTHER_PYTHON,
        'requires-python = "…" in the manifest says which Python an env needs',
    ),
    (r"matching platform tag", "another version may have a wheel for this machine"),
)
