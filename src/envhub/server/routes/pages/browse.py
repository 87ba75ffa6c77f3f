"""The files of a repo: folders, and what is in a file."""

from __future__ import annotations

from starlette.responses import Response

from envhub.server import html, markdown
from envhub.server.call import Call, route
from envhub.server.gitrepo import Entry, LogEntry
from envhub.server.recent import Recent
from envhub.server.routes.pages.place import Place
from envhub.server.routes.patterns import PATH, REVISION, SITE

MOST, DEPTH, MAX_TEXT = 1000, 200, 400_000
PICTURES = frozenset(["png", "jpg", "jpeg", "gif", "webp", "avif"])
FILMS = frozenset(["mp4", "webm"])

# A commit never changes, and looking through the history for who changed what takes long.
_changes: Recent[tuple[str, str], dict[str, LogEntry]] = Recent(
    20_000, lambda found: len(found) + 1
)


def folder(call: Call) -> Response:
    """What is in a folder, and which commit changed it last."""
    place = Place.of(call)
    path = call.words.get("path", "").strip("/")
    entries = place.children(path)
    shown = entries[:MOST]
    git, commit = place.git, place.commit
    paths = {entry.path for entry in shown}
    return html.shown(
        call,
        "folder",
        place=place,
        view="tree",
        path=path,
        crumbs=crumbs(place, path),
        entries=shown,
        more=len(entries) - len(shown),
        last=_changes.get((commit, path), lambda: git.last_changes(commit, paths, DEPTH)),
    )


def file(call: Call) -> Response:
    """A file: coloured if it is code, as it looks if it is a picture."""
    place = Place.of(call)
    call.check_gate(place.repo)
    entry = place.git.file(place.commit, call.words["path"])
    kind = entry.path.rpartition(".")[2].lower()
    code = _code(place, entry) if kind not in PICTURES | FILMS else ""
    return html.shown(
        call,
        "file",
        place=place,
        view="tree",
        path=entry.path,
        crumbs=crumbs(place, entry.path),
        entry=entry,
        code=code,
        lines=code.count('<span id="L-'),
        look="picture" if kind in PICTURES else "film" if kind in FILMS else "",
        raw=place.raw(entry.path),
    )


def crumbs(place: Place, path: str) -> list[tuple[str, str]]:
    """The folders above a path: name and address."""
    parts = path.split("/") if path else []
    above = ["/".join(parts[: depth + 1]) for depth in range(len(parts) - 1)]
    return [(each.rpartition("/")[2], place.to("tree", each)) for each in above]


def _code(place: Place, entry: Entry) -> str:
    if entry.lfs or entry.size > MAX_TEXT:
        return ""
    return markdown.code(entry.path, entry.oid, lambda: place.git.data(entry.oid))


ROUTES = [
    route("GET HEAD", rf"{SITE}/tree/{REVISION}(?:/{PATH})?", folder, session=True),
    route("GET HEAD", rf"{SITE}/blob/{REVISION}/{PATH}", file, session=True),
]
