"""Gated repos: who asks to be let in, and who was."""

from __future__ import annotations

import time

from msgspec import Struct
from starlette.responses import Response

from envhub.server.access import ADMIN
from envhub.server.call import Call, reply, route
from envhub.server.dates import iso
from envhub.server.refusals import Refusal, bad
from envhub.server.repos import Repo
from envhub.server.routes.patterns import API, SITE

STATUSES = ("pending", "accepted", "rejected")
PAGE = 1000


class Decision(Struct, rename="camel"):
    """What is decided about whom."""

    user: str | None = None
    request_id: str | None = None
    status: str = "accepted"


def ask(call: Call) -> Response:
    """Ask to be let in; where nobody decides, one is."""
    repo = call.repo()
    if not repo.gated:
        raise bad(f"{repo.full_name} is not gated")
    status = "accepted" if repo.gated == "auto" else "pending"
    call.hub.database.change(
        "INSERT OR IGNORE INTO admissions (repo, user, status, asked) VALUES (?, ?, ?, ?)",
        *(repo.id, call.user.id, status, time.time()),
    )
    return reply({"status": status})


def requests(call: Call) -> Response:
    """Who asked, and where that stands."""
    repo = _gated(call)
    if call.words["status"] not in STATUSES:
        raise bad(f"requests are {', '.join(STATUSES)}")
    after = int(call.arg("cursor")) if call.arg("cursor").isdigit() else 0
    rows = call.hub.database.all(
        "SELECT admissions.id, status, asked, name, fullname FROM admissions"
        " JOIN owners ON owners.id = user WHERE repo = ? AND status = ? AND admissions.id > ?"
        " ORDER BY admissions.id LIMIT ?",
        *(repo.id, call.words["status"], after, PAGE + 1),
    )
    items = [
        {
            "requestId": str(row["id"]),
            "user": {"user": row["name"], "fullname": row["fullname"]},
            "status": row["status"],
            "timestamp": iso(row["asked"]),
        }
        for row in rows[:PAGE]
    ]
    return call.page(items, items[-1]["requestId"] if len(rows) > PAGE else "")


def handle(call: Call) -> Response:
    """Let somebody in who asked, or not."""
    repo, wanted = _gated(call), call.json(Decision)
    if wanted.status not in STATUSES:
        raise bad(f"requests are {', '.join(STATUSES)}")
    changed = call.hub.database.change(
        "UPDATE admissions SET status = ? WHERE repo = ? AND (id = ?"
        " OR user = (SELECT id FROM owners WHERE name = ?))",
        *(wanted.status, repo.id, wanted.request_id, wanted.user),
    )
    if not changed:
        raise Refusal(404, "nobody like that asked")
    return reply({})


def grant(call: Call) -> Response:
    """Let somebody in who did not even ask."""
    repo, wanted = _gated(call), call.json(Decision)
    user = call.hub.accounts.get(wanted.user or "")
    there = call.hub.database.value(
        "SELECT status FROM admissions WHERE repo = ? AND user = ?", repo.id, user["id"]
    )
    if there == "accepted":
        raise bad(f"{user['name']} was let in already")
    call.hub.database.change(
        "INSERT INTO admissions (repo, user, status, asked) VALUES (?, ?, 'accepted', ?)"
        " ON CONFLICT DO UPDATE SET status = 'accepted'",
        *(repo.id, user["id"], time.time()),
    )
    return reply({})


def _gated(call: Call) -> Repo:
    repo = call.repo(ADMIN)
    if not repo.gated:
        raise bad(f"{repo.full_name} is not gated")
    return repo


_REQUESTS = rf"{API}/user-access-request"

ROUTES = [
    route("POST", rf"{SITE}/ask-access", ask),
    route("GET", rf"{_REQUESTS}/(?P<status>[a-z]+)", requests),
    route("POST", rf"{_REQUESTS}/handle", handle),
    route("POST", rf"{_REQUESTS}/grant", grant),
]
