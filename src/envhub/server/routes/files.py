"""The bytes of files, whole or in part, with what clients need to cache them."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import AsyncIterator
from io import BufferedReader

from starlette.responses import RedirectResponse, Response, StreamingResponse

from envhub.hubs.lfs import Pointer
from envhub.server.call import Call, route
from envhub.server.gitrepo import Entry
from envhub.server.refusals import Refusal
from envhub.server.repos import Repo
from envhub.server.routes.patterns import PATH, REVISION, SITE
from envhub.server.threads import in_thread

PIECE = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
# A file is a stranger's: a browser must neither run it nor guess what it is.
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-site",
    "Accept-Ranges": "bytes",
}
_PLAIN = re.compile(
    r"text/(?!html|xml|css|.*script)|image/(?!svg)|video/|audio/|application/(json|pdf)$"
)


def resolve(call: Call) -> Response:
    """A file at a revision; LFS files are their real bytes."""
    repo = call.repo()
    git = call.hub.repos.git(repo)
    commit = git.commit(call.words["revision"])
    call.check_gate(repo)
    entry = git.file(commit, call.words["path"])
    headers = {**_SAFE, "X-Repo-Commit": commit, **_tags(entry), **_kind(call, entry)}
    held = not entry.lfs or call.hub.holdings.size(repo, entry.lfs.oid) is not None
    if not held and not call.hub.mirror:
        raise Refusal(404, f"the bytes of {entry.path} were never uploaded", X_Repo_Commit=commit)
    if call.session:
        headers["Cache-Control"] = "private, no-cache"
    if call.request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if call.request.method == "GET":
        call.hub.downloads.add(repo.id, entry.path)
    if entry.lfs:
        # An address is signed for GET; whoever only asks what there is, asks us.
        wanted = held and call.request.method == "GET"
        address = call.hub.blobs.address(entry.lfs.oid) if wanted else None
        if address:
            return RedirectResponse(address, 302, headers)
        return blob(call, repo, entry.lfs, headers)
    low, high, status = _wanted(call, entry.size, headers)
    body = git.data(entry.oid)[low:high] if call.request.method == "GET" else b""
    headers["Content-Length"] = str(high - low)
    return Response(body, status, headers)


def blob(call: Call, repo: Repo, pointer: Pointer, headers: dict[str, str]) -> Response:
    """A blob of a repo, or the part of it that is asked for; a mirror may have to fetch it first.

    Raises:
        Refusal: 404, it is not here; 416, there is no such part.
    """
    hub = call.hub
    low, high, status = _wanted(call, pointer.size, headers)
    headers["Content-Length"] = str(high - low)
    if call.request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if hub.holdings.size(repo, pointer.oid) is not None:
        pieces = _pieces(hub.blobs.open(pointer.oid), low, high)
    elif hub.mirror:
        pieces = hub.mirror.arrival(repo, pointer).pieces(low, high)
    else:
        raise Refusal(404, "the file is gone")
    return StreamingResponse(pieces, status, headers)


def _tags(entry: Entry) -> dict[str, str]:
    if not entry.lfs:
        return {"ETag": f'"{entry.oid}"'}
    tag = f'"{entry.lfs.oid}"'
    return {"ETag": tag, "X-Linked-Etag": tag, "X-Linked-Size": str(entry.size)}


def _kind(call: Call, entry: Entry) -> dict[str, str]:
    guess = mimetypes.guess_type(entry.path)[0] or "application/octet-stream"
    name = re.sub(r"[^\w. -]", "_", entry.path.rpartition("/")[2], flags=re.ASCII)
    way = "attachment" if call.flag("download") or not _PLAIN.match(guess) else "inline"
    kind = guess if _PLAIN.match(guess) else "application/octet-stream"
    if entry.size < PIECE and re.search(r"\.(py|toml|ya?ml|md|cfg|ini|sh|xml|js|css)$", entry.path):
        kind, way = "text/plain; charset=utf-8", "inline"
    return {"Content-Type": kind, "Content-Disposition": f'{way}; filename="{name}"'}


def _wanted(call: Call, size: int, headers: dict[str, str]) -> tuple[int, int, int]:
    """Where the wanted part begins and ends, and the status to say so with."""
    text = call.request.headers.get("range", "")
    match = _RANGE.fullmatch(text)
    stale = call.request.headers.get("if-range", headers["ETag"]) != headers["ETag"]
    if not match or match.groups() == ("", "") or stale:
        return 0, size, 200
    first, last = match.groups()
    if first:
        low, high = int(first), min(int(last or size - 1) + 1, size)
    else:
        low, high = max(size - int(last), 0), size
    if low >= high:
        raise Refusal(416, f"there is no part {text}", Content_Range=f"bytes */{size}")
    headers["Content-Range"] = f"bytes {low}-{high - 1}/{size}"
    return low, high, 206


async def _pieces(file: BufferedReader, low: int, high: int) -> AsyncIterator[bytes]:
    with file:
        file.seek(low)
        while low < high:
            piece = await in_thread(file.read, min(PIECE, high - low))
            if not piece:
                return
            low += len(piece)
            yield piece


ROUTES = [
    route("GET HEAD", rf"{SITE}/(?:resolve|raw)/{REVISION}/{PATH}", resolve, session=True),
]
