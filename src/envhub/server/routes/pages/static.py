"""The style sheet, the script and the icon of all pages."""

from __future__ import annotations

from starlette.responses import Response

from envhub.server import html
from envhub.server.call import Call, route


def static(call: Call) -> Response:
    """One of them; its address changes when it does."""
    name = call.words["name"]
    seconds = 31536000 if call.arg("v") else 0
    headers = {"Cache-Control": f"public, max-age={seconds}" + (", immutable" if seconds else "")}
    return Response(html.static(name), media_type=html.STATIC[name], headers=headers)


_NAMES = "|".join(name.replace(".", r"\.") for name in html.STATIC)
ROUTES = [route("GET HEAD", rf"/static/(?P<name>{_NAMES})", static, open=True)]
