"""One's own tokens: made, seen once, revoked."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from starlette.responses import Response

from envhub.server import forms, html
from envhub.server.call import Call, route
from envhub.server.refusals import Refusal, bad, forbidden

DAYS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year", "": "for ever"}
ROLES = {
    "read": "Read what you can read",
    "write": "Read and write what you can, and change settings",
    "fine": "Only the repos below",
}
LONGEST = 96
_DAY = 86400.0


def page(call: Call) -> Response:
    """Which tokens there are."""
    if call.session is None:
        return html.elsewhere("/login?next=/settings/tokens")
    return _shown(call)


def make(call: Call) -> Response:
    """Make a token, and show it this once."""
    form = forms.read(call)
    _check_may(call)
    name, role = form.get("name", "").strip(), form.get("role", "")
    try:
        if not name.isprintable() or not 0 < len(name) <= LONGEST:
            raise bad(f"A token needs a name of at most {LONGEST} characters.")
        if name in {row["name"] for row in call.hub.accounts.tokens(call.user.name)}:
            raise bad(f"There is a token named {name} already; revoke it first.")
        scopes = _scopes(form.get("scopes", "")) if role == "fine" else {}
        secret = call.hub.accounts.new_token(
            call.user.name, name, role, scopes=scopes, seconds=_seconds(call, form.get("days", ""))
        )
    except Refusal as refusal:
        return _shown(call, wrong=refusal.message, form=form, status=refusal.status)
    return _shown(call, secret=secret, made=name)


def revoke(call: Call) -> Response:
    """Make a token worthless, and end what was begun with it."""
    form = forms.read(call)
    _check_may(call)
    call.hub.accounts.drop_token(call.user.name, form.get("name", ""))
    return html.elsewhere("/settings/tokens")


def _check_may(call: Call) -> None:
    if call.user.role != "write":
        raise forbidden("You signed in with a token that may not make or revoke others.")


def _scopes(text: str) -> dict[str, str]:
    """A line each: `owner/name`, or `owner/*`, and what may be done with it."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.fullmatch(r"([\w.-]+/(?:[\w.-]+|\*))[:\s]+(read|write|admin)", line, re.ASCII)
        if not match:
            raise bad(f"{line!r} is no line like “lab/cartpole read”.")
        found[match[1]] = match[2]
    if not found:
        raise bad("Say which repos, one a line: “lab/cartpole read”.")
    return found


def _seconds(call: Call, days: str) -> float | None:
    """How long the token is good for: not longer than the one that one signed in with."""
    if days not in DAYS:
        raise bad(f"{days!r} is no number of days to choose")
    wanted = float(days) * _DAY if days else None
    if call.user.expires is None:
        return wanted
    left = max(call.user.expires - time.time(), 0.0)
    return left if wanted is None else min(left, wanted)


def _shown(call: Call, *, status: int = 200, **more: Any) -> Response:
    rows = [
        {**dict(row), "scopes": json.loads(row["scopes"])}
        for row in call.hub.accounts.tokens(call.user.name)
    ]
    given = {"secret": "", "made": "", "wrong": "", "form": {}, **more}
    return html.shown(
        call,
        "tokens",
        status,
        tokens=rows,
        now=time.time(),
        days=DAYS,
        roles=ROLES,
        may=call.user.role == "write",
        **given,
    )


ROUTES = [
    route("GET HEAD", r"/settings(?:/tokens)?", page, session=True),
    route("POST", r"/settings/tokens", make, session=True),
    route("POST", r"/settings/tokens/revoke", revoke, session=True),
]
