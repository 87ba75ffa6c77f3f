"""The page of an env: how to load it, what it is, and what is known of it at one commit."""

from __future__ import annotations

import json
import time

from starlette.responses import Response

from envhub.server import forms, html, markdown
from envhub.server.call import Call, route
from envhub.server.index import front_matter, tags_of
from envhub.server.routes.pages.place import Place
from envhub.server.routes.pages.sheet import Sheet
from envhub.server.routes.patterns import REVISION, SITE

COMMITS, TAGS, FILES = 5, 16, 12


def env(call: Call) -> Response:
    """A repo at a revision, `main` if none is said."""
    place = Place.of(call)
    git, commit = place.git, place.commit
    entries = place.children("")
    readme = git.entry(commit, "README.md") if place.may_have else None
    text = git.text(commit, "README.md") if readme else ""
    card = json.loads(place.repo.card) if commit == place.repo.head else front_matter(text)
    return html.shown(
        call,
        "env",
        place=place,
        view="env",
        tags=[tag for tag in tags_of(card) if tag != "envhub"][:TAGS],
        sheet=Sheet(call.hub.abouts.block(place.repo, commit) or {}),
        readme=markdown.readme(text, place.raw("").rstrip("/"), readme.oid) if readme else "",
        entries=entries[:FILES],
        more=max(len(entries) - FILES, 0),
        log=list(git.log(commit, limit=COMMITS)),
        asked=_asked(call, place),
        base=call.base,
    )


def ask(call: Call) -> Response:
    """Ask the owner of a gated repo to be let in."""
    forms.read(call)
    repo = call.repo()
    if repo.gated:
        status = "accepted" if repo.gated == "auto" else "pending"
        call.hub.database.change(
            "INSERT OR IGNORE INTO admissions (repo, user, status, asked) VALUES (?, ?, ?, ?)",
            *(repo.id, call.user.id, status, time.time()),
        )
    return html.elsewhere(repo.page)


def _asked(call: Call, place: Place) -> str:
    """What became of the caller's wish to be let in; empty if there was none."""
    if place.may_have or call.caller is None:
        return ""
    status: str | None = call.hub.database.value(
        "SELECT status FROM admissions WHERE repo = ? AND user = ?", place.repo.id, call.caller.id
    )
    return status or ""


ROUTES = [
    route("POST", rf"{SITE}/enter", ask, session=True),
    route("GET HEAD", rf"{SITE}/at/{REVISION}", env, session=True),
    route("GET HEAD", rf"(?!/(?:api|oauth|static|xet|settings)/){SITE}", env, session=True),
]
