"""Git LFS locks: who works on a file that cannot be merged."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from envhub.server.access import ADMIN, WRITE
from envhub.server.call import Call, reply, route
from envhub.server.dates import iso
from envhub.server.names import check_path
from envhub.server.refusals import Refusal, forbidden
from envhub.server.routes.lfs import KIND, git_repo
from envhub.server.routes.patterns import SITE

PAGE = 100


class Path(Struct):
    """A file to lock."""

    path: str


class Force(Struct):
    """Whether to break somebody else's lock."""

    force: bool = False


class Page(Struct):
    """Where the last page ended."""

    cursor: str = ""


def lock(call: Call) -> Response:
    """Lock a file."""
    repo = git_repo(call, WRITE)
    path = check_path(call.json(Path).path)
    try:
        call.hub.database.change(
            "INSERT INTO locks (repo, path, owner, locked) VALUES (?, ?, ?, ?)",
            *(repo.id, path, call.user.name, time.time()),
        )
    except sqlite3.IntegrityError:
        body = {"lock": _find(call, repo.id, path), "message": "already locked"}
        return reply(body, 409, Content_Type=KIND)
    return reply({"lock": _find(call, repo.id, path)}, 201, Content_Type=KIND)


def locks(call: Call) -> Response:
    """The locks of a repo."""
    repo = git_repo(call)
    found, cursor = _page(call, repo.id, call.arg("cursor"))
    wanted = call.arg("path")
    shown = [each for each in found if not wanted or each["path"] == wanted]
    return reply({"locks": shown, "next_cursor": cursor}, Content_Type=KIND)


def verify(call: Call) -> Response:
    """The caller's locks and those of others, before a push."""
    repo = git_repo(call, WRITE)
    found, cursor = _page(call, repo.id, call.json(Page).cursor)
    ours = [each for each in found if each["owner"]["name"] == call.user.name]
    theirs = [each for each in found if each not in ours]
    return reply({"ours": ours, "theirs": theirs, "next_cursor": cursor}, Content_Type=KIND)


def unlock(call: Call) -> Response:
    """Take a lock away; somebody else's only by force, and as an administrator."""
    force = call.json(Force).force
    repo = git_repo(call, ADMIN if force else WRITE)
    row = call.hub.database.one(
        "SELECT * FROM locks WHERE repo = ? AND id = ?", repo.id, call.words["id"]
    )
    if row is None:
        raise Refusal(404, "there is no such lock")
    if row["owner"] != call.user.name and not force:
        raise forbidden(f"the lock is {row['owner']}'s")
    call.hub.database.change("DELETE FROM locks WHERE id = ?", row["id"])
    return reply({"lock": _shown(row)}, Content_Type=KIND)


def _find(call: Call, repo: int, path: str) -> dict[str, Any]:
    row = call.hub.database.one("SELECT * FROM locks WHERE repo = ? AND path = ?", repo, path)
    return _shown(row) if row else {}


def _page(call: Call, repo: int, cursor: str) -> tuple[list[dict[str, Any]], str]:
    rows = call.hub.database.all(
        "SELECT * FROM locks WHERE repo = ? AND id > ? ORDER BY id LIMIT ?",
        *(repo, int(cursor) if cursor.isdigit() else 0, PAGE + 1),
    )
    page = [_shown(row) for row in rows[:PAGE]]
    return page, page[-1]["id"] if len(rows) > PAGE else ""


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "path": row["path"],
        "locked_at": iso(row["locked"]),
        "owner": {"name": row["owner"]},
    }


_LOCKS = rf"{SITE}(?:\.git)?/info/lfs/locks"

ROUTES = [
    route("POST", _LOCKS, lock),
    route("GET", _LOCKS, locks),
    route("POST", rf"{_LOCKS}/verify", verify),
    route("POST", rf"{_LOCKS}/(?P<id>\d{{1,18}})/unlock", unlock),
]
