"""The first page: what there is, the newest first, or what was searched for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from envhub.server import html, markdown
from envhub.server.call import Call, route
from envhub.server.index import Query, tags_of
from envhub.server.recent import Recent
from envhub.server.repos import Repo

PAGE, TAGS = 24, 4
ORDERS = {"lastModified": "Newest", "downloads": "Most loaded", "createdAt": "Latest addition"}


# By commit, which never changes.
_lines: Recent[str, str] = Recent(20_000)


@dataclass(frozen=True, slots=True)
class Card:
    """What a list shows of a repo.

    Attributes:
        repo: the repo.
        tags: a few of its tags.
        picture: where its preview is, if that is a picture.
        n_tasks: how many tasks it has; 0 if nobody knows.
        line: what it is, in its author's words.
    """

    repo: Repo
    tags: list[str]
    picture: str = ""
    n_tasks: int = 0
    line: str = ""

    @classmethod
    def of(cls, call: Call, repo: Repo) -> Card:
        """The card of a repo, for whoever asks."""
        card = json.loads(repo.card)
        tags = [tag for tag in tags_of(card) if ":" not in tag and tag != "envhub"]
        line = card.get("description")
        if not isinstance(line, str):
            open_to_all = not repo.gated and bool(repo.head)
            line = _lines.get(repo.head, lambda: _line(call, repo)) if open_to_all else ""
        return cls(repo, tags[:TAGS], line=line)


def _line(call: Call, repo: Repo) -> str:
    return markdown.first_words(call.hub.repos.git(repo).text(repo.head, "README.md"))


@dataclass(frozen=True, slots=True)
class Search:
    """What the address of the page asks for; knows the addresses of like searches."""

    words: str
    tags: tuple[str, ...]
    order: str

    @classmethod
    def of(cls, call: Call) -> Search:
        """The search of a request."""
        order = call.arg("sort")
        tags = tuple(dict.fromkeys(tag for tag in call.args("tag")[:10] if tag))
        return cls(call.arg("q").strip()[:200], tags, order if order in ORDERS else "lastModified")

    def address(self, *, tags: tuple[str, ...] | None = None, **more: str) -> str:
        """The page of the same search with other tags, order or cursor."""
        fields = {"q": self.words, "sort": self.order if self.order != "lastModified" else ""}
        given = [(name, text) for name, text in {**fields, **more}.items() if text]
        wanted = self.tags if tags is None else tags
        pairs = [*given[:1], *(("tag", tag) for tag in wanted), *given[1:]]
        return f"/?{urlencode(pairs)}" if pairs else "/"

    def turned(self, tag: str) -> str:
        """The page with a tag switched on, or off if it is on."""
        without = tuple(each for each in self.tags if each != tag)
        return self.address(tags=without if tag in self.tags else (*self.tags, tag))


def home(call: Call) -> Response:
    """What there is."""
    search = Search.of(call)
    query = Query(
        "model",
        words=search.words,
        tags=search.tags,
        order=search.order,
        limit=PAGE,
        cursor=call.arg("cursor"),
    )
    found, cursor = call.hub.index.search(call.caller, query)
    return html.shown(
        call,
        "home",
        words=search.words,
        search=search,
        orders=ORDERS,
        cards=[Card.of(call, repo) for repo in found],
        following=search.address(cursor=cursor) if cursor else "",
        first=not call.arg("cursor"),
        closed=call.caller is None and not call.hub.config.public_repos,
        facets=[],
        base=call.base,
    )


ROUTES = [route("GET HEAD", r"/", home, session=True)]
