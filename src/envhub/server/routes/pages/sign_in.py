"""Signing in with a token, and out."""

from __future__ import annotations

import re

from starlette.responses import Response

from envhub.server import forms, html, sessions
from envhub.server.call import Call, route

# A path of ours: neither another host (`//host`), nor what browsers take for one (`/\\host`).
_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


def page(call: Call) -> Response:
    """Ask for a token."""
    following = _ours(call.arg("next"))
    return html.elsewhere(following) if call.session else _asked(call, following)


def sign_in(call: Call) -> Response:
    """Begin a session, if the token is somebody's.

    Each try counts, also one with a right token: else a limit would not slow down who guesses.
    """
    form = forms.read(call)
    call.hub.failures.take(f"sign-in {call.address}")
    cookie = call.hub.sessions.begin(form.get("token", "").strip())
    following = _ours(form.get("next", ""))
    if cookie is None:
        wrong = "That is no token of this hub, or it has run out."
        return _asked(call, following, wrong, status=401)
    if call.session:
        call.hub.sessions.end(call.session.key)
    answer = html.elsewhere(following)
    answer.set_cookie(
        call.cookie,
        cookie,
        max_age=int(sessions.SECONDS),
        httponly=True,
        samesite="lax",
        secure=call.secure,
    )
    return answer


def sign_out(call: Call) -> Response:
    """End the session, whoever else has its cookie."""
    forms.read(call)
    if call.session:
        call.hub.sessions.end(call.session.key)
    answer = html.elsewhere("/")
    answer.delete_cookie(call.cookie, httponly=True, samesite="lax", secure=call.secure)
    return answer


def _asked(call: Call, following: str, wrong: str = "", status: int = 200) -> Response:
    made, cookie = forms.visit(call)
    answer = html.shown(
        call, "sign_in", status, following=following, wrong=wrong, visit_pass=made, base=call.base
    )
    answer.headers["Cache-Control"] = "no-store"
    forms.set_visit(call, answer, cookie)
    return answer


def _ours(path: str) -> str:
    """Where to go after signing in; nowhere but to this hub."""
    return path if _PATH.fullmatch(path) else "/"


ROUTES = [
    route("GET HEAD", r"/login", page, session=True),
    route("POST", r"/login", sign_in, session=True),
    route("POST", r"/logout", sign_out, session=True),
]
