"""What changed: the history of a revision, one commit, or the way from one revision to another."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from envhub.server import diff, html
from envhub.server.call import Call, route
from envhub.server.refusals import bad
from envhub.server.routes.pages.place import Place
from envhub.server.routes.patterns import REVISION, SITE

PAGE = 40


def commits(call: Call) -> Response:
    """The history of a revision, newest first."""
    place = Place.of(call)
    start = call.count("from", 0, 1_000_000) if call.arg("from") else 0
    found = list(place.git.log(place.commit, start, PAGE + 1))
    more = len(found) > PAGE
    following = f"{place.to('commits')}?from={start + PAGE}" if more else ""
    return html.shown(
        call, "commits", place=place, view="commits", log=found[:PAGE], following=following
    )


def commit(call: Call) -> Response:
    """What one commit changed."""
    place = Place.of(call)
    entry = next(place.git.log(place.commit, limit=1))
    parents = place.git.parents(place.commit)
    return _shown(call, place, parents[0] if parents else "", entry=entry, parents=parents)


def compare(call: Call) -> Response:
    """What changed between two revisions, which come as a form sends them."""
    call.words = {**call.words, "revision": call.arg("to", "main")}
    place = Place.of(call)
    old = call.arg("from")
    if not old:
        raise bad("say from which revision: ?from=v1.0&to=main")
    before = place.git.commit(old)
    return _shown(call, place, before, entry=None, parents=[before], old=old)


def _shown(call: Call, place: Place, before: str, **more: Any) -> Response:
    call.check_gate(place.repo)
    changes = diff.between(place.git, before, place.commit)
    return html.shown(
        call, "diff", place=place, view="commits", before=before, changes=changes, **more
    )


ROUTES = [
    route("GET HEAD", rf"{SITE}/commits/{REVISION}", commits, session=True),
    route("GET HEAD", rf"{SITE}/commit/{REVISION}", commit, session=True),
    route("GET HEAD", rf"{SITE}/compare", compare, session=True),
]
