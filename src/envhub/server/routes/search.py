"""Lists of repos: by words, owner, tags; in any order; page by page."""

from __future__ import annotations

import functools
from typing import Any

from starlette.responses import Response

from envhub.server.call import Call, reply, route
from envhub.server.gitrepo import GitRepo
from envhub.server.index import ORDERS, Query
from envhub.server.refusals import bad
from envhub.server.repos import Repo
from envhub.server.routes import described
from envhub.server.routes.patterns import LISTS

PAGE, MOST = 100, 1000


def listing(call: Call) -> Response:
    """The repos of a kind that match."""
    found, cursor = call.hub.index.search(call.caller, _query(call))
    wanted = set(described.BASIC)
    if call.args("expand"):
        wanted = set(call.args("expand"))
    elif call.flag("full"):
        wanted = set(described.FULL)
    if call.flag("cardData") or call.flag("full"):
        wanted.add("cardData")
    return call.page([_item(call, repo, wanted) for repo in found], cursor)


def _query(call: Call) -> Query:
    order = call.arg("sort") or "lastModified"
    if order not in ORDERS:
        raise bad(f"cannot sort by {order!r}; {', '.join(ORDERS)} are known")
    tags = [tag for text in call.args("filter") for tag in text.split(",") if tag]
    tags += [tag for name in ("pipeline_tag", "library") for tag in call.args(name)]
    gated = call.arg("gated").lower()
    return Query(
        kind=call.kind,
        words=call.arg("search").strip()[:200],
        author=call.arg("author"),
        tags=tuple(tags[:20]),
        gated={"true": True, "false": False}.get(gated),
        order=order,
        ascending=call.arg("direction") == "1",
        limit=call.count("limit", PAGE, MOST),
        cursor=call.arg("cursor"),
    )


def _item(call: Call, repo: Repo, wanted: set[str]) -> dict[str, Any]:
    @functools.cache
    def opened() -> tuple[GitRepo, str]:
        git = call.hub.repos.git(repo)
        return git, git.find("refs/heads/main") or ""

    return described.repo(
        repo,
        wanted,
        git=opened,
        used=lambda: call.hub.holdings.used([repo]),
        env=lambda: call.hub.abouts.block(repo, repo.head),
    )


def tags_by_type(call: Call) -> Response:
    """All tags of a kind of repos that everybody sees, the most used first."""
    rows = call.hub.database.all(
        "SELECT tag, count(*) AS number FROM tags JOIN repos USING (serial)"
        " WHERE kind = ? AND visibility = 'public' GROUP BY tag ORDER BY number DESC, tag LIMIT ?",
        *(call.kind, MOST),
    )
    tags = [{"id": row["tag"], "label": row["tag"], "type": "other"} for row in rows]
    return reply({"other": tags})


def facets(call: Call) -> Response:
    """How many of the repos that match have which facet; takes what the list takes."""
    return reply(call.hub.index.facets(call.caller, _query(call)))


ROUTES = [
    route("GET", LISTS, listing),
    route("GET", r"/api/(?P<kinds>models|datasets|spaces)-facets", facets),
    route("GET", r"/api/(?P<kinds>models|datasets)-tags-by-type", tags_by_type),
]
