"""Where a module of a repo is on disk, and what it is called."""

from __future__ import annotations

import hashlib
import os
import re
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Iterator, Optional

SUFFIXES = (".py", *EXTENSION_SUFFIXES)
INIT = "__init__.py"

_TAGGED = re.compile(r".*_[0-9a-f]{6}$")


def module_part(stem: str) -> str:
    """The module name for a file's or folder's name: itself if it is an identifier.

    Other names (`MuJoCoPickLift-v1`, `my env`) get a tag, so that no two of them meet.
    """
    if stem.isidentifier():
        return stem
    tag = hashlib.sha256(stem.encode()).hexdigest()[:6]
    return re.sub(r"\W", "_", "_" + stem if stem[:1].isdigit() else stem) + "_" + tag


def module_parts(path: str) -> str:
    """The dotted module name for a path below the root, with `/` or the system's separator.

    `envs/pick.py` is `envs.pick`, `sim/__init__.py` and the folder `sim` are `sim`.
    """
    parts = [part for part in path.replace(os.sep, "/").split("/") if part not in ("", ".")]
    if parts and parts[-1] == INIT:
        parts.pop()
    elif parts:
        parts[-1] = _without_suffix(parts[-1])
    return ".".join(module_part(part) for part in parts)


def find(folder: str, part: str) -> Optional[str]:
    """The file that is the module `part` of `folder`, or a folder without `__init__.py`."""
    for stem in _stems(folder, part):
        base = os.path.join(folder, stem)
        init = os.path.join(base, INIT)
        for file in (init, *(base + suffix for suffix in SUFFIXES)):
            if os.path.isfile(file):
                return file
        if os.path.isdir(base):
            return base
    return None


def is_package(file: str) -> bool:
    """Whether what `find` found has submodules."""
    return os.path.basename(file) == INIT or os.path.isdir(file)


def is_below(path: str, root: str, *, strictly: bool = False) -> bool:
    """Whether an absolute path is inside `root`, or is `root` itself."""
    return path.startswith(root.rstrip(os.sep) + os.sep) or (path == root and not strictly)


def _without_suffix(name: str) -> str:
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _stems(folder: str, part: str) -> Iterator[str]:
    yield part
    if _TAGGED.match(part) and os.path.isdir(folder):
        stems = {_without_suffix(name) for name in os.listdir(folder)}
        yield from (stem for stem in stems if stem != part and module_part(stem) == part)
