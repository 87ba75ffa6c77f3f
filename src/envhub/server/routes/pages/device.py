"""Signing a device in: a program shows a code, and whoever sits at a browser types it in here."""

from __future__ import annotations

import time

from starlette.responses import Response

from envhub.server import forms, html
from envhub.server.accounts import Caller
from envhub.server.call import Call, route

SIZE = 20


def page(call: Call) -> Response:
    """Ask for the code, and for a token of who is not signed in."""
    return _asked(call, "", call.arg("code"))


def consent(call: Call) -> Response:
    """Give the device a token, in the name of whoever is signed in or whose token was typed in.

    Each try counts, also a right one: else a limit would not slow down who guesses.
    """
    form = forms.read(call)
    call.hub.failures.take(f"sign-in {call.address}")
    code = form.get("code", "").strip().upper()
    caller = call.caller or call.hub.accounts.caller(form.get("token", "").strip())
    if caller is None:
        return _asked(call, "That is no token of this hub, or it has run out.", code, 401)
    if caller.role == "fine":
        return _asked(call, "That token is too narrow to sign a device in.", code, 403)
    if not _consented(call, caller, code):
        return _asked(call, "There is no such code, or it has run out.", "", 404)
    return html.shown(call, "device", done=caller.name, wrong="", code="", visit_pass="")


def _consented(call: Call, caller: Caller, code: str) -> bool:
    changed = call.hub.database.change(
        "UPDATE devices SET owner = ?, role = ?, until = ?"
        " WHERE code = ? AND owner IS NULL AND expires > ?",
        *(caller.id, caller.role, caller.expires, code, time.time()),
    )
    return bool(changed)


def _asked(call: Call, wrong: str, code: str, status: int = 200) -> Response:
    made, cookie = (forms.new_pass(call), "") if call.session else forms.visit(call)
    answer = html.shown(
        call, "device", status, done="", wrong=wrong, code=code[:SIZE], visit_pass=made
    )
    answer.headers["Cache-Control"] = "no-store"
    if cookie:
        forms.set_visit(call, answer, cookie)
    return answer


ROUTES = [
    route("GET HEAD", r"/device", page, session=True),
    route("POST", r"/device", consent, session=True),
]
