"""What repos say of themselves, kept so that it can be searched: cards, tags, words."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from envhub.server.access import visible
from envhub.server.accounts import Caller
from envhub.server.database import Database
from envhub.server.refusals import bad
from envhub.server.repos import Repo, Repos

MAX_CARD, MAX_WORDS, MAX_TAGS = 64_000, 20_000, 200
ORDERS = {
    "lastModified": "modified",
    "createdAt": "created",
    "downloads": "downloads",
    "likes": "likes",
    "trendingScore": "downloads",
}

FRONT = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)
_FEW = 1000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    Attributes:
        kind: of the repos.
        words: parts of the name, or words of the card.
        author: the owner's name.
        tags: all of which a repo must have.
        gated: whether it must be gated, or must not.
        order: a key of `ORDERS`.
        ascending: the smallest first.
        limit: how many at most.
        cursor: where the last page ended.
    """

    kind: str
    words: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    gated: bool | None = None
    order: str = "lastModified"
    ascending: bool = False
    limit: int = 100
    cursor: str = ""


class Index:
    """The searchable side of a hub.

    Args:
        database: where it is kept.
        repos: what is in it.
        open_to_all: whether callers without a token see public repos.
    """

    def __init__(self, database: Database, repos: Repos, *, open_to_all: bool = True) -> None:
        self._database = database
        self._repos = repos
        self._open_to_all = open_to_all

    def update(self, repo: Repo, *, force: bool = False) -> None:
        """Read a repo again if its `main` has moved since it was read last."""
        git = self._repos.git(repo)
        head = git.find("refs/heads/main") or ""
        if head == repo.head and not force:
            return
        readme = git.text(head, "README.md") if head else ""
        modified = next(git.log(head, limit=1)).date.timestamp() if head else repo.modified
        card = front_matter(readme)
        tags = tags_of(card)
        body = FRONT.sub("", readme, count=1)[:MAX_WORDS]
        with self._database.write() as connection:
            connection.execute(
                "UPDATE repos SET head = ?, card = ?, modified = ? WHERE id = ?",
                (head, json.dumps(card, default=str), modified, repo.id),
            )
            connection.execute("DELETE FROM tags WHERE repo = ?", (repo.id,))
            pairs = [(tag, repo.id) for tag in tags]
            connection.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", pairs)
            for table in ("names", "words"):
                connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (repo.id,))  # noqa: S608 - a name of ours
            name = repo.full_name
            connection.execute("INSERT INTO names (rowid, name) VALUES (?, ?)", (repo.id, name))
            connection.execute(
                "INSERT INTO words (rowid, name, tags, body) VALUES (?, ?, ?, ?)",
                (repo.id, name, " ".join(tags), body),
            )

    def search(self, caller: Caller | None, query: Query) -> tuple[list[Repo], str]:
        """A page of repos that the caller may see, and the cursor of the next (or nothing)."""
        seen, values = visible(caller, open_to_all=self._open_to_all)
        parts: list[tuple[str, Sequence[Any]]] = [
            ("repos.kind = ?", [query.kind]),
            (seen, values),
            *_conditions(query),
            *(self._tagged(tag) for tag in query.tags),
        ]
        column = ORDERS[query.order]
        if query.cursor:
            sign = ">" if query.ascending else "<"
            parts.append((f"(repos.{column}, repos.id) {sign} (?, ?)", _opened(query.cursor)))
        where = " AND ".join(condition for condition, _ in parts)
        way = "ASC" if query.ascending else "DESC"
        found = self._repos.select(
            f"{where} ORDER BY repos.{column} {way}, repos.id {way} LIMIT ?",
            *(value for _, given in parts for value in given),
            query.limit + 1,
        )
        page = found[: query.limit]
        more = len(found) > query.limit
        return page, _cursor(getattr(page[-1], column), page[-1].id) if more else ""

    def _tagged(self, tag: str) -> tuple[str, Sequence[Any]]:
        """A tag that few repos have leads to them; one that most have is looked for in each."""
        few = "SELECT count(*) FROM (SELECT 1 FROM tags WHERE tag = ? LIMIT ?)"
        if self._database.value(few, tag, _FEW) < _FEW:
            return "repos.id IN (SELECT repo FROM tags WHERE tag = ?)", [tag]
        return "EXISTS (SELECT 1 FROM tags WHERE tag = ? AND repo = repos.id)", [tag]


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


def _conditions(query: Query) -> list[tuple[str, Sequence[Any]]]:
    found: list[tuple[str, Sequence[Any]]] = []
    if query.author:
        found.append(("owners.name = ?", [query.author]))
    if query.gated is not None:
        found.append(("repos.gated != ''" if query.gated else "repos.gated = ''", []))
    if query.words:
        found.append(_spoken(query.words))
    return found


def _spoken(text: str) -> tuple[str, Sequence[Any]]:
    """Repos whose name has the text, or that have all of its words."""
    words = " ".join(f'"{word}"*' for word in _WORD.findall(text)[:10])
    cards = "repos.id IN (SELECT rowid FROM words WHERE words MATCH ?)"
    if len(text) < 3:  # a trigram index knows nothing shorter
        name, value = "repos.name LIKE ? ESCAPE '\\'", re.sub(r"([\\%_])", r"\\\1", text) + "%"
    else:
        value = '"' + text.replace('"', '""').replace("\0", "") + '"'
        name = "repos.id IN (SELECT rowid FROM names WHERE names MATCH ?)"
    return (f"({name} OR {cards})", [value, words]) if words else (name, [value])


def _cursor(value: float, number: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, number]).encode()).decode()


def _opened(cursor: str) -> list[Any]:
    try:
        value, number = json.loads(base64.urlsafe_b64decode(cursor))
        return [float(value), int(number)]
    except (ValueError, TypeError) as error:
        raise bad(f"{cursor!r} is no cursor of this hub") from error
