"""Pages: templates filled in, with headers that let nothing of a stranger's run in them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import HTMLResponse, RedirectResponse, Response

from envhub.server import covers, forms, markdown
from envhub.server.call import Call
from envhub.server.dates import ago, day
from envhub.server.refusals import Refusal

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).with_name("templates")
STATIC = {"hub.css": "text/css", "hub.js": "text/javascript", "icon.svg": "image/svg+xml"}

_SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self';"
    " connect-src 'self'; img-src 'self' https:; media-src 'self' https:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Authorization, Cookie, Accept",
    "X-Frame-Options": "DENY",
}
_TITLES = {
    400: "That makes no sense",
    401: "Not here, or not for you",
    403: "Not for you",
    404: "There is nothing here",
    405: "Not that way",
    413: "Too much",
    429: "Too often",
    501: "This hub cannot do that",
}


def shown(call: Call, template: str, status: int = 200, **values: Any) -> Response:
    """A page for whoever asks."""
    text = (
        _environment()
        .get_template(f"{template}.html")
        .render(
            me=call.caller,
            here=call.request.url.path,
            form_pass=lambda: forms.new_pass(call),
            **values,
        )
    )
    # What only some may see is not for caches, nor are passes of forms.
    cached = {"Cache-Control": "private, no-cache" if call.caller is None else "no-store"}
    return HTMLResponse(text, status, {**_SAFE, **cached})


def refused(call: Call, refusal: Refusal) -> Response:
    """A refusal, for people."""
    title = _TITLES.get(refusal.status, "That went wrong")
    answer = shown(
        call,
        "refused",
        refusal.status,
        status_code=refusal.status,
        title=title,
        message=sentence(refusal.message),
        sign_in=call.caller is None and refusal.status in {401, 403, 404},
    )
    answer.headers.update(refusal.headers)
    return answer


def elsewhere(path: str) -> Response:
    """What a form answers that has done its work: look there."""
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})


@cache
def static(name: str) -> bytes:
    """A file that all pages use."""
    data = (TEMPLATES / name).read_bytes()
    return data + markdown.colours().encode() if name == "hub.css" else data


@cache
def _address(name: str) -> str:
    """Where a file is; another one when it changes, so that browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256(static(name)).hexdigest()[:12]}"


@cache
def _environment() -> jinja2.Environment:
    # Here, since a hub that only machines ask never needs it.
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=_address, words="", cover=covers.cover)
    made.filters.update(
        ago=ago, day=day, bytes=in_bytes, number=short, quoted=lambda text: quote(text, safe="")
    )
    return made


def sentence(text: str) -> str:
    """Words that may be part of something, as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".")


def in_bytes(size: float) -> str:
    """A size as people read it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"


def short(number: float) -> str:
    """A number as people read it: 950, 1.2k, 34M."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5 or unit == "G":
            break
        number /= 1000
    return f"{number:.1f}{unit}".replace(".0", "") if number < 10 else f"{number:.0f}{unit}"
