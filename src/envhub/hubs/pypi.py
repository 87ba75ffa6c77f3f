"""Packages that register Gymnasium ids: each version of one is a small env repo, written here.

Such a repo has two files: a requirement for exactly that version, and an `env.py` that imports the
package and makes what it registers. The package itself comes with the requirements of the env, as
with any other repo. Which index it comes from is the user's business, and is written nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from envhub.errors import (
    EnvHubError,
    HubUnreachableError,
    InstallError,
    OfflineError,
    RefError,
    RepoNotFoundError,
    RequirementError,
    RevisionNotFoundError,
)
from envhub.hubs.base import Commit, LogEntry, Progress, below
from envhub.interpreters import own
from envhub.pins import ENTRY, PACKAGE, File, blob_id
from envhub.refs import Ref
from envhub.reqlines import check_line
from envhub.uvprogram import Uv, last_words

ADDRESS: Final = "pypi"

_TEMPLATE = Path(__file__).with_name("pypi_env.py")
_PYTHONS: Final = ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8", "3.14")
"""Which Pythons to look for wheels for, where the caller's own has none."""

_WHEELS = r"Python (ABI|implementation) tag|current Python version|requires Python|requested Python"


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """The package indexes that the user has configured for uv, as one hub.

    Attributes:
        uv: the program that asks them.
    """

    uv: Uv

    address = ADDRESS
    live = False

    def resolve(self, ref: Ref) -> Commit:
        """The version that a ref means: the newest with a wheel for this Python, else for another.

        Raises:
            RepoNotFoundError: no index has such a package.
            RevisionNotFoundError: it has no such version.
            HubUnreachableError: no index answers.
            InstallError: there is nothing but its source, and the ref names no version.
        """
        line = _requirement(ref, ref.revision)
        said = ""
        for python in (own().minor, *_PYTHONS):
            version, said = self._newest(line, python)
            if version:
                return Commit(self.address, _name(ref), PACKAGE, _as_typed(ref, version))
            if not re.search(_WHEELS, said):
                break
        if ref.is_pinned and re.search(r"no usable wheels", said):
            return Commit(self.address, _name(ref), PACKAGE, ref.revision)
        raise _error(ref, said)

    def files(self, ref: Ref, commit: Commit) -> tuple[File, ...]:
        """The two files of a version."""
        written = _write(ref, commit)
        return tuple(File(path, blob_id(data), len(data)) for path, data in written.items())

    def date(self, ref: Ref, commit: Commit) -> datetime | None:
        """Nothing: indexes have a date per file, and not all of them."""
        return None

    def log(self, ref: Ref, commit: Commit, most: int) -> tuple[LogEntry, ...]:
        """Nothing: indexes keep versions, but no history."""
        return ()

    def download(
        self, ref: Ref, commit: Commit, files: Sequence[File], into: Path, progress: Progress
    ) -> None:
        """Write the files."""
        written = _write(ref, commit)
        for file in files:
            below(into, file.path).write_bytes(written[file.path])
            progress(file.size)

    def _newest(self, line: str, python: str) -> tuple[str, str]:
        """The newest version with a wheel for a Python, or nothing and what uv said."""
        done = self.uv.run(
            *("pip", "compile", "-", "--no-deps", "--no-header", "--no-annotate", "--no-sources"),
            *("--only-binary", ":all:", "--python", own().path, "--python-version", python),
            title="finding the package",
            stdin=line.encode(),
        )
        found = re.search(r"==(\S+)", done.text) if not done.returncode else None
        return (found[1] if found else ""), last_words(done)


def _name(ref: Ref) -> str:
    """The package as indexes write it, with its extras, which are a part of what it is."""
    name, bracket, extras = ref.location.partition("[")
    names = sorted(canonicalize_name(extra) for extra in extras.removesuffix("]").split(","))
    return canonicalize_name(name) + (f"[{','.join(names)}]" if bracket else "")


def _requirement(ref: Ref, versions: str | None) -> str:
    operator = "==" if versions and versions[0].isalnum() else ""
    try:
        return check_line("the ref", f"{_name(ref)}{operator}{versions or ''}")
    except RequirementError as error:
        raise RefError(f"{str(ref)!r} names no package", why=error.what) from error


def _as_typed(ref: Ref, version: str) -> str:
    """A version that was typed is its own commit: 3.2 and 3.2.0 are two names of one thing."""
    return ref.revision if ref.is_pinned and ref.revision else version


def _write(ref: Ref, commit: Commit) -> dict[str, bytes]:
    # Gymnasium is what steps the env, whether the package says that it needs it or not.
    lines = (_requirement(ref, commit.id), "gymnasium")
    return {
        ENTRY: _TEMPLATE.read_bytes(),
        "requirements.txt": "".join(f"{line}\n" for line in lines).encode(),
    }


def _error(ref: Ref, said: str) -> EnvHubError:
    """What uv's refusal means."""
    name = _name(ref)
    if "network was disabled" in said:
        what = f"{str(ref)!r} was never resolved on this machine, and offline mode is on"
        return OfflineError(what, why=said, hint=f"envhub fetch {ref}   # while online")
    if re.search(rf"{re.escape(name.partition('[')[0])} was not found in", said):
        hint = "check the spelling; UV_DEFAULT_INDEX=<address> names another index"
        return RepoNotFoundError(f"no package index has {name!r}", why=said, hint=hint)
    if ref.revision and re.search(r"no version of|following versions|\S+ is available", said):
        hint = str(Ref(ref.kind, ref.location, path=ref.path))
        return RevisionNotFoundError(f"{name} has no version {ref.revision}", why=said, hint=hint)
    if re.search(r"Failed to fetch|error sending request|dns error", said):
        hint = "UV_DEFAULT_INDEX=<address> names another index; pip's settings are not read"
        return HubUnreachableError("the package index gives no answer", why=said, hint=hint)
    hint = f"pypi:{name}==<version>, and allow_build=[{name!r}], which runs its code to build it"
    return InstallError(f"{name} has nothing that can be installed as it is", why=said, hint=hint)
