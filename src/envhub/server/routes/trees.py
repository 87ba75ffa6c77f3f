"""Files and folders of a revision, and its history."""

from __future__ import annotations

import bisect
from typing import Any

from starlette.responses import Response

from envhub.server.call import Call, reply, route
from envhub.server.gitrepo import Entry, GitRepo
from envhub.server.refusals import bad
from envhub.server.routes import described
from envhub.server.routes.patterns import API, PATH, REVISION

PAGE, DETAILED, COMMITS, MOST_PATHS = 1000, 100, 100, 10_000


def tree(call: Call) -> Response:
    """What is in a folder, or below it."""
    git = call.hub.repos.git(call.repo())
    commit = git.commit(call.words["revision"])
    folder = call.words.get("path", "").strip("/")
    entries = git.entries(commit, folder)
    if not call.flag("recursive"):
        begin = len(folder) + 1 if folder else 0
        entries = tuple(entry for entry in entries if "/" not in entry.path[begin:])
    detailed = call.flag("expand")
    size = call.count("limit", DETAILED if detailed else PAGE, DETAILED if detailed else PAGE)
    start = _after(entries, call.arg("cursor"))
    page = entries[start : start + size]
    more = start + size < len(entries)
    items = _described(git, commit, page, detailed=detailed)
    return call.page(items, str(start + size) if more else "")


def _after(entries: tuple[Entry, ...], cursor: str) -> int:
    """Where the page begins; commits do not change, so a position is enough."""
    if cursor and not cursor.isdigit():
        raise bad(f"{cursor!r} is no cursor of this hub")
    return bisect.bisect_left(range(len(entries)), int(cursor or 0))


def _described(
    git: GitRepo, commit: str, entries: tuple[Entry, ...], *, detailed: bool
) -> list[dict[str, Any]]:
    last = git.last_changes(commit, {entry.path for entry in entries}) if detailed else {}
    return [described.entry(entry, last.get(entry.path)) for entry in entries]


def paths_info(call: Call) -> Response:
    """Some files and folders; those that are not there are left out."""
    git = call.hub.repos.git(call.repo())
    commit = git.commit(call.words["revision"])
    if "json" in call.request.headers.get("content-type", ""):
        body = call.json(dict[str, Any])
        paths, detailed = body.get("paths", []), bool(body.get("expand"))
    else:
        form = call.form()
        paths = form.get("paths", [])
        detailed = form.get("expand", [""])[0].lower() in {"1", "true"}
    if not isinstance(paths, list) or len(paths) > MOST_PATHS:
        raise bad(f"paths must be a list of at most {MOST_PATHS}")
    found = [git.entry(commit, str(path).strip("/")) for path in paths if path]
    entries = tuple(entry for entry in found if entry)
    return reply(_described(git, commit, entries, detailed=detailed))


def commits(call: Call) -> Response:
    """The history of a revision, newest first."""
    git = call.hub.repos.git(call.repo())
    commit = git.commit(call.words["revision"])
    size = call.count("limit", COMMITS, COMMITS)
    start = int(call.arg("cursor")) if call.arg("cursor").isdigit() else 0
    found = list(git.log(commit, start, size + 1))
    formatted = bool(call.args("expand[]") or call.args("expand"))
    items = [described.commit(each, formatted=formatted) for each in found[:size]]
    return call.page(items, str(start + size) if len(found) > size else "")


ROUTES = [
    route("GET", rf"{API}/tree/{REVISION}(?:/{PATH})?", tree),
    route("POST", rf"{API}/paths-info/{REVISION}", paths_info),
    route("GET", rf"{API}/commits/{REVISION}", commits),
]
