"""The page of a user or an organisation: who they are, and what they have."""

from __future__ import annotations

from starlette.responses import Response

from envhub.server import html
from envhub.server.call import Call, route
from envhub.server.index import Query
from envhub.server.names import KINDS, NAME
from envhub.server.refusals import Refusal
from envhub.server.routes.pages.home import Card

PAGE = 60
TITLES = {
    "model": "Environments",
    "dataset": "Datasets",
    "space": "Spaces",
    "kernel": "Kernels",
}


def owner(call: Call) -> Response:
    """Somebody, with the repos of theirs that the caller may see."""
    if call.caller is None and not call.hub.config.public_repos:
        raise Refusal(401, "Sign in to see who is here.")
    accounts = call.hub.accounts
    found = accounts.find(call.words["owner"])
    if found is None:
        raise Refusal(404, f"there is nobody named {call.words['owner']}")
    org = found["kind"] == "org"
    deleted = call.arg("deleted") if call.session else ""
    return html.shown(
        call,
        "owner",
        owner=found,
        deleted=deleted if NAME.fullmatch(deleted) else "",
        base=call.base,
        groups=[(TITLES[kind], cards) for kind in KINDS if (cards := _cards(call, kind))],
        others=accounts.members(found["id"]) if org else accounts.organisations(found["id"]),
    )


def _cards(call: Call, kind: str) -> list[Card]:
    query = Query(kind, author=call.words["owner"], limit=PAGE)
    return [Card.of(call, repo) for repo in call.hub.index.search(call.caller, query)[0]]


ROUTES = [route("GET HEAD", r"/(?P<owner>[^/]+)", owner, session=True)]
