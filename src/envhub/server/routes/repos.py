"""Repos come, go, and change their names and rules."""

from __future__ import annotations

import sqlite3
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from envhub.server.access import ADMIN
from envhub.server.call import Call, reply, route
from envhub.server.names import KINDS
from envhub.server.refusals import Refusal, bad, forbidden
from envhub.server.repos import Repo
from envhub.server.routes.patterns import API


class Wanted(Struct):
    """The repo to create or delete; old clients say `private`, new ones `visibility`."""

    name: str
    organization: str | None = None
    type: str | None = None
    private: bool | None = None
    visibility: str | None = None
    sdk: str | None = None


class Move(Struct, rename="camel"):
    """From one full name to another."""

    from_repo: str
    to_repo: str
    type: str | None = None


class Settings(Struct):
    """What to change; what is unset stays."""

    gated: Literal["auto", "manual", False] | UnsetType = UNSET
    private: bool | None = None
    visibility: str | None = None


def create(call: Call) -> Response:
    """Make a repo; if it is there already, its address comes with the refusal."""
    call.check_writable()
    wanted = call.json(Wanted)
    kind = _kind(wanted.type)
    owner = _owner(call, wanted.organization or call.user.name)
    if kind == "space" and not wanted.sdk:
        raise bad("a space needs an sdk")
    there = call.hub.repos.find(kind, f"{owner['name']}/{wanted.name}")
    if there and there.full_name.lower() == f"{owner['name']}/{wanted.name}".lower():
        body = {"error": "You already created this repo", **_named(call, there)}
        return reply(body, 409, X_Error_Message="You already created this repo")
    private = _is_private(wanted.private, wanted.visibility) or False
    made = call.hub.repos.create(
        kind, owner, wanted.name, private=private, sdk=wanted.sdk, author=call.author
    )
    call.hub.index.update(made, force=True)
    return reply(_named(call, made))


def delete(call: Call) -> Response:
    """Remove a repo for good."""
    wanted = call.json(Wanted)
    name = f"{wanted.organization or call.user.name}/{wanted.name}"
    call.hub.repos.delete(call.named(_kind(wanted.type), name, ADMIN))
    return reply({})


def move(call: Call) -> Response:
    """Give a repo another name or owner."""
    wanted = call.json(Move)
    repo = call.named(_kind(wanted.type), wanted.from_repo, ADMIN)
    owner, _, name = wanted.to_repo.partition("/")
    call.hub.repos.move(repo, _owner(call, owner), name)
    moved = call.hub.repos.by_key(repo.key)
    if moved:
        call.hub.index.update(moved, force=True)
    return reply({})


def settings(call: Call) -> Response:
    """Change who sees a repo, and who may have its files."""
    repo = call.repo(ADMIN)
    wanted = call.json(Settings)
    changes = {}
    private = _is_private(wanted.private, wanted.visibility)
    if private is not None:
        changes["visibility"] = "private" if private else "public"
    if wanted.gated is not UNSET:
        changes["gated"] = wanted.gated or ""
    if changes:
        call.hub.repos.change(repo, **changes)
    return reply(changes)


def _kind(kind: str | None) -> str:
    if (kind or "model") not in KINDS:
        raise bad(f"{kind!r} is no kind of repo here; kinds are {', '.join(KINDS)}")
    return kind or "model"


def _owner(call: Call, name: str) -> sqlite3.Row:
    """Whose the repo is to be.

    Raises:
        Refusal: 403 if the caller may not make repos for them; 404 if there is nobody like that.
    """
    owner = call.hub.accounts.find(name)
    if owner is None:
        raise Refusal(404, f"there is nobody named {name}")
    if not call.hub.access.may_create(call.user, owner["name"]):
        raise forbidden(f"You don't have the rights to create a repo under {owner['name']}")
    return owner


def _is_private(private: bool | None, visibility: str | None) -> bool | None:
    if visibility is None:
        return private
    if visibility not in {"public", "private"}:
        raise bad(f"repos here are public or private, not {visibility!r}")
    return visibility == "private"


def _named(call: Call, repo: Repo) -> dict[str, str]:
    url = f"{call.base}{repo.page}"
    return {"url": url, "name": repo.full_name, "id": repo.full_name}


ROUTES = [
    route("POST", r"/api/repos/create", create),
    route("DELETE", r"/api/repos/delete", delete),
    route("POST", r"/api/repos/move", move),
    route("PUT", rf"{API}/settings", settings),
]
