"""Repos, files and commits as JSON, the way huggingface_hub reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from envhub.server.dates import iso
from envhub.server.gitrepo import Entry, GitRepo, LogEntry
from envhub.server.index import tags_of
from envhub.server.repos import Repo

BASIC = frozenset(
    [
        "likes",
        "private",
        "downloads",
        "tags",
        "pipeline_tag",
        "library_name",
        "createdAt",
        "lastModified",
        "gated",
        "sdk",
    ]
)
FULL = BASIC | frozenset(["author", "sha", "disabled", "siblings", "trendingScore", "env"])
WHOLE = FULL | frozenset(
    ["cardData", "usedStorage", "downloadsAllTime", "spaces", "subdomain", "host"]
)

Field = Callable[[], Any]


def repo(
    found: Repo,
    wanted: Collection[str],
    *,
    git: Callable[[], tuple[GitRepo, str]],
    used: Field,
    env: Callable[[], dict[str, Any] | None],
    blobs: bool = False,
    card: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A repo with the fields that are wanted; what costs something is looked up only then.

    Args:
        found: the repo.
        wanted: names of fields; unknown ones are left out.
        git: opens its content: the repo and the commit to describe.
        used: counts the bytes that it holds.
        env: what is known of the env at the commit to describe.
        blobs: whether the list of files has sizes and hashes.
        card: of the commit, if it is not the one that the index knows.
    """
    facts: dict[str, Any] = json.loads(found.card) if card is None else card
    fields = _fields(found, facts) | {
        "sha": lambda: git()[1] or None,
        "siblings": lambda: siblings(*git(), blobs=blobs),
        "usedStorage": used,
    }
    names: dict[str, Any] = {"_id": found.key[:24], "id": found.full_name}
    if found.kind == "model":
        names["modelId"] = found.full_name
    known = {name: make() for name, make in fields.items() if name in wanted}
    if "env" in wanted and (block := env()):
        known["env"] = block
    return names | known


def _fields(found: Repo, card: Mapping[str, Any]) -> dict[str, Field]:
    """What is known of a repo without opening it."""
    fields: dict[str, Field] = {
        "author": lambda: found.owner,
        "private": lambda: found.visibility == "private",
        "gated": lambda: found.gated or False,
        "disabled": lambda: False,
        "downloads": lambda: found.downloads,
        "downloadsAllTime": lambda: found.downloads,
        "likes": lambda: found.likes,
        "trendingScore": lambda: 0,
        "tags": lambda: tags_of(dict(card)),
        "cardData": lambda: dict(card),
        "createdAt": lambda: iso(found.created),
        "lastModified": lambda: iso(found.modified),
        "spaces": list,
    }
    for name in ("pipeline_tag", "library_name"):
        if isinstance(card.get(name), str):
            fields[name] = lambda name=name: card[name]  # type: ignore[misc]  # mypy knows no default here
    if found.kind == "space":
        host = found.full_name.replace("/", "-").lower()
        fields |= {"sdk": lambda: found.sdk, "subdomain": lambda: host}
    return fields


def siblings(git: GitRepo, commit: str, *, blobs: bool) -> list[dict[str, Any]]:
    """The files of a commit."""
    files = [entry for entry in git.entries(commit) if entry.kind == "file"] if commit else []
    if not blobs:
        return [{"rfilename": entry.path} for entry in files]
    return [
        {
            "rfilename": entry.path,
            "size": entry.size,
            "blobId": entry.oid,
            **({"lfs": _lfs(entry)} if entry.lfs else {}),
        }
        for entry in files
    ]


def entry(found: Entry, last: LogEntry | None = None) -> dict[str, Any]:
    """A file or folder."""
    shown: dict[str, Any] = {
        "type": found.kind,
        "oid": found.oid,
        "size": found.size,
        "path": found.path,
    }
    if found.lfs:
        shown["lfs"] = _lfs(found)
    if last:
        shown["lastCommit"] = {"id": last.id, "title": last.title, "date": iso(last.date)}
    return shown


def _lfs(found: Entry) -> dict[str, Any]:
    """What is known of an LFS file; some clients call its hash `oid`, others `sha256`."""
    assert found.lfs  # noqa: S101 - callers looked
    oid = found.lfs.oid
    size = len(bytes(found.lfs))
    return {"oid": oid, "sha256": oid, "size": found.lfs.size, "pointerSize": size}


def commit(found: LogEntry, *, formatted: bool = False) -> dict[str, Any]:
    """A commit of a history."""
    shown: dict[str, Any] = {
        "id": found.id,
        "title": found.title,
        "message": found.message,
        "authors": [{"user": found.author}],
        "date": iso(found.date),
    }
    if formatted:
        shown["formatted"] = {"title": found.title, "message": found.message}
    return shown
