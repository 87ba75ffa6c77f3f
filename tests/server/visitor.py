"""Somebody at a browser without scripts: keeps cookies, follows links, sends the forms it sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape

import httpx2
from tests.server.conftest import Running

HTML = {"Accept": "text/html"}


class Visitor:
    """A browser.

    Args:
        running: the hub that it visits.
        client: keeps its cookies.
    """

    def __init__(self, running: Running, client: httpx2.Client) -> None:
        self._running = running
        self.client = client
        self.page = ""

    def get(self, path: str, *, status: int = 200) -> str:
        """Open a page."""
        answer = self.client.get(self._running.url + path)
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return self.page

    def send(self, path: str, *, expect: int = 303, **fields: str) -> httpx2.Response:
        """Send a form to an address, with the pass of the page that is open."""
        given = {"form_pass": self.form_pass, **fields}
        answer = self.post(path, given)
        assert answer.status_code == expect, answer.text
        self.page = answer.text or self.page
        return answer

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx2.Response:
        """Send whatever fields, with whatever headers."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.client.post(self._running.url + path, data=fields, headers=named)

    @property
    def form_pass(self) -> str:
        """The pass in the forms of the page that is open."""
        found = re.search(r'name="form_pass" value="([^"]+)"', self.page)
        return unescape(found[1]) if found else ""

    @property
    def cookie(self) -> str:
        """What proves who this is."""
        return self.client.cookies.get("envhub") or ""

    def sign_in(self, token: str, *, status: int = 303, following: str = "/") -> httpx2.Response:
        """Sign in with a token."""
        self.get(f"/login?next={following}")
        return self.send("/login", expect=status, token=token, next=following)


@contextmanager
def visiting(running: Running, user: str = "") -> Iterator[Visitor]:
    """A browser, in which a user has signed in if one is named."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    with httpx2.Client(limits=limits, timeout=60, headers=HTML) as client:
        visitor = Visitor(running, client)
        if user:
            visitor.sign_in(running.tokens[user])
        yield visitor
