"""`hf auth login` in a browser: a code on one machine, consent on another (RFC 8628)."""

from __future__ import annotations

import secrets
import time
from html import escape

from starlette.responses import HTMLResponse, Response

from envhub.server.call import Call, reply, route

SECONDS = 900.0
INTERVAL = 2
TOKEN_SECONDS = 90 * 86400.0
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: no words by accident

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Sign a device in · envhub</title>
<style>body{{font:1rem/1.5 system-ui;max-width:28rem;margin:3rem auto;padding:0 1rem}}
input,button{{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin:.25rem 0 1rem}}
:root{{color-scheme:light dark}}</style>
<h1>Sign a device in</h1><p role="status">{message}</p>{form}</html>"""
_FORM = """<form method="post" action="/device">
<p>Go on only if a program on a machine of yours shows this code just now. It will get a token that
can write to your repos, good for 90 days.</p>
<label>Code <input name="code" value="{code}" autocomplete="off" required></label>
<label>A token of yours <input name="token" type="password" autocomplete="off" required></label>
<button>Sign it in</button></form>"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def begin(call: Call) -> Response:
    """Give a device its code."""
    address = call.request.client.host if call.request.client else ""
    call.hub.failures.take(f"device {address}")
    device = secrets.token_urlsafe(32)
    code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(2))
    now = time.time()
    call.hub.database.change("DELETE FROM devices WHERE expires < ?", now)
    call.hub.database.change(
        "INSERT INTO devices (device, code, expires) VALUES (?, ?, ?)", device, code, now + SECONDS
    )
    page = f"{call.base}/device"
    return reply(
        {
            "device_code": device,
            "user_code": code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?code={code}",
            "expires_in": int(SECONDS),
            "interval": INTERVAL,
        }
    )


def token(call: Call) -> Response:
    """Give the device its token, once somebody has consented."""
    form = {name: values[0] for name, values in call.form().items()}
    if form.get("grant_type") != GRANT:
        return _oauth_error("unsupported_grant_type")
    hub, now = call.hub, time.time()
    row = hub.database.one(
        "SELECT devices.*, owners.name FROM devices LEFT JOIN owners ON owners.id = owner"
        " WHERE device = ?",
        form.get("device_code", ""),
    )
    if row is None or row["expires"] < now:
        return _oauth_error("expired_token")
    if row["name"] is None:
        hub.database.change("UPDATE devices SET polled = ? WHERE device = ?", now, row["device"])
        hasty = now - row["polled"] < INTERVAL / 2
        return _oauth_error("slow_down" if hasty else "authorization_pending")
    if not hub.database.change("DELETE FROM devices WHERE device = ?", row["device"]):
        return _oauth_error("expired_token")
    name = f"device {row['code']} {int(now)}"
    secret = hub.accounts.new_token(row["name"], name, row["role"], seconds=TOKEN_SECONDS)
    return reply(
        {"access_token": secret, "token_type": "bearer", "expires_in": int(TOKEN_SECONDS)},
        Cache_Control="no-store",
    )


def page(call: Call) -> Response:
    """Ask whoever sits at the browser."""
    return _shown("", code=call.arg("code"))


def consent(call: Call) -> Response:
    """Sign the device in, for whoever's token was typed in."""
    form = {name: values[0].strip() for name, values in call.form().items() if values}
    address = call.request.client.host if call.request.client else ""
    caller = call.hub.accounts.caller(form.get("token", ""))
    if caller is None:
        call.hub.failures.take(address)
        return _shown("That is no token of this hub.", code=form.get("code", ""), status=401)
    if caller.role == "fine":
        return _shown("That token is too narrow to sign a device in.", code="", status=403)
    done = call.hub.database.change(
        "UPDATE devices SET owner = ?, role = ? WHERE code = ? AND owner IS NULL AND expires > ?",
        *(caller.id, caller.role, form.get("code", "").upper(), time.time()),
    )
    if not done:
        call.hub.failures.take(address)
        return _shown("There is no such code, or it has run out.", code="", status=404)
    return _shown(f"Done: the device is signed in as {caller.name}. You can close this page.")


def _shown(message: str, *, code: str | None = None, status: int = 200) -> Response:
    form = "" if code is None else _FORM.format(code=escape(code[:20]))
    return HTMLResponse(_PAGE.format(message=escape(message), form=form), status, _HEADERS)


def _oauth_error(code: str) -> Response:
    return reply({"error": code}, 400)


ROUTES = [
    route("POST", r"/oauth/device", begin, open=True),
    route("POST", r"/oauth/token", token, open=True),
    route("GET", r"/device", page, open=True),
    route("POST", r"/device", consent, open=True),
]
