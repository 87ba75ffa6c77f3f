"""Commits through the API: what is to be sent how, and then all changes at once."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct
from starlette.background import BackgroundTask
from starlette.responses import Response

from envhub.hubs.lfs import Pointer
from envhub.server import bodies, tidying
from envhub.server.access import WRITE
from envhub.server.attributes import is_ignored, is_lfs
from envhub.server.blobs import SHA256
from envhub.server.call import Call, reply, route
from envhub.server.commits import ATTRIBUTES, Change, Delete, Draft, Write
from envhub.server.landing import land
from envhub.server.names import check_path, check_ref
from envhub.server.refusals import Refusal, bad
from envhub.server.repos import Repo
from envhub.server.routes.patterns import API, REVISION
from envhub.server.threads import in_thread

MOST_FILES = 10_000


class Sample(Struct):
    """A file that is to be uploaded: its path, size, and first bytes."""

    path: str
    size: int = 0


class Preupload(Struct, rename="camel"):
    """Files that are to be uploaded."""

    files: list[Sample]
    git_ignore: str = ""


class Line(Struct):
    """A line of a commit."""

    key: str
    value: msgspec.Raw


class Header(Struct, rename="camel"):
    """What the commit is about."""

    summary: str
    description: str = ""
    parent_commit: str | None = None


class File(Struct):
    """A line's file, folder or blob."""

    path: str
    content: str = ""
    encoding: str = "base64"
    algo: str = "sha256"
    oid: str = ""
    size: int | None = None


_LINE = msgspec.json.Decoder(Line)


def preupload(call: Call) -> Response:
    """Which files belong in git and which beside it, and which are there already."""
    _refuse_pull_requests(call)
    repo = call.repo(WRITE)
    wanted = call.json(Preupload)
    git = call.hub.repos.git(repo)
    head = git.find(call.words["revision"])
    attributes = git.text(head, ATTRIBUTES) if head else ""
    answers = []
    for file in wanted.files[:MOST_FILES]:
        check_path(file.path)
        large = file.size > call.hub.config.lfs_over or is_lfs(attributes, file.path)
        answer: dict[str, Any] = {
            "path": file.path,
            "uploadMode": "lfs" if large and file.size else "regular",
            "shouldIgnore": is_ignored(wanted.git_ignore, file.path),
        }
        there = git.entry(head, file.path) if head else None
        if there and there.kind == "file":
            answer["oid"] = there.lfs.oid if there.lfs else there.oid
        answers.append(answer)
    return reply({"files": answers})


async def commit(call: Call) -> Response:
    """Read the lines as they come, then commit them all."""
    _refuse_pull_requests(call)
    repo = await in_thread(call.repo, WRITE)
    reader = Reader(call, repo)
    await bodies.pour(call.request, reader.feed)
    reader.end()
    return await in_thread(_commit, call, repo, reader)


class Reader:
    """Takes a commit apart, line by line, while it arrives.

    Parts of a line are put together once, when it is complete: a line may be long.
    """

    def __init__(self, call: Call, repo: Repo) -> None:
        self.draft: Draft | None = None
        self._call = call
        self._repo = repo
        self._parts: list[bytes] = []
        self._size = 0
        self._changes: list[Change | File] = []

    def feed(self, part: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refusal: 400 for a line that makes no sense; 413 for too many bytes.
        """
        self._size += len(part)
        if self._size > self._call.hub.config.max_commit * 4 // 3 + 1_000_000:
            raise Refusal(413, f"a commit has at most {self._call.hub.config.max_commit} bytes")
        *lines, rest = part.split(b"\n")
        for line in lines:
            self._line(b"".join([*self._parts, line]))
            self._parts = []
        self._parts.append(rest)

    def end(self) -> None:
        """There are no more bytes."""
        self._line(b"".join(self._parts))

    def changes(self) -> list[Change]:
        """All changes; blobs are linked to the repo, as far as the caller may.

        Raises:
            Refusal: 400, a blob was not uploaded.
        """
        return [self._linked(each) if isinstance(each, File) else each for each in self._changes]

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            parsed = _LINE.decode(line)
            if parsed.key == "header":
                head = msgspec.json.decode(parsed.value, type=Header)
                self.draft = Draft(head.summary, head.description, head.parent_commit)
            else:
                file = msgspec.json.decode(parsed.value, type=File)
                self._changes.append(_change(parsed.key, file))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise bad(f"a line of the commit makes no sense: {error}") from error

    def _linked(self, file: File) -> Write:
        if file.algo != "sha256" or not SHA256.fullmatch(file.oid):
            raise bad(f"{file.path} is named by something else than a SHA-256")
        size = self._call.hub.holdings.claim(self._call.caller, self._repo, file.oid)
        if size is None or file.size not in {None, size}:
            raise bad(f"the bytes of {file.path} were not uploaded: {file.oid}")
        return Write(file.path, Pointer(file.oid, size))


def _change(key: str, file: File) -> Change | File:
    check_path(file.path.rstrip("/") if key == "deletedFolder" else file.path)
    match key:
        case "file":
            return Write(file.path, _content(file))
        case "lfsFile":
            return file
        case "deletedFile" | "deletedFolder":
            return Delete(file.path, folder=key == "deletedFolder")
    raise bad(f"a commit has no {key!r}")


def _content(file: File) -> bytes:
    if file.encoding != "base64":
        return file.content.encode()
    try:
        return base64.b64decode(file.content, validate=True)
    except binascii.Error as error:
        raise bad(f"the content of {file.path} is no base64") from error


def _commit(call: Call, repo: Repo, reader: Reader) -> Response:
    if reader.draft is None:
        raise bad("the commit has no header")
    branch = call.words["revision"].removeprefix("refs/heads/")
    check_ref(branch, "branch")
    reader.draft.changes = reader.changes()
    made = land(call.hub, repo, branch, reader.draft, call.author)
    response = reply(
        {
            "success": True,
            "commitOid": made,
            "commitUrl": f"{call.base}{repo.page}/commit/{made}",
            "hookOutput": "",
        }
    )
    response.background = BackgroundTask(tidying.pack_if_scattered, call.hub.repos, repo)
    return response


def _refuse_pull_requests(call: Call) -> None:
    if call.flag("create_pr"):
        raise Refusal(501, "This hub has no pull requests: commit to a branch of your own instead")


def discussions(call: Call) -> Response:
    """There are none, and none can be opened."""
    call.repo()
    if call.request.method == "GET":
        return reply({"discussions": [], "count": 0, "start": 0, "numClosedDiscussions": 0})
    raise Refusal(501, "This hub has no discussions and no pull requests")


ROUTES = [
    route("POST", rf"{API}/preupload/{REVISION}", preupload),
    route("POST", rf"{API}/commit/{REVISION}", commit),
    route("GET POST", rf"{API}/discussions", discussions),
]
