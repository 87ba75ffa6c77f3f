"""What a repo says about itself. Everything is optional; a repo that says nothing works.

Read from the first of these that there is:

1. `envhub.toml`
2. the table `[tool.envhub]` of `pyproject.toml`, beside `[project]`'s dependencies and Python
3. the PEP 723 block of the entry file, its `[tool.envhub]` included

Where none of them says what to install, `requirements.txt` does. No other table is looked at, above
all not `[tool.uv]`, which could bring packages from anywhere. docs/manifest.md shows every key.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envhub.errors import ManifestError
from envhub.permissions import VARIABLE, Permissions, is_inside
from envhub.reqlines import check_lines, parse_lines

FILE: Final = "envhub.toml"
PYPROJECT: Final = "pyproject.toml"
REQUIREMENTS: Final = "requirements.txt"
FILES: Final = (FILE, PYPROJECT, REQUIREMENTS)
"""Where a manifest may be, beside the entry file."""

Value = bool | int | float | str
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]

# The expression of PEP 723's reference implementation.
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
# These decide how a process is started, before it has given up its rights.
_RESERVED = re.compile(
    r"(LD|DYLD|PYTHON|ENVHUB|GCONV|MALLOC)_?.*|GLIBC_TUNABLES|PATH|HOME|TMPDIR|IFS|LOCPATH"
    r"|.*(TOKEN|SECRET|PASSWORD)",
    re.IGNORECASE,
)
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "bool": bool,
    "int": int,
    "float": (int, float),
    "str": str,
    "any": object,
}


class _Strict(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True
):
    """A table in which unknown keys are refused."""


class Parameter(_Strict, frozen=True):
    """A keyword argument of the repo's `make_env`.

    Attributes:
        type: the type of its values; `any` for lists, tables and whatever else.
        default: what it is if nobody says.
        choices: all values that it can have; empty means any.
        min: the least value, for numbers.
        max: the greatest value, for numbers.
        help: what it does.
    """

    type: Literal["bool", "int", "float", "str", "any"] = "str"
    default: Value | None = None
    choices: tuple[Value, ...] = ()
    min: float | None = None
    max: float | None = None
    help: str = ""

    def problem(self, value: object) -> str:
        """Why `value` cannot be the parameter's, or nothing."""
        kind = _TYPES[self.type]
        is_flag = isinstance(value, bool) and self.type in {"int", "float"}
        if is_flag or not isinstance(value, kind):
            return f"is no {self.type}"
        if self.choices and value not in self.choices:
            return f"is none of {', '.join(map(repr, self.choices))}"
        if isinstance(value, int | float):
            if self.min is not None and value < self.min:
                return f"is less than {self.min:g}"
            if self.max is not None and value > self.max:
                return f"is more than {self.max:g}"
        return ""


class Task(_Strict, frozen=True):
    """One task of a suite.

    Attributes:
        description: what is to be done.
        parameters: keyword arguments that only this task has, or has otherwise.
    """

    description: str = ""
    parameters: dict[str, Parameter] = {}


class Suite(_Strict, frozen=True):
    """A family of tasks, by their ids.

    Attributes:
        description: what they have in common.
        parameters: keyword arguments that only these tasks have, or have otherwise.
        tasks: the tasks.
    """

    description: str = ""
    parameters: dict[str, Parameter] = {}
    tasks: dict[str, Task] = {}


class Manifest(_Strict, frozen=True):
    """What a repo says about itself; a field is a key of the manifest with `_` for `-`.

    Attributes:
        version: of the manifest's format.
        entry: the entry file, if it is not `env.py`.
        requires_python: the versions of Python that the env runs under.
        requirements: the packages that it needs, by name.
        indexes: names of package indexes that the user must have configured.
        env: variables that are set before the entry file is imported.
        accept: variables that are set only when the user has accepted what they stand for.
        permissions: what it needs beyond its own files.
        startup_timeout: seconds until the first observation.
        fork_safe: whether its process may be forked once it is imported; `None` means look.
        one_per_process: whether the simulator allows one instance per process only.
        step: how its steps spend their time: computing alike, unevenly, or waiting.
        parameters: keyword arguments of its `make_env`.
        suites: the tasks that it has, where they can be told without running it.
        preview: an image or video of it, a file of the repo.
    """

    version: Literal[1] = 1
    entry: str | None = None
    requires_python: str = ""
    requirements: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    env: dict[str, str] = {}
    accept: dict[str, str] = {}
    permissions: Permissions = Permissions()
    startup_timeout: Seconds = 120.0
    fork_safe: bool | None = None
    one_per_process: bool = False
    step: Literal["cpu", "uneven", "wait"] | None = None
    parameters: dict[str, Parameter] = {}
    suites: dict[str, Suite] = {}
    preview: str | None = None

    @property
    def python(self) -> SpecifierSet:
        """The versions of Python that it runs under."""
        return SpecifierSet(self.requires_python)


_KEYS: Final = sorted(
    {
        name
        for table in (Manifest, Permissions, Parameter, Suite, Task)
        for name in table.__struct_encode_fields__
    }
)

Read = Callable[[str], bytes | None]
"""The bytes of a file of the repo by its path, or `None` if there is none."""


def read_manifest(root: Path, entry: str = "env.py") -> Manifest:
    """Read the manifest of the repo in a folder.

    Args:
        root: the folder.
        entry: the path of the entry file in it.

    Raises:
        ManifestError: it says something that envhub does not understand.
        RequirementError: it asks for something that is not a package by name.
    """
    return parse_manifest(_reader(root), entry)


def read_permissions(root: Path, entry: str = "env.py") -> Permissions:
    """Read only what the repo in a folder asks for; what it requires does not matter here.

    Args:
        root: the folder.
        entry: the path of the entry file in it.

    Raises:
        ManifestError: it asks for something that envhub does not understand.
    """
    name, table = _found(_reader(root), entry)
    known = {"permissions": _table(name, table, "permissions")}
    return _checked(name, known).permissions


def parse_manifest(read: Read, entry: str = "env.py") -> Manifest:
    """Read the manifest through `read`, which is asked for few files and only when they matter.

    Raises:
        ManifestError: it says something that envhub does not understand.
        RequirementError: it asks for something that is not a package by name.
    """
    name, table = _found(read, entry)
    if "requirements" not in table and (data := read(REQUIREMENTS)) is not None:
        table["requirements"] = parse_lines(REQUIREMENTS, data)
    return _checked(name, table)


Found = tuple[str, dict[str, Any]]
"""Where a manifest was found, in words, and what it says."""


def _reader(root: Path) -> Read:
    def read(path: str) -> bytes | None:
        file = root / path
        return file.read_bytes() if file.is_file() else None

    return read


def _found(read: Read, entry: str) -> Found:
    sources = (source(read, entry) for source in (_from_toml, _from_pyproject, _from_script))
    return next((found for found in sources if found), (REQUIREMENTS, {}))


def _from_toml(read: Read, _entry: str) -> Found | None:
    data = read(FILE)
    return None if data is None else (FILE, _toml(FILE, data))


def _from_pyproject(read: Read, _entry: str) -> Found | None:
    data = read(PYPROJECT)
    document = _toml(PYPROJECT, data) if data is not None else {}
    tool = _table(PYPROJECT, document, "tool")
    if "envhub" not in tool:
        return None
    return PYPROJECT, _joined(PYPROJECT, tool, _table(PYPROJECT, document, "project"))


def _from_script(read: Read, entry: str) -> Found | None:
    text = (read(entry) or b"").decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    blocks = [found["content"] for found in _BLOCK.finditer(text) if found["type"] == "script"]
    if not blocks:
        return None
    name = f"the script block of {entry}"
    if len(blocks) > 1:
        raise ManifestError(f"{entry} has {len(blocks)} script blocks", hint="keep one of them")
    lines = [line.removeprefix("#").removeprefix(" ") for line in blocks[0].splitlines()]
    block = _toml(name, "\n".join(lines).encode())
    return name, _joined(name, _table(name, block, "tool"), block)


def _joined(name: str, tool: dict[str, Any], standard: Mapping[str, Any]) -> dict[str, Any]:
    """Our own table, and the keys of the standard where it does not say the same itself."""
    keys = (("requirements", "dependencies"), ("requires-python", "requires-python"))
    theirs = {ours: standard[key] for ours, key in keys if key in standard}
    return theirs | _table(name, tool, "envhub")


def _table(name: str, document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise ManifestError(f"{name} has {key!r}, which is no table")
    return value


def _toml(name: str, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{name} is no TOML", why=str(error)) from error


def _checked(name: str, table: dict[str, Any]) -> Manifest:
    """The table as a manifest, with nothing in it that could not be meant."""
    try:
        manifest = msgspec.convert(table, Manifest)
        SpecifierSet(manifest.requires_python)
    except (msgspec.ValidationError, InvalidSpecifier) as error:
        raise ManifestError(
            f"{name} says something that envhub does not understand",
            why=str(error),
            hint=_near(str(error)),
        ) from error
    for problem in _problems(manifest):
        raise ManifestError(f"{name} has {problem}")
    lines = check_lines(name, manifest.requirements)
    return msgspec.structs.replace(manifest, requirements=lines)


def _near(message: str) -> str:
    unknown = re.search(r"unknown field `([^`]*)`", message)
    near = difflib.get_close_matches(unknown[1].replace("_", "-"), _KEYS, n=1) if unknown else ()
    return f"did you mean {near[0]!r}?" if near else "docs/manifest.md shows every key"


def _problems(manifest: Manifest) -> Iterator[str]:
    """What a schema cannot say."""
    yield from _variable_problems(manifest)
    for path in (manifest.entry, manifest.preview, *manifest.permissions.writable):
        if path is not None and not is_inside(path):
            yield f"the path {path!r}, which is not inside the repo"
    yield from _parameter_problems(manifest)


def _variable_problems(manifest: Manifest) -> Iterator[str]:
    given = (*manifest.env.items(), *manifest.accept.items())
    for name in (*(name for name, _ in given), *manifest.permissions.env):
        if not VARIABLE.fullmatch(name):
            yield f"{name!r}, which is no name of an environment variable"
    for name, text in given:
        if _RESERVED.fullmatch(name):
            yield f"a value for {name}, which is not the env's to set"
        if "\0" in text:
            yield f"{text!r}, which no environment variable can be"


def _parameter_problems(manifest: Manifest) -> Iterator[str]:
    for where, parameter in _parameters(manifest):
        default = () if parameter.default is None else (parameter.default,)
        for value in (*parameter.choices, *default):
            if problem := parameter.problem(value):
                yield f"{value!r} for {where}, which {problem}"


def _parameters(manifest: Manifest) -> Iterator[tuple[str, Parameter]]:
    """Every parameter, and its place."""

    def named(place: str, found: Mapping[str, Parameter]) -> Iterable[tuple[str, Parameter]]:
        return ((f"{place}parameters.{name}", each) for name, each in found.items())

    yield from named("", manifest.parameters)
    for suite_name, suite in manifest.suites.items():
        yield from named(f"suites.{suite_name}.", suite.parameters)
        for task_name, task in suite.tasks.items():
            yield from named(f"suites.{suite_name}.tasks.{task_name}.", task.parameters)
