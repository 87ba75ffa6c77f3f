"""Forms: which of them were sent from a page of this hub, by whoever it was shown to.

A browser sends its cookie along whoever made it send the form. So each form has a pass in it that
only a page of ours can have, made for one session, and the browser must not say that another site's
page sent it.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.responses import Response

from envhub.server.call import Call
from envhub.server.refusals import Refusal

SECONDS = 12 * 3600.0
FIELD = "form_pass"
VISIT = "envhub-visit"


def new_pass(call: Call) -> str:
    """What a form has in it to prove that it is ours; empty for nobody in particular."""
    return call.hub.signer.sign("form", SECONDS, of=call.session.key) if call.session else ""


def visit(call: Call) -> tuple[str, str]:
    """As `new_pass` for somebody who is not signed in, and the value of the cookie it goes with."""
    cookie = call.request.cookies.get(VISIT) or secrets.token_urlsafe(16)
    return call.hub.signer.sign("form", SECONDS, of=cookie), cookie


def set_visit(call: Call, answer: Response, cookie: str) -> None:
    """Send the cookie of `visit` along."""
    answer.set_cookie(VISIT, cookie, httponly=True, samesite="strict", secure=call.secure)


def read(call: Call) -> dict[str, str]:
    """What a form says.

    Raises:
        Refusal: 403, it was not sent from a page of ours that this browser was shown.
    """
    _check_origin(call)
    form = {name: values[0] for name, values in call.form().items()}
    whose = call.session.key if call.session else call.request.cookies.get(VISIT)
    try:
        made_for = call.hub.signer.open("form", form.get(FIELD, ""))["of"]
    except Refusal:
        made_for = None
    if whose is None or made_for != whose:
        raise Refusal(403, "This form is too old, or no page of this hub. Go back and try again.")
    return form


def _check_origin(call: Call) -> None:
    headers = call.request.headers
    origin = headers.get("origin")
    ours = {urlsplit(call.base).netloc, headers.get("host", "")}
    foreign = origin is not None and urlsplit(origin).netloc not in ours
    if foreign or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refusal(403, "This form was sent by a page of another site.")
