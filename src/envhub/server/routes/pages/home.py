"""The first page: what there is, the newest first, or what was searched for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from envhub.server import html, markdown
from envhub.server.call import Call, route
from envhub.server.index import Query, tags_of
from envhub.server.recent import Recent
from envhub.server.repos import Repo
from envhub.server.routes.pages.sheet import Sheet

PAGE, TAGS, CHOICES = 24, 4, 6
TITLES = {
    "action": "Actions",
    "observation": "Observations",
    "engine": "Engine",
    "python": "Python",
    "license": "Licence",
    "permission": "Asks for",
    "checked": "Checked",
}
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
        sheet = Sheet(call.hub.abouts.block(repo, repo.head) or {})
        picture, is_video = sheet.preview
        shown = "" if is_video or not call.hub.access.may_download(call.caller, repo) else picture
        return cls(repo, tags[:TAGS], shown, sheet.n_tasks, line)


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


@dataclass(frozen=True, slots=True)
class Choice:
    """A word to narrow a search down by."""

    name: str
    count: int
    href: str
    on: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """Words of one kind to narrow a search down by, those that most repos have first."""

    title: str
    choices: list[Choice]

    @classmethod
    def of(cls, search: Search, group: str, counts: Mapping[str, int]) -> Facet:
        """The facet of a group, whose values so many repos have."""
        wanted = [(name, f"{group}:{name}", count) for name, count in counts.items()]
        shown = [each for each in wanted if each[1] in search.tags]
        shown += [each for each in wanted if each not in shown][: CHOICES - len(shown)]
        return cls(
            TITLES.get(group, group.capitalize()),
            [
                Choice(name, count, search.turned(tag), tag in search.tags)
                for name, tag, count in shown
            ],
        )


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
    counts = call.hub.index.facets(call.caller, query)
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
        facets=[Facet.of(search, *group) for group in counts.items()],
        base=call.base,
    )


ROUTES = [route("GET HEAD", r"/", home, session=True)]
