"""What may stand in a ref: names of repos, revisions, and paths inside a repo."""

from __future__ import annotations

import re

from envhub.errors import RefError

RIGHT_FORM = "owner/name[@revision][:path], as in lerobot/cartpole-env@v1.0:env.py"
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_BAD_REVISION = re.compile(r"[\s\x00-\x20\x7f~^:?*\[\]\\@#]|\.\.|//|\.lock(/|$)|/\.|^[/.-]|[/.]$")


def check_repo(text: str, repo: str) -> None:
    """Refuse what is not `owner/name`.

    Raises:
        RefError: the message shows `text`, of which `repo` is a part.
    """
    parts = repo.split("/")
    bad = [part for part in parts if not _NAME.fullmatch(part) or "--" in part or ".." in part]
    if len(parts) != 2 or bad or repo.endswith(".git"):
        part = f"{bad[0]!r} in {repo!r}" if bad and bad[0] else repr(repo)
        raise RefError(
            f"{text!r} is not a ref: {part} is not owner/name", hint=RIGHT_FORM + ", or ./folder"
        )


def check_revision(text: str, revision: str) -> None:
    """Refuse what cannot name a branch, a tag or a commit.

    Raises:
        RefError: the message shows `text`, of which `revision` is a part.
    """
    if not revision:
        raise RefError(
            f"the revision after @ in {text!r} is empty",
            why="an empty revision is refused, since it would silently mean the newest commit",
            hint=text.replace("@", "", 1) + " for the default branch",
        )
    if _BAD_REVISION.search(revision) or "@{" in revision or CONTROL.search(revision):
        raise RefError(
            f"the revision {revision!r} in {text!r} is not a branch, tag or commit name",
            hint=RIGHT_FORM,
        )


def check_path(text: str, path: str) -> str:
    """The path in its normal form.

    Raises:
        RefError: it is none; the message shows `text`, of which `path` is a part.
    """
    path = re.sub(r"^(\./)+", "", path).removesuffix("/")
    if problem := _path_problem(path):
        raise RefError(f"the path {path!r} in {text!r} {problem}", hint=_path_hint(text, path))
    return path


def _path_problem(path: str) -> str:
    """Why a path inside a repo is not one, or nothing."""
    parts = path.split("/")
    head, at, _ = path.rpartition("@")
    checks = (
        (not path or path == ".", "is empty"),
        (path.startswith(("/", "~")), "is not inside the repo"),
        (".." in parts, "leaves the repo"),
        ("\\" in path, "has a backslash; folders are separated by /"),
        (bool(CONTROL.search(path)), "has a control character in it"),
        (":" in path, "has a second colon in it"),
        ("" in parts or "." in parts, "has an empty part in it"),
        (bool(at) and head.endswith(".py"), "comes before the revision"),
    )
    return next((problem for bad, problem in checks if bad), "")


def _path_hint(text: str, path: str) -> str:
    head, at, revision = path.rpartition("@")
    if at and head.endswith(".py"):
        return f"{text.partition(':')[0]}@{revision}:{head}"
    return RIGHT_FORM
