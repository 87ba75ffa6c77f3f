"""Who the caller is, and what theirs is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from envhub.server.access import READ, visible
from envhub.server.call import Call, reply, route
from envhub.server.dates import iso
from envhub.server.refusals import Refusal, forbidden
from envhub.server.repos import Repo

PAGE = 500


def whoami(call: Call) -> Response:
    """Who the token belongs to, and what it may."""
    user = call.user
    orgs = [
        {
            "type": "org",
            "id": str(org["id"]),
            "name": org["name"],
            "fullname": org["fullname"],
            "roleInOrg": org["role"],
            "isEnterprise": False,
        }
        for org in call.hub.accounts.organisations(user.id)
    ]
    role = "fineGrained" if user.role == "fine" else user.role
    token: dict[str, Any] = {"displayName": user.token, "role": role}
    if user.role == "fine":
        token["fineGrained"] = {"scoped": _scopes(user.scopes)}
    if user.expires:
        token["expiresAt"] = iso(user.expires)
    return reply(
        {
            "type": "user",
            "id": str(user.id),
            "name": user.name,
            "fullname": user.fullname,
            "email": user.email or None,
            "emailVerified": False,
            "isPro": False,
            "canPay": False,
            "orgs": orgs,
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def _scopes(scopes: Any) -> list[dict[str, Any]]:
    return [
        {"entity": {"name": name}, "permissions": [f"repo.{level}"]}
        for name, level in scopes.items()
    ]


def own_repos(call: Call) -> Response:
    """The caller's repos, or those of an organisation, with what they take up."""
    owner = call.words.get("org") or call.user.name
    found = call.hub.accounts.find(owner)
    if found is None:
        raise Refusal(404, f"there is nobody named {owner}")
    orgs = {org["id"] for org in call.hub.accounts.organisations(call.user.id)}
    if found["id"] not in {call.user.id, *orgs}:
        raise forbidden(f"you are no member of {owner}")
    seen, values = visible(call.caller)
    after = int(call.arg("cursor") or 0) if call.arg("cursor").isdigit() else 0
    repos = call.hub.repos.select(
        f"repos.owner = ? AND repos.id > ? AND {seen} ORDER BY repos.id LIMIT ?",
        *(found["id"], after, *values, PAGE + 1),
    )
    repos = [repo for repo in repos if call.hub.access.level(call.caller, repo) >= READ]
    sizes = {repo.id: call.hub.holdings.used([repo]) for repo in repos}
    total = sum(sizes.values()) or 1
    items = [_stored(repo, sizes[repo.id], total) for repo in repos[:PAGE]]
    return call.page(items, str(repos[PAGE - 1].id) if len(repos) > PAGE else "")


def _stored(repo: Repo, size: int, total: int) -> dict[str, Any]:
    return {
        "id": repo.full_name,
        "type": repo.kind,
        "updatedAt": iso(repo.modified),
        "visibility": repo.visibility,
        "storage": size,
        "storagePercent": round(100 * size / total, 2),
    }


def overview(call: Call) -> Response:
    """A user or an organisation, as everybody sees them."""
    user = call.hub.accounts.find(call.words["who"])
    if user is None:
        raise Refusal(404, f"there is nobody named {call.words['who']}")
    models = call.hub.database.value(
        "SELECT count(*) FROM repos WHERE owner = ? AND kind = 'model' AND visibility = 'public'",
        user["id"],
    )
    return reply(
        {
            "name": user["name"],
            "user": user["name"],
            "fullname": user["fullname"],
            "type": user["kind"],
            "avatarUrl": "",
            "isPro": False,
            "numModels": models,
            "createdAt": datetime.fromtimestamp(user["created"], UTC).isoformat(),
        }
    )


ROUTES = [
    route("GET", r"/api/whoami-v2", whoami),
    route("GET", r"/api/settings/repositories", own_repos),
    route("GET", r"/api/organizations/(?P<org>[^/]+)/settings/repositories", own_repos),
    route("GET", r"/api/(?:users|organizations)/(?P<who>[^/]+)/overview", overview),
]
