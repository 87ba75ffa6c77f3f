"""What a caller may do with a repo: nothing, read, write, or all."""

from __future__ import annotations

from envhub.server.accounts import Caller
from envhub.server.database import Database
from envhub.server.repos import Repo

NONE, READ, WRITE, ADMIN = range(4)
LEVELS = {"": NONE, "read": READ, "write": WRITE, "admin": ADMIN}


class Access:
    """The rules of a hub.

    Args:
        database: who may what.
        open_to_all: whether public repos may be read without a token.
    """

    def __init__(self, database: Database, *, open_to_all: bool = True) -> None:
        self._database = database
        self._open_to_all = open_to_all

    def level(self, caller: Caller | None, repo: Repo) -> int:
        """What a caller may do with a repo; a token never opens more than its user may."""
        public = repo.visibility == "public"
        if caller is None:
            return READ if public and self._open_to_all else NONE
        floor = READ if public else NONE
        own = self._own(caller, repo)
        return max(floor, min(own, _cap(caller, repo.owner, repo.name)))

    def may_create(self, caller: Caller, owner: str) -> bool:
        """Whether a caller may make repos for a user or an organisation."""
        if _cap(caller, owner, "*") < WRITE:
            return False
        return self._at_owner(caller, owner) >= WRITE

    def may_download(self, caller: Caller | None, repo: Repo) -> bool:
        """Whether a caller, who may see the repo, may have its files."""
        if not repo.gated or self.level(caller, repo) >= WRITE:
            return True
        if caller is None:
            return False
        status = self._database.value(
            "SELECT status FROM admissions WHERE repo = ? AND user = ?", repo.id, caller.id
        )
        granted = self._granted(caller, repo) >= READ
        return bool(status == "accepted" or granted or self._at_owner(caller, repo.owner) >= READ)

    def belongs(self, caller: Caller | None, name: str) -> bool:
        """Whether a caller, and the token, may read all that the owner of a full name has."""
        owner, _, short = name.partition("/")
        if caller is None or _cap(caller, owner, short) < READ:
            return False
        return self._at_owner(caller, owner) >= READ

    def _own(self, caller: Caller, repo: Repo) -> int:
        """What the user may, whatever the token."""
        return max(self._at_owner(caller, repo.owner), self._granted(caller, repo))

    def _at_owner(self, caller: Caller, owner: str) -> int:
        if caller.name.lower() == owner.lower():
            return ADMIN
        role = self._database.value(
            "SELECT role FROM members JOIN owners ON owners.id = members.org"
            " WHERE owners.name = ? AND members.user = ?",
            owner,
            caller.id,
        )
        return LEVELS[role or ""]

    def _granted(self, caller: Caller, repo: Repo) -> int:
        role = self._database.value(
            "SELECT role FROM grants WHERE repo = ? AND user = ?", repo.id, caller.id
        )
        return LEVELS[role or ""]


def visible(caller: Caller | None, *, open_to_all: bool = True) -> tuple[str, list[object]]:
    """The SQL condition, and its values, for repos that a caller may see in a list."""
    if caller is None:
        return ("visibility = 'public'" if open_to_all else "0"), []
    if caller.role == "fine":
        scopes = [scope.lower() for scope in caller.scopes]
        marks = ", ".join("?" * len(scopes))
        listed = f"lower(owners.name || '/' || repos.name) IN ({marks})"
        whole = f"lower(owners.name || '/*') IN ({marks})"
        mine, values = _mine(caller)
        return f"(visibility = 'public' OR (({listed} OR {whole}) AND {mine}))", [
            *scopes,
            *scopes,
            *values,
        ]
    mine, values = _mine(caller)
    return f"(visibility = 'public' OR {mine})", values


def _mine(caller: Caller) -> tuple[str, list[object]]:
    return (
        "(repos.owner = ? OR repos.owner IN (SELECT org FROM members WHERE user = ?)"
        " OR repos.id IN (SELECT repo FROM grants WHERE user = ?))"
    ), [caller.id] * 3


def _cap(caller: Caller, owner: str, name: str) -> int:
    """What the token lets its user do there."""
    if caller.role != "fine":
        return READ if caller.role == "read" else ADMIN
    wanted = {f"{owner}/{name}".lower(), f"{owner}/*".lower()}
    return max(
        (LEVELS[level] for scope, level in caller.scopes.items() if scope.lower() in wanted),
        default=NONE,
    )
