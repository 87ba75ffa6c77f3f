"""Search finds exactly what matches, in order, page by page, and looks at few repos for it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envhub.server import searching
from envhub.server.config import Config
from envhub.server.database import SCHEMAS
from envhub.server.hub import Hub
from envhub.server.index import Entry, Query, put
from envhub.server.refusals import Refusal
from envhub.server.repos import Repo
from envhub.server.searching import COUNTED, STEPS

WORDS = ["pole", "pick", "place", "walk", "Env", "go", "fly-er"]
TAGS = ["envhub", "action:discrete", "action:continuous", "license:mit", "a b", "++"]
OWNERS = ["ada", "lab-7"]


class Library:
    """Repos that were put into the index without any files, and what each of them is."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.entries: dict[str, tuple[Entry, int, str]] = {}
        self.owners = {name: hub.accounts.add(name) for name in OWNERS}

    def add(
        self, name: str, tags: list[str], body: str, *, owner: str = "ada", n_tasks: int = 0
    ) -> None:
        """A repo that is the last that changed."""
        number = len(self.entries) + 1
        entry = Entry(f"{owner}/{name}", tags, body)
        with self.hub.database.write() as connection:
            made = connection.execute(
                "INSERT INTO repos (key, kind, owner, name, visibility, cas, created, modified,"
                " serial, n_tasks, downloads)"
                " VALUES (?, 'model', ?, ?, 'public', ?, 0, 0, ?, ?, ?)",
                (f"k{number}", self.owners[owner], name, f"c{number}", number, n_tasks, number % 7),
            ).lastrowid
            put(connection, made or 0, entry, moved=False)
        self.entries[entry.name] = (entry, n_tasks, owner)

    def expected(self, query: Query) -> list[str]:
        """The names that match, the last changed first, found the slow way."""
        found = [name for name, known in self.entries.items() if _matches(query, *known)]
        return found if query.ascending else found[::-1]

    def pages(self, query: Query) -> Iterator[list[Repo]]:
        """All pages of a search."""
        while True:
            page, cursor = self.hub.index.search(None, query)
            yield page
            if not cursor:
                return
            query = replace(query, cursor=cursor)

    def found(self, query: Query) -> list[str]:
        """The names of all pages."""
        return [repo.full_name for page in self.pages(query) for repo in page]


def _matches(query: Query, entry: Entry, n_tasks: int, owner: str) -> bool:
    tasks = {"tasks:>2": n_tasks > 2, "tasks:<=2": 0 < n_tasks <= 2, "tasks:3": n_tasks == 3}
    tagged = all(tasks.get(tag, tag in entry.tags) for tag in query.tags)
    mine = query.author.lower() in {"", owner.lower()}
    return tagged and mine and (not query.words or _speaks(query.words.lower(), entry))


def _speaks(text: str, entry: Entry) -> bool:
    """Whether the name has the text, or all has its words; the last may be a beginning."""
    if len(text) >= 3 and text in entry.name.lower():
        return True
    *words, last = re.findall(r"[^\W_]+", text) or [""]
    said = " ".join([entry.name, *entry.tags, entry.body]).lower()
    known = re.findall(r"[^\W_]+", said)
    ends = any(word.startswith(last) if len(last) >= 3 else word == last for word in known)
    return bool(last) and ends and all(word in known for word in words)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty one."""
    with closing(Hub(tmp_path / "hub", Config(durable=False))) as hub:
        yield Library(hub)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """One with 300 repos that differ in all that can be asked for."""
    with closing(Hub(tmp_path_factory.mktemp("shelf"), Config(durable=False))) as hub:
        made = Library(hub)
        for number in range(300):
            word = WORDS[number % len(WORDS)]
            tags = [tag for bit, tag in enumerate(TAGS) if number >> bit & 1]
            body = " ".join(WORDS[(number // step) % len(WORDS)] for step in (2, 3, 5))
            owner = OWNERS[number % 3 == 0]
            made.add(f"{word}-{number}", tags, body, owner=owner, n_tasks=number % 5)
        yield made


queries = st.builds(
    Query,
    kind=st.just("model"),
    words=st.sampled_from(["", *WORDS, "pole-1", "ol", "pic", "walk pla", "a/fly", "!!", "zzz"]),
    author=st.sampled_from(["", *OWNERS, "ADA", "nobody"]),
    tags=st.lists(
        st.sampled_from([*TAGS, "tasks:>2", "tasks:<=2", "tasks:3", "none"]), max_size=3
    ).map(tuple),
    ascending=st.booleans(),
    limit=st.sampled_from([7, 100]),
)


@pytest.mark.parametrize(("steps", "handful"), [(STEPS, 500), (40, 5)])
def test_search_finds_what_matches(
    shelf: Library, monkeypatch: pytest.MonkeyPatch, steps: int, handful: int
) -> None:
    """All pages together are what matches, in order; also where each page may look at little."""
    monkeypatch.setattr(searching, "STEPS", steps)
    monkeypatch.setattr(searching, "_HANDFUL", handful)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(queries)
    def check(query: Query) -> None:
        assert shelf.found(query) == shelf.expected(query)
        assert all(len(page) <= query.limit for page in shelf.pages(query))

    check()


@settings(max_examples=60, deadline=None)
@given(queries, st.sampled_from(["downloads", "likes", "createdAt", "trendingScore"]))
def test_other_orders(shelf: Library, query: Query, order: str) -> None:
    """In another order the same are found, each once."""
    query = replace(query, order=order)
    found = [repo for page in shelf.pages(query) for repo in page]
    assert sorted(repo.full_name for repo in found) == sorted(shelf.expected(query))
    if order == "downloads":
        counts = [repo.downloads for repo in found]
        assert counts == sorted(counts, reverse=not query.ascending)


def test_bounded(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of what nobody has together ends early, and the next ones go on; none is lost."""
    monkeypatch.setattr(searching, "STEPS", 10)
    for number in range(60):
        library.add(f"env-{number}", ["odd" if number % 2 else "even", "all"], "")
    library.add("env-both", ["odd", "even", "all"], "")
    for number in range(60):
        library.add(f"late-{number}", ["odd" if number % 2 else "even", "all"], "")
    pages = list(library.pages(Query("model", tags=("odd", "even"), limit=2)))
    assert len(pages) > 5
    assert [repo.name for page in pages for repo in page] == ["env-both"]


@pytest.mark.parametrize("order", ["lastModified", "downloads"])
@pytest.mark.parametrize(
    "cursor", ["x", "e30=", "W10=", "WzFlOTk5XQ==", "WzEsMiwzXQ==", "WyJhIl0=", "Wy05ZTMwXQ=="]
)
def test_wrong_cursors(shelf: Library, order: str, cursor: str) -> None:
    """A cursor that is none is refused."""
    with pytest.raises(Refusal, match="is no cursor of this hub"):
        shelf.hub.index.search(None, Query("model", order=order, cursor=cursor))


def test_facets(shelf: Library) -> None:
    """Facets are counted among what matches, by group."""
    query = Query("model", words="pole", tags=("envhub",))
    names = set(shelf.expected(query))
    discrete = [name for name in names if "action:discrete" in shelf.entries[name][0].tags]
    counts = shelf.hub.index.facets(None, query)
    assert counts["action"]["discrete"] == len(discrete)
    assert set(counts) == {"action", "license"}
    assert len(names) < COUNTED


def test_change_and_delete(library: Library) -> None:
    """A repo that changes goes to the front with its new words; one that is deleted is gone."""
    for name in ("one", "two"):
        library.add(name, ["t"], "red")
    repos = {repo.name: repo for repo in library.hub.index.search(None, Query("model"))[0]}
    with library.hub.database.write() as connection:
        put(connection, repos["one"].id, Entry("ada/one", ["u"], "blue"), moved=True)
        put(connection, 999, Entry("ada/none", ["u"], "blue"), moved=True)
    assert library.found(Query("model")) == ["ada/one", "ada/two"]
    assert library.found(Query("model", words="blue")) == ["ada/one"]
    assert library.found(Query("model", words="red")) == ["ada/two"]
    assert library.found(Query("model", tags=("u",))) == ["ada/one"]
    library.hub.database.change("DELETE FROM repos WHERE name = 'one'")
    for table in ("names", "words", "tags"):
        assert library.hub.database.value(f"SELECT count(*) FROM {table}") == 1


def test_older_database(tmp_path: Path) -> None:
    """What a hub of the version before has indexed is found as before, the last changed first."""
    folder = tmp_path / "hub"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "hub.sqlite3")) as connection:
        for schema in SCHEMAS[:2]:
            connection.executescript(schema)
        connection.execute("PRAGMA user_version = 2")
        connection.execute("INSERT INTO owners VALUES (1, 'ada', 'user', 'Ada', '', 0)")
        for number, name in enumerate(["late", "early"]):
            connection.execute(
                "INSERT INTO repos (key, kind, owner, name, visibility, cas, created, modified)"
                " VALUES (?, 'model', 1, ?, 'public', ?, 0, ?)",
                (f"k{number}", name, f"c{number}", -number),
            )
            connection.execute("INSERT INTO tags VALUES ('t', ?)", (number + 1,))
            connection.execute("INSERT INTO names (rowid, name) VALUES (?, ?)", (number + 1, name))
            words = "INSERT INTO words (rowid, name, tags, body) VALUES (?, ?, 't', 'balance')"
            connection.execute(words, (number + 1, name))
        connection.commit()
    with closing(Hub(folder, Config(durable=False))) as hub:
        for query in (Query("model", tags=("t",)), Query("model", words="balance")):
            assert [repo.name for repo in hub.index.search(None, query)[0]] == ["late", "early"]
        assert [repo.name for repo in hub.index.search(None, Query("model", words="arl"))[0]] == [
            "early"
        ]
