"""What repos say of themselves, kept so that it can be searched: cards, tags, words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import yaml

from envhub.server.about import GROUPS
from envhub.server.abouts import Abouts
from envhub.server.accounts import Caller
from envhub.server.database import Database
from envhub.server.repos import Repo, Repos
from envhub.server.searching import ORDERS as ORDERS
from envhub.server.searching import Counts, Search
from envhub.server.searching import Query as Query

MAX_CARD, MAX_WORDS, MAX_TAGS = 64_000, 20_000, 200

FRONT = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a repo is found by.

    Attributes:
        name: `owner/name`.
        tags: of its card, and what the hub found.
        body: the words of its README.
    """

    name: str
    tags: list[str]
    body: str


class Index:
    """The searchable side of a hub.

    Args:
        database: where it is kept.
        repos: what is in it.
        abouts: what is known of their envs.
        open_to_all: whether callers without a token see public repos.
    """

    def __init__(
        self, database: Database, repos: Repos, abouts: Abouts, *, open_to_all: bool = True
    ) -> None:
        self._database = database
        self._repos = repos
        self._abouts = abouts
        self._search = Search(database, repos, open_to_all=open_to_all)

    def update(self, repo: Repo, *, force: bool = False) -> None:
        """Read a repo again if its `main` has moved since it was read last."""
        git = self._repos.git(repo)
        head = git.find("refs/heads/main") or ""
        if head == repo.head and not force:
            return
        readme = git.text(head, "README.md") if head else ""
        modified = next(git.log(head, limit=1)).date.timestamp() if head else repo.modified
        card = front_matter(readme)
        about = self._abouts.find(repo.id, head)
        tags = list(dict.fromkeys([*tags_of(card), *(about.facets if about else ())]))
        n_tasks = about.n_tasks if about else 0
        body = FRONT.sub("", readme, count=1)[:MAX_WORDS]
        with self._database.write() as connection:
            connection.execute(
                "UPDATE repos SET head = ?, card = ?, modified = ?, n_tasks = ? WHERE id = ?",
                (head, json.dumps(card, default=str), modified, n_tasks, repo.id),
            )
            put(connection, repo.id, Entry(repo.full_name, tags, body), moved=head != repo.head)

    def search(self, caller: Caller | None, query: Query) -> tuple[list[Repo], str]:
        """A page of repos that the caller may see, and the cursor of the next (or nothing)."""
        return self._search.page(caller, query)

    def facets(self, caller: Caller | None, query: Query) -> Counts:
        """How many of the repos that match have which facet, by group and value."""
        return self._search.facets(caller, query, GROUPS)


def put(connection: Connection, repo: int, entry: Entry, *, moved: bool) -> None:
    """Let a repo be found by an entry, and by it alone.

    Args:
        connection: in a transaction.
        repo: its id.
        entry: what it is found by from now on.
        moved: whether it has changed, so that it is the last that did.
    """
    row = connection.execute("SELECT serial FROM repos WHERE id = ?", (repo,)).fetchone()
    if row is None:  # it was deleted meanwhile
        return
    serial = row[0]
    for table, column in (("tags", "serial"), ("names", "rowid"), ("words", "rowid")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (serial,))  # noqa: S608 - names of ours
    if moved:
        (serial,) = connection.execute("SELECT max(serial) + 1 FROM repos").fetchone()
        connection.execute("UPDATE repos SET serial = ? WHERE id = ?", (serial, repo))
    connection.execute("INSERT INTO names (rowid, name) VALUES (?, ?)", (serial, entry.name))
    connection.execute(
        "INSERT INTO words (rowid, name, tags, body) VALUES (?, ?, ?, ?)",
        (serial, entry.name, " ".join(entry.tags), entry.body),
    )
    pairs = [(tag, serial) for tag in entry.tags]
    connection.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", pairs)


def front_matter(readme: str) -> dict[str, Any]:
    """The card of a README; empty if it has none, or one that is no YAML mapping."""
    found = FRONT.match(readme)
    if not found or len(found[1]) > MAX_CARD:
        return {}
    if re.search(r"[\s\[{,:-][&*][\w]", found[1]):  # aliases let a small card grow without end
        return {}
    try:
        card = yaml.load(found[1], getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return {str(key): value for key, value in card.items()} if isinstance(card, dict) else {}


def tags_of(card: dict[str, Any]) -> list[str]:
    """The tags of a card, with those that the Hub makes from other fields."""
    tags = [str(tag) for tag in _listed(card.get("tags"))]
    tags += [str(card[key]) for key in ("library_name", "pipeline_tag") if card.get(key)]
    tags += [f"license:{name}" for name in _listed(card.get("license"))]
    tags += [str(name) for name in _listed(card.get("language"))]
    tags += [f"dataset:{name}" for name in _listed(card.get("datasets"))]
    return list(dict.fromkeys(tag[:100] for tag in tags))[:MAX_TAGS]


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [each for each in value if isinstance(each, (str, int, float))]
    return [value] if isinstance(value, (str, int, float)) else []
