"""`hf auth login` in a browser: a code on one machine, consent on another (RFC 8628).

The page on which one consents is `envhub.server.routes.pages.device`.
"""

from __future__ import annotations

import math
import secrets
import time

from starlette.responses import Response

from envhub.server.call import Call, reply, route

SECONDS = 900.0
INTERVAL = 2
TOKEN_SECONDS = 90 * 86400.0
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: no words by accident


def begin(call: Call) -> Response:
    """Give a device its code."""
    call.hub.failures.take(f"device {call.address}")
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
    seconds = min(TOKEN_SECONDS, (row["until"] or math.inf) - now)  # of the token that consented
    secret = hub.accounts.new_token(row["name"], name, row["role"], seconds=seconds)
    return reply(
        {"access_token": secret, "token_type": "bearer", "expires_in": int(seconds)},
        Cache_Control="no-store",
    )


def _oauth_error(code: str) -> Response:
    return reply({"error": code}, 400)


ROUTES = [
    route("POST", r"/oauth/device", begin, open=True),
    route("POST", r"/oauth/token", token, open=True),
]
