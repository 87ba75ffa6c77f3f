"""Git's own protocol; pushes are looked at before git sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pygit2
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from envhub.server import bodies, pushes, tidying
from envhub.server.access import READ, WRITE
from envhub.server.call import Call, route
from envhub.server.gitrepo import KEEP
from envhub.server.pushes import Push
from envhub.server.refusals import Refusal, forbidden
from envhub.server.repos import Repo
from envhub.server.routes.lfs import git_repo
from envhub.server.routes.patterns import SITE
from envhub.server.threads import in_thread
from envhub.server.transport import Backend

_MAX_FETCH = 50_000_000
_READ_ERRORS = (KeyError, ValueError, pygit2.GitError)


def advertise(call: Call) -> Response:
    """What a client can fetch, or where it can push."""
    service = call.arg("service")
    if service not in {"git-upload-pack", "git-receive-pack"}:
        raise forbidden("this hub speaks git's smart protocol only")
    repo = git_repo(call, WRITE if service == "git-receive-pack" else READ)
    return _streamed(call, repo, "info/refs", None)


async def upload_pack(call: Call) -> Response:
    """Send what a client lacks."""
    repo = await in_thread(git_repo, call)
    with ExitStack() as stack:
        path = await _spooled(call, stack, _MAX_FETCH)
        response = await in_thread(_streamed, call, repo, "git-upload-pack", path)
        response.background = BackgroundTask(stack.pop_all().close)
        return response


async def receive_pack(call: Call) -> Response:
    """Take a push."""
    repo = await in_thread(git_repo, call, WRITE)
    with ExitStack() as stack:
        path = await _spooled(call, stack, call.hub.config.max_push)
        return await in_thread(_pushed, call, repo, path)


async def _spooled(call: Call, stack: ExitStack, limit: int) -> Path:
    """The body, in a file until the stack is closed."""
    spool = stack.enter_context(call.hub.spool(limit))
    await bodies.pour(call.request, spool.write)
    return spool.written()


def _pushed(call: Call, repo: Repo, path: Path) -> Response:
    """Let git take the push, if it does nothing that must not be done; then bring all up to date.

    Commits that a ref is about to leave are held on to first: whatever happens then, they stay.
    """
    hub = call.hub
    size = path.stat().st_size
    hub.holdings.check_quota(repo, size)
    encoded = call.request.headers.get("content-encoding", "")
    push = Push.read(path, gzipped="gzip" in encoded)
    refused = pushes.refusals(push, immutable_tags=hub.config.immutable_tags)
    if refused:
        return Response(push.report(refused), headers=_kind("git-receive-pack-result"))
    before = hub.repos.git(repo)
    left = [each.old for each in push.commands if before.git.get(each.old) is not None]
    for commit in left:
        before.keep(commit)
    backend = Backend(hub.repos.folder(repo), call.request, call.user.name)
    status, headers, body = backend.run("git-receive-pack", path)
    _drop_kept(call, repo, left)
    hub.database.change("UPDATE repos SET git_bytes = git_bytes + ? WHERE id = ?", size, repo.id)
    hub.index.update(repo)
    moved = [before.find(each.ref) for each in push.commands]
    hub.jobs.add(repo, [commit for commit in moved if commit])
    task = BackgroundTask(tidying.pack_if_scattered, hub.repos, repo)
    return Response(body, status, headers, background=task)


def _drop_kept(call: Call, repo: Repo, commits: list[str]) -> None:
    """Let go of what a branch or tag still leads to."""
    git = call.hub.repos.git(repo)
    heads = set(git.refs().values())
    for commit in commits:
        try:
            needless = any(git.contains(head, commit) for head in heads)
        except _READ_ERRORS:
            continue  # a tag's own object, which is no commit
        if needless:
            git.git.references.delete(f"{KEEP}{commit}")


def _streamed(call: Call, repo: Repo, service: str, body: Path | None) -> Response:
    name = call.caller.name if call.caller else ""
    backend = Backend(call.hub.repos.folder(repo), call.request, name)
    stack = ExitStack()
    try:
        status, headers, output = stack.enter_context(backend.start(service, body))
    except BaseException:
        stack.close()
        raise
    return StreamingResponse(_pieces(stack, output), status, headers)


def _pieces(stack: ExitStack, output: IO[bytes]) -> Iterator[bytes]:
    with stack:
        while piece := output.read1(1 << 18):  # type: ignore[attr-defined]  # a pipe is buffered
            yield piece


def _kind(name: str) -> dict[str, str]:
    return {"Content-Type": f"application/x-{name}", "Cache-Control": "no-cache"}


def dumb(_: Call) -> Response:
    """The old protocol reads files of the git directory; those stay closed."""
    raise Refusal(403, "this hub speaks git's smart protocol only")


ROUTES = [
    route("GET", rf"{SITE}(?:\.git)?/info/refs", advertise),
    route("POST", rf"{SITE}(?:\.git)?/git-upload-pack", upload_pack),
    route("POST", rf"{SITE}(?:\.git)?/git-receive-pack", receive_pack),
    route("GET", rf"{SITE}(?:\.git)?/(?:HEAD|objects/.*)", dumb),
]
