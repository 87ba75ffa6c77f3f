"""Which names owners, repos, refs and paths may have; git never sees any other."""

from __future__ import annotations

import re
import unicodedata

import pygit2

from envhub.server.refusals import bad

KINDS = ("model", "dataset", "space", "kernel")
RESERVED = frozenset(
    [
        "api",
        "assets",
        "datasets",
        "device",
        "docs",
        "healthz",
        "join",
        "kernels",
        "login",
        "logout",
        "metrics",
        "models",
        "new",
        "oauth",
        "organizations",
        "search",
        "settings",
        "spaces",
        "static",
        "users",
        "xet",
    ]
)

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
_HEX = re.compile(r"[0-9a-fA-F]{40}")
_GIT = re.compile(r"(?:\.git|git~\d+)[. ]*(?::.*)?", re.IGNORECASE)
_MAX_PATH, _MAX_SEGMENT, _MAX_REF = 2000, 255, 200


def check_name(name: str, what: str = "repo") -> str:
    """The name of a user, an organisation or a repo.

    Raises:
        Refusal: 400, it has other characters, is reserved or too long.
    """
    wrong = not NAME.fullmatch(name) or "--" in name or ".." in name
    if wrong or name.lower().endswith((".git", ".ipynb")):
        raise bad(f"{name!r} is no name for a {what}: use letters, digits, '-', '_' and '.'")
    if what != "repo" and name.lower() in RESERVED:
        raise bad(f"the name {name!r} is reserved")
    return name


def check_ref(name: str, what: str) -> str:
    """The name of a branch or tag.

    Raises:
        Refusal: 400, git does not accept it, or it could be taken for an option or a commit.
    """
    taken = name.startswith(("-", "refs/")) or name in {"HEAD", "@"} or _HEX.fullmatch(name)
    if taken or len(name) > _MAX_REF or not _is_valid(f"refs/heads/{name}"):
        raise bad(f"{name!r} is no name for a {what}")
    return name


def check_path(path: str) -> str:
    """The path of a file in a repo.

    Raises:
        Refusal: 400, it is absolute, leaves the repo, or would be git's own file somewhere.
    """
    segments = path.split("/")
    if len(path) > _MAX_PATH or not all(map(_is_segment, segments)):
        raise bad(f"{path!r} is no path for a file")
    return path


def _is_segment(segment: str) -> bool:
    """Whether a file may be called that, on any file system."""
    if segment in {"", ".", ".."} or len(segment.encode("utf-8", "replace")) > _MAX_SEGMENT:
        return False
    kinds = {unicodedata.category(char) for char in segment}
    if kinds & {"Cc", "Cs"} or "\\" in segment:
        return False
    # Apple's file system leaves characters out that are not seen, and Windows' has short names.
    seen = "".join(char for char in segment if unicodedata.category(char) != "Cf")
    return not _GIT.fullmatch(seen)


def _is_valid(ref: str) -> bool:
    try:
        ref.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in ref and pygit2.reference_is_valid_name(ref)
