"""What the owner of a repo decides: who sees it, who may have its files, whether it stays."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from envhub.server import forms, html
from envhub.server.access import ADMIN
from envhub.server.call import Call, route
from envhub.server.refusals import bad
from envhub.server.routes.pages.place import Place
from envhub.server.routes.patterns import SITE

GATES = {"": "Nobody asks", "auto": "Whoever asks is let in", "manual": "You decide, one by one"}
DECISIONS = ("accepted", "rejected", "pending")


def page(call: Call) -> Response:
    """The repo's settings."""
    call.repo(ADMIN)
    return _shown(call)


def see(call: Call) -> Response:
    """Change who sees the repo, and who is let in."""
    form, repo = forms.read(call), call.repo(ADMIN)
    visibility, gated = form.get("visibility", ""), form.get("gated", "")
    if visibility not in {"public", "private"} or gated not in GATES:
        raise bad("a repo is public or private, and gated by one of the ways of the form")
    call.hub.repos.change(repo, visibility=visibility, gated=gated)
    return html.elsewhere(f"{repo.page}/settings?saved")


def decide(call: Call) -> Response:
    """Let somebody in who asked, or not."""
    form, repo = forms.read(call), call.repo(ADMIN)
    if form.get("status") not in DECISIONS:
        raise bad(f"requests are {', '.join(DECISIONS)}")
    call.hub.database.change(
        "UPDATE admissions SET status = ? WHERE repo = ? AND id = ?",
        *(form["status"], repo.id, form.get("request", "")),
    )
    return html.elsewhere(f"{repo.page}/settings#requests")


def delete(call: Call) -> Response:
    """Remove the repo for good, if its name was typed in."""
    form, repo = forms.read(call), call.repo(ADMIN)
    if form.get("name", "").strip() != repo.full_name:
        return _shown(call, wrong=f"That is not its name: type {repo.full_name}.", status=400)
    call.hub.repos.delete(repo)
    return html.elsewhere(f"/{repo.owner}?deleted={repo.name}")


def _shown(call: Call, *, wrong: str = "", status: int = 200) -> Response:
    place = Place.of(call)
    requests: list[Any] = call.hub.database.all(
        "SELECT admissions.id, status, asked, name, fullname FROM admissions"
        " JOIN owners ON owners.id = user WHERE repo = ?"
        " ORDER BY status != 'pending', admissions.id LIMIT 500",
        place.repo.id,
    )
    return html.shown(
        call,
        "rules",
        status,
        place=place,
        view="settings",
        requests=requests,
        gates=GATES,
        saved=bool(call.args("saved")),
        wrong=wrong,
    )


ROUTES = [
    route("GET HEAD", rf"{SITE}/settings", page, session=True),
    route("POST", rf"{SITE}/settings", see, session=True),
    route("POST", rf"{SITE}/settings/requests", decide, session=True),
    route("POST", rf"{SITE}/settings/delete", delete, session=True),
]
