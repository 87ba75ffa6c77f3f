"""Who is signed in at a browser: a random cookie, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from envhub.server.accounts import Accounts, Caller
from envhub.server.database import Database

SECONDS = 14 * 86400.0


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in.

    Attributes:
        key: names it to the hub; nobody can make the cookie from it.
        caller: who signed in, with no more rights than the token that they did it with.
    """

    key: str
    caller: Caller


class Sessions:
    """The sessions of a hub.

    A session stands for the token that somebody signed in with: it may what the token may, and ends
    with it.

    Args:
        database: where they are kept.
        accounts: whose they are.
    """

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts

    def begin(self, secret: str) -> str | None:
        """Sign in by a token.

        Returns:
            The value of the cookie, or `None` if the token is nobody's.
        """
        token = self._accounts.token_id(secret)
        if token is None:
            return None
        cookie, now = secrets.token_urlsafe(32), time.time()
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE expires < ?", (now,))
            row = (_hash(cookie), token, now + SECONDS)
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", row)
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, if it has not ended."""
        key = _hash(cookie)
        token = self._database.value(
            "SELECT token FROM sessions WHERE hash = ? AND expires > ?", key, time.time()
        )
        caller = None if token is None else self._accounts.by_token(token)
        return Session(key, caller) if caller else None

    def end(self, key: str) -> None:
        """Sign out: the cookie is worth nothing from now on, whoever has it."""
        self._database.change("DELETE FROM sessions WHERE hash = ?", key)


def _hash(cookie: str) -> str:
    """What is kept; cookies are random, so nothing slower than this makes guessing harder."""
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).hexdigest()
