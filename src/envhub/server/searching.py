"""Which repos match a query, page by page: no page costs more than some thousand looks.

Each repo has a serial number that grows with every change in the hub, and everything that can be
searched is kept by it: a walk from the greatest down meets the last changed repos first, and stops
when the page is full. The walk goes over what fewest repos have: a rare tag, an owner, the words,
or else a kind; the rest of the query is tested on each. A walk that was long and found little ends
the page early; the next one goes on from there.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from envhub.server.access import visible
from envhub.server.accounts import Caller
from envhub.server.database import Database
from envhub.server.refusals import bad
from envhub.server.repos import Repo, Repos

Counts = dict[str, dict[str, int]]
"""How many repos there are, by group and value: `{"action": {"discrete": 3}}`."""

ORDERS: Final = {
    "lastModified": "serial",
    "createdAt": "id",
    "downloads": "downloads",
    "likes": "likes",
    "trendingScore": "downloads",
}

STEPS: Final = 2500
"""Repos that one page looks at, at most; what fewer have is walked over whole."""
COUNTED: Final = 1000
"""Repos whose facets are counted, at most."""
_HANDFUL = 500
_WORD = re.compile(r"[^\W_]+")
_TASKS = re.compile(r"tasks:(>=|<=|>|<|=|)(\d{1,9})")
_MOST_WORDS = 10
_SHORTEST = 3  # letters: a trigram index knows nothing shorter, and too much begins with less
_LAST = 10**18


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    Attributes:
        kind: of the repos.
        words: part of the name, or words of the card, the last of which may be a beginning.
        author: the owner's name.
        tags: all of which a repo must have: tags of its card, facets that the hub found, and
            `tasks:>10`.
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


@dataclass(frozen=True, slots=True)
class Clue:
    """A part of a query, as SQL.

    Attributes:
        test: a condition on a repo.
        values: of the test.
        sources: selects of the serials of all repos that pass, each with its value; none, if there
            is only the test.
        phrase: what FTS5 finds in all of them, and perhaps in some more.
    """

    test: str
    values: tuple[Any, ...] = ()
    sources: tuple[tuple[str, Any], ...] = ()
    phrase: str = ""

    def walk(self, ascending: bool, start: int, most: int) -> tuple[str, list[Any]]:
        """SQL for the next serials after `start`."""
        sign, way = (">", "ASC") if ascending else ("<", "DESC")
        selects = [f"{select} AND {select.split()[1]} {sign} ?" for select, _ in self.sources]
        values = [value for _, given in self.sources for value in (given, start)]
        return f"{' UNION '.join(selects)} ORDER BY 1 {way} LIMIT ?", [*values, most]

    def collected(self) -> Clue:
        """The same with a test that collects all that pass: quick, if they are few."""
        selects = " UNION ".join(select for select, _ in self.sources)
        values = tuple(value for _, value in self.sources)
        return Clue(f"repos.serial IN ({selects})", values, self.sources)


class Search:
    """Finds repos.

    Args:
        database: where all is kept.
        repos: what is found.
        open_to_all: whether callers without a token see public repos.
    """

    def __init__(self, database: Database, repos: Repos, *, open_to_all: bool) -> None:
        self._database = database
        self._repos = repos
        self._open_to_all = open_to_all

    def page(self, caller: Caller | None, query: Query) -> tuple[list[Repo], str]:
        """A page of repos that the caller may see, and the cursor of the next (or nothing).

        Raises:
            Refusal: 400, the cursor is none of this hub.
        """
        path, tests = self._plan(caller, query)
        if ORDERS[query.order] != "serial":
            return self._sorted(path, tests, query)
        serials, cursor = self._walked(path, tests, query)
        way = "ASC" if query.ascending else "DESC"
        these = "repos.serial IN (SELECT value FROM json_each(?)) ORDER BY repos.serial"
        return self._repos.select(f"{these} {way}", json.dumps(serials)), cursor

    def facets(self, caller: Caller | None, query: Query, groups: Sequence[str]) -> Counts:
        """How many of the repos that match have which facet: of the last changed, if many match.

        Args:
            caller: who asks.
            query: what is looked for; order, limit and cursor do not matter.
            groups: the beginnings of facets, like `action`.
        """
        path, tests = self._plan(caller, query)
        serials, _ = self._walked(path, tests, replace(query, limit=COUNTED, cursor=""))
        rows = self._database.all(
            "SELECT tag, count(*) AS number FROM tags"
            " WHERE serial IN (SELECT value FROM json_each(?)) AND tag GLOB '*:*'"
            " GROUP BY tag ORDER BY number DESC, tag",
            json.dumps(serials),
        )
        counts: Counts = {group: {} for group in groups}
        for row in rows:
            group, _, value = row["tag"].partition(":")
            if group in counts:
                counts[group][value] = row["number"]
        return {group: values for group, values in counts.items() if values}

    def _plan(self, caller: Caller | None, query: Query) -> tuple[Clue, list[Clue]]:
        """What to walk over, and what to test there."""
        seen, values = visible(caller, open_to_all=self._open_to_all)
        clues = [Clue(seen, tuple(values)), *_clues(query)]
        counts = {clue: self._count(clue, STEPS) for clue in clues if clue.sources}
        rare = min(counts, key=lambda clue: counts[clue])
        is_rare = counts[rare] < STEPS
        path = rare if is_rare else list(counts)[-1]
        if query.words:
            spoken = _spoken(query.words, rare.phrase if is_rare else "")
            clues.append(spoken)
            if not is_rare or self._count(spoken, _HANDFUL) < _HANDFUL:
                path = spoken
        clues.remove(path)
        return path, clues

    def _count(self, clue: Clue, most: int) -> int:
        sql, values = clue.walk(False, _LAST, most)
        return int(self._database.value(f"SELECT count(*) FROM ({sql})", *values))  # noqa: S608 - SQL of ours

    def _walked(self, path: Clue, tests: Sequence[Clue], query: Query) -> tuple[list[int], str]:
        """The serials of a page in their own order."""
        limit = query.limit
        start = _opened(query.cursor, 1)[0] if query.cursor else _LAST * (not query.ascending)
        found: list[int] = []
        looked, step = 0, 2 * limit
        while len(found) <= limit:
            if looked >= STEPS:
                return found, _cursor(start)
            serials = self._column(*path.walk(query.ascending, start, step))
            found += self._tested(serials, tests, query)
            if len(serials) < step:
                break
            looked, start, step = looked + step, serials[-1], min(2 * step, STEPS)
        more = len(found) > limit
        return found[:limit], _cursor(found[limit - 1]) if more else ""

    def _tested(self, serials: Sequence[int], tests: Sequence[Clue], query: Query) -> list[int]:
        """Those of some repos that pass all tests."""
        way = "ASC" if query.ascending else "DESC"
        sql = (
            "SELECT repos.serial FROM repos JOIN owners ON owners.id = owner"  # noqa: S608 - SQL of ours
            " WHERE repos.serial IN (SELECT value FROM json_each(?))"
            f" AND {' AND '.join(clue.test for clue in tests)}"
            f" ORDER BY repos.serial {way} LIMIT ?"
        )
        values = (value for clue in tests for value in clue.values)
        return self._column(sql, [json.dumps(serials), *values, query.limit + 1])

    def _column(self, sql: str, values: Sequence[Any]) -> list[int]:
        return [row[0] for row in self._database.all(sql, *values)]

    def _sorted(self, path: Clue, tests: Sequence[Clue], query: Query) -> tuple[list[Repo], str]:
        """A page in another order."""
        few = self._count(path, STEPS) < STEPS
        clues = [path.collected() if few else path, *tests]
        column, way = ORDERS[query.order], "ASC" if query.ascending else "DESC"
        parts = [clue.test for clue in clues]
        values = [value for clue in clues for value in clue.values]
        if query.cursor:
            parts.append(f"(repos.{column}, repos.id) {'>' if query.ascending else '<'} (?, ?)")
            values += _opened(query.cursor, 2)
        found = self._repos.select(
            f"{' AND '.join(parts)} ORDER BY repos.{column} {way}, repos.id {way} LIMIT ?",
            *values,
            query.limit + 1,
        )
        page, more = found[: query.limit], len(found) > query.limit
        return page, _cursor(getattr(page[-1], column), page[-1].id) if more else ""


def _clues(query: Query) -> Iterator[Clue]:
    """The parts of a query, but its words; what to walk over if all are common comes last."""
    kind = "SELECT serial FROM repos WHERE kind = ?"
    yield Clue("repos.kind = ?", (query.kind,), ((kind, query.kind),))
    if query.gated is not None:
        yield Clue("repos.gated != ''" if query.gated else "repos.gated = ''")
    if query.author:
        owned = "SELECT serial FROM repos WHERE owner = (SELECT id FROM owners WHERE name = ?)"
        phrase = _phrase("name", query.author)
        yield Clue("owners.name = ?", (query.author,), ((owned, query.author),), phrase)
    yield from map(_tagged, query.tags)


def _tagged(tag: str) -> Clue:
    tasks = _TASKS.fullmatch(tag)
    if tasks:
        return Clue(f"repos.n_tasks > 0 AND repos.n_tasks {tasks[1] or '='} ?", (int(tasks[2]),))
    test = "EXISTS (SELECT 1 FROM tags WHERE tag = ? AND serial = repos.serial)"
    source = ("SELECT serial FROM tags WHERE tag = ?", tag)
    return Clue(test, (tag,), (source,), _phrase("tags", tag))


def _spoken(text: str, phrase: str) -> Clue:
    """Repos whose name has the text, or that have all of its words.

    Args:
        text: as somebody typed it.
        phrase: what all repos have that matter; those without are left out where that is easy.
    """
    tests: list[tuple[str, str]] = []
    sources: list[tuple[str, str]] = []
    if len(text) >= _SHORTEST:
        whole = '"' + text.replace('"', '""').replace("\0", "") + '"'
        sources.append(("SELECT rowid FROM names WHERE names MATCH ?", whole))
        tests.append(("instr(lower(owners.name || '/' || repos.name), lower(?)) > 0", text))
    if words := [f'"{word}"' for word in _WORD.findall(text)[:_MOST_WORDS]]:
        if len(words[-1]) - 2 >= _SHORTEST:  # a beginning, perhaps
            words[-1] += "*"
        select = "SELECT rowid FROM words WHERE words MATCH ?"
        every = " AND ".join([*words, *([phrase] if phrase else [])])
        sources.append((select, every))
        tests.append((f"repos.serial IN ({select})", every))
    if not sources:
        return Clue("0", sources=(("SELECT serial FROM repos WHERE serial = ?", 0),))
    test = " OR ".join(test for test, _ in tests)
    return Clue(f"({test})", tuple(value for _, value in tests), tuple(sources))


def _phrase(column: str, text: str) -> str:
    words = " ".join(_WORD.findall(text))
    return f'{column} : "{words}"' if words else ""


def _cursor(*values: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def _opened(cursor: str, length: int) -> list[int]:
    try:
        values = [int(value) for value in json.loads(base64.urlsafe_b64decode(cursor))]
    except (ValueError, TypeError, OverflowError) as error:
        raise bad(f"{cursor!r} is no cursor of this hub") from error
    if len(values) != length or max(map(abs, values)) > _LAST:
        raise bad(f"{cursor!r} is no cursor of this hub")
    return values
