"""Puts env repos into a hub from inside: for demonstrations and tests, which have no token yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pygit2

from envhub.server.commits import Author, Change, Delete, Draft, Write
from envhub.server.hub import Hub
from envhub.server.landing import land
from envhub.server.repos import Repo

Files = Mapping[str, str | bytes | None]
"""Path → content; `None` deletes the file."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What is to be in a repo.

    Attributes:
        name: `owner/name`; owner and repo are made if they are not there.
        files: path → content.
        kind: of the repo.
        branch: where to commit; one that is not there begins at `main`.
        tag: for the commit; moved if it is there.
        private: whether only members see it; `None` leaves it as it is.
        gated: `auto`, `manual`, or empty; `None` leaves it as it is.
        message: of the commit.
    """

    name: str
    files: Files
    kind: str = "model"
    branch: str = "main"
    tag: str = ""
    private: bool | None = None
    gated: str | None = None
    message: str = "Add files"

    @property
    def changes(self) -> list[Change]:
        """The files, as changes of a commit."""
        return [
            Delete(path)
            if content is None
            else Write(path, content.encode() if isinstance(content, str) else content)
            for path, content in self.files.items()
        ]


def sow(hub: Hub, seed: Seed) -> str:
    """Have a repo with these files, and return the commit.

    Raises:
        Refusal: a name, path or ref that no client could use either.
    """
    owner, _, name = seed.name.partition("/")
    author = Author(owner, f"{owner}@users.noreply")
    if hub.accounts.find(owner) is None:
        hub.accounts.add(owner)
    repo = hub.repos.find(seed.kind, seed.name) or _created(hub, seed, owner, name, author)
    rules = {"gated": seed.gated}
    rules["visibility"] = {True: "private", False: "public", None: None}[seed.private]
    if changed := {key: value for key, value in rules.items() if value is not None}:
        hub.repos.change(repo, **changed)
    _branch(hub, repo, seed.branch)
    commit = land(hub, repo, seed.branch, Draft(seed.message, changes=seed.changes), author)
    if seed.tag:
        git = hub.repos.git(repo).git
        git.references.create(f"refs/tags/{seed.tag}", pygit2.Oid(hex=commit), force=True)
    return commit


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder as a repo has them: none of git's own, no bytecode."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    inside = ((path, path.relative_to(folder)) for path in found)
    return {
        short.as_posix(): path.read_bytes()
        for path, short in inside
        if not {".git", "__pycache__"} & set(short.parts)
    }


def _created(hub: Hub, seed: Seed, owner: str, name: str, author: Author) -> Repo:
    row = hub.accounts.find(owner)
    assert row is not None  # noqa: S101 - made by the caller
    sdk = "static" if seed.kind == "space" else None
    return hub.repos.create(
        seed.kind, row, name, private=bool(seed.private), sdk=sdk, author=author
    )


def _branch(hub: Hub, repo: Repo, branch: str) -> None:
    git = hub.repos.git(repo)
    if git.find(f"refs/heads/{branch}") is None:
        start = pygit2.Oid(hex=git.commit("main"))
        git.git.references.create(f"refs/heads/{branch}", start)
