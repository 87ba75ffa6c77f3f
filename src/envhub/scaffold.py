"""A new env repo: from a template, around an id of Gymnasium's, or around a package."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files as resources
from pathlib import Path
from string import Template
from typing import Final

import gymnasium

from envhub import disk
from envhub.client import Client
from envhub.errors import AlreadyThereError, ArgumentError, RefError
from envhub.names import check_repo
from envhub.pins import ENTRY
from envhub.refs import parse

_COMMON: Final = "common"
_SUFFIX: Final = ".txt"  # so that no tool takes a template for a program
_EXTRAS: Final = {
    "box2d": "box2d",
    "classic_control": "classic-control",
    "mujoco": "mujoco",
    "toy_text": "toy-text",
}
"""Folder of Gymnasium → the extra that brings what its envs need."""

_NO_ID: Final = "env_id: Optional[str] = None"  # as hubs/pypi_env.py has it

Files = Mapping[str, str]
"""Path → text."""


def init(
    folder: str | Path, source: str | None = None, *, client: Client | None = None
) -> tuple[Path, ...]:
    """Write a new env repo into a folder; it loads as it is.

    Args:
        folder: must not exist, or be empty; its name is the repo's.
        source: `gymnasium:<id>` for a repo around an id, `pypi:<package>[==version][#id]` for one
            around a package; without it the repo has a small env of its own, to begin with.
        client: asks the package index; by default with the settings of the environment variables.

    Returns:
        The files.

    Raises:
        AlreadyThereError: the folder has files in it.
        ArgumentError: there is no such source, or the folder's name cannot be that of a repo.
        EnvHubError: the package cannot be had.

    Examples:
        >>> import tempfile
        >>> [path.name for path in init(f"{tempfile.mkdtemp()}/pick")]
        ['.gitignore', 'README.md', 'env.py', 'envhub.toml', 'test_env.py']
    """
    place = Path(folder).expanduser().absolute()
    _check_name(place.name)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise AlreadyThereError(
            f"{folder} is there already", why="nothing was changed", hint="choose another name"
        )
    written = []
    for path, text in sorted(_contents(place.name, source, client).items()):
        disk.write(place / path, text.encode())
        written.append(place / path)
    return tuple(written)


def _check_name(name: str) -> None:
    try:
        check_repo(name, f"you/{name}")
    except RefError as error:
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
        raise ArgumentError(
            f"{name!r} cannot be the name of a repo",
            why="letters, digits, '-', '_' and '.' can be in one, but neither '--' nor '..'",
            hint=f"envhub init {plain or 'my-env'}",
        ) from error


def _contents(name: str, source: str | None, client: Client | None) -> Files:
    title = name.replace("-", " ").replace("_", " ").strip().capitalize()
    words = {"title": title, "gymnasium": version("gymnasium")}
    if source is None:
        about = "What is to be done here, what the agent sees and may do, and what it is paid for."
        return _filled("new", {**words, "about": about})
    kind, colon, rest = source.partition(":")
    if kind == "gymnasium" and colon:
        about = f"`{rest}` of Gymnasium."
        return _filled(kind, {**words, "about": about, "source": rest, "extra": _extra(rest)})
    if kind == "pypi" and colon:
        about = f"What the package `{rest.partition('#')[0]}` registers with Gymnasium."
        package = _package(source, client or Client(lock=False))
        return {**_filled(kind, {**words, "about": about}), **package}
    near = difflib.get_close_matches(kind, ["gymnasium", "pypi"], 1) or ["gymnasium"]
    raise ArgumentError(
        f"a repo cannot be made from {source!r}",
        why="known are gymnasium:<id> and pypi:<package>",
        hint=f"--from {near[0]}:{rest or '…'}",
    )


def _filled(kind: str, words: Mapping[str, str]) -> Files:
    """The files of a template, and those that all have."""
    root = resources("envhub") / "templates"
    found = [*(root / _COMMON).iterdir(), *(root / kind).iterdir()]
    return {
        each.name.removesuffix(_SUFFIX): Template(each.read_text("utf-8")).substitute(words)
        for each in found
    }


def _extra(env_id: str) -> str:
    """The extra that Gymnasium must be installed with for an id.

    Raises:
        ArgumentError: Gymnasium does not have it.
    """
    try:
        entry = gymnasium.spec(env_id).entry_point
    except gymnasium.error.Error as error:
        own = [each for each in gymnasium.registry if "/" not in env_id and "/" not in each]
        near = difflib.get_close_matches(env_id, own, 1, 0.4)
        hint = f"--from gymnasium:{near[0]}" if near else f"--from 'pypi:<package>#{env_id}'"
        raise ArgumentError(
            f"Gymnasium has no id {env_id!r}", why=" ".join(str(error).split()), hint=hint
        ) from error
    module = entry if isinstance(entry, str) else str(getattr(entry, "__module__", ""))
    package, _, rest = module.partition(".")
    if package != "gymnasium":
        raise ArgumentError(
            f"{env_id!r} is not one of Gymnasium's own, but of {package}",
            hint=f"--from 'pypi:{package}#{env_id}'",
        )
    extra = _EXTRAS.get(re.split("[.:]", rest.removeprefix("envs."))[0])
    return f"[{extra}]" if extra else ""


def _package(text: str, client: Client) -> Files:
    """The entry file and the requirements that a package's own repo has."""
    ref = parse(text)
    root = client.fetch(client.resolve_anew(ref)).root
    found = {path.name: path.read_text("utf-8") for path in root.iterdir() if path.is_file()}
    if ref.path:
        found[ENTRY] = found[ENTRY].replace(_NO_ID, f"{_NO_ID.rpartition(' ')[0]} {ref.path!r}", 1)
    return found
