"""Users, organisations and tokens; of a token only its hash is kept."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from envhub.server.database import Database
from envhub.server.names import check_name
from envhub.server.refusals import Refusal, bad

ROLES = ("read", "write", "admin")

_CALLERS = (
    "SELECT owners.*, tokens.name AS token, tokens.role, tokens.scopes, tokens.expires"
    " FROM tokens JOIN owners ON owners.id = tokens.owner"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by the token that they sent.

    Attributes:
        id: of the user.
        name: of the user.
        token: the token's own name.
        role: `read`, `write`, or `fine` for a token that only opens what `scopes` lists.
        scopes: `owner/name` or `owner/*` → `read`, `write` or `admin`.
    """

    id: int
    name: str
    fullname: str = ""
    email: str = ""
    token: str = ""
    role: str = "write"
    scopes: Mapping[str, str] = field(default_factory=dict)
    expires: float | None = None


class Accounts:
    """The users and organisations of a hub."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, kind: str = "user", *, fullname: str = "", email: str = "") -> int:
        """Make a user or an organisation.

        Raises:
            Refusal: 400 for a name that cannot be; 409 if it is taken.
        """
        check_name(name, kind)
        try:
            with self._database.write() as connection:
                made = connection.execute(
                    "INSERT INTO owners (name, kind, fullname, email, created)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (name, kind, fullname or name, email, time.time()),
                )
        except sqlite3.IntegrityError as error:
            raise Refusal(409, f"there is already somebody named {name}") from error
        return int(made.lastrowid or 0)

    def find(self, name: str) -> sqlite3.Row | None:
        """The user or organisation of that name."""
        return self._database.one("SELECT * FROM owners WHERE name = ?", name)

    def get(self, name: str, kind: str = "user") -> sqlite3.Row:
        """As `find`.

        Raises:
            Refusal: 404, there is none of that kind.
        """
        row = self.find(name)
        if row is None or row["kind"] != kind:
            raise Refusal(404, f"there is no {kind} named {name}")
        return row

    def join(self, org: str, user: str, role: str) -> None:
        """Make a user a member of an organisation, or change the role."""
        if role not in ROLES:
            raise bad(f"{role!r} is no role; roles are {', '.join(ROLES)}")
        self._database.change(
            "INSERT INTO members VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET role = excluded.role",
            self.get(org, "org")["id"],
            self.get(user)["id"],
            role,
        )

    def organisations(self, user: int) -> list[sqlite3.Row]:
        """The organisations of a user: `id`, `name`, `fullname`, `role`."""
        return self._database.all(
            "SELECT owners.id, owners.name, owners.fullname, members.role FROM members"
            " JOIN owners ON owners.id = members.org WHERE members.user = ? ORDER BY owners.name",
            user,
        )

    def members(self, org: int) -> list[sqlite3.Row]:
        """The members of an organisation: `id`, `name`, `fullname`, `role`."""
        return self._database.all(
            "SELECT owners.id, owners.name, owners.fullname, members.role FROM members"
            " JOIN owners ON owners.id = members.user WHERE members.org = ? ORDER BY owners.name",
            org,
        )

    def new_token(
        self,
        user: str,
        name: str,
        role: str = "write",
        *,
        scopes: Mapping[str, str] | None = None,
        seconds: float | None = None,
        secret: str | None = None,
    ) -> str:
        """Make a token; this is the only time that it is seen.

        Args:
            user: whose it is.
            name: to tell the user's tokens apart; one of the same name is replaced.
            role: `read`, `write`, or `fine` with `scopes`.
            scopes: see `Caller`.
            seconds: how long it is good for; for ever if not said.
            secret: the token itself if it exists elsewhere already.

        Raises:
            Refusal: 400 for a role or scope that there is not; 404 for an unknown user.
        """
        given = dict(scopes or {})
        wrong = [scope for scope, level in given.items() if level not in ROLES or "/" not in scope]
        if role not in {"read", "write", "fine"} or wrong or (role == "fine") != bool(given):
            raise bad(f"no token has the role {role!r} with the scopes {given}")
        secret = secret or f"hf_{secrets.token_urlsafe(30)}"
        if len(secret) < 20:
            raise bad("a token has at least 20 characters, or it could be guessed")
        until = None if seconds is None else time.time() + seconds
        self._database.change(
            "INSERT OR REPLACE INTO tokens (owner, name, hash, role, scopes, created, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(self.get(user)["id"], name, _hash(secret), role, json.dumps(given)),
            *(time.time(), until),
        )
        return secret

    def drop_token(self, user: str, name: str) -> bool:
        """Make a token worthless; whether there was one of that name."""
        owner = self.get(user)["id"]
        return bool(
            self._database.change("DELETE FROM tokens WHERE owner = ? AND name = ?", owner, name)
        )

    def tokens(self, user: str) -> list[sqlite3.Row]:
        """The tokens of a user, without the secrets that nobody knows any more."""
        return self._database.all(
            "SELECT name, role, scopes, created, expires FROM tokens WHERE owner = ? ORDER BY name",
            self.get(user)["id"],
        )

    def caller(self, secret: str) -> Caller | None:
        """Whose token this is; `None` if it is nobody's, or has run out."""
        return self._caller("tokens.hash = ?", _hash(secret))

    def by_token(self, token: int) -> Caller | None:
        """As `caller`, for the token with that number."""
        return self._caller("tokens.id = ?", token)

    def token_id(self, secret: str) -> int | None:
        """The number of a token; `None` if it is nobody's, or has run out."""
        found: int | None = self._database.value(
            "SELECT id FROM tokens WHERE hash = ? AND (expires IS NULL OR expires > ?)",
            *(_hash(secret), time.time()),
        )
        return found

    def _caller(self, condition: str, value: object) -> Caller | None:
        row = self._database.one(f"{_CALLERS} WHERE {condition}", value)
        if row is None or (row["expires"] is not None and row["expires"] < time.time()):
            return None
        return Caller(
            row["id"],
            row["name"],
            row["fullname"],
            row["email"],
            row["token"],
            row["role"],
            json.loads(row["scopes"]),
            row["expires"],
        )


def _hash(secret: str) -> str:
    """What is kept; tokens are random, so nothing slower than this makes guessing harder."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
