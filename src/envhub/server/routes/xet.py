"""Xet uploads: a pass for the repo's own store, then packs of chunks, then what files they make.

The store's address has the repo's `cas` in it. Clients remember by address what they sent, so that
a repo that is made anew, or a hub on an address that was another's, is never asked for old chunks.
"""

from __future__ import annotations

import re
import shutil
import time
from typing import Any

from starlette.responses import Response

from envhub.server import bodies
from envhub.server.access import WRITE
from envhub.server.call import Call, reply, route
from envhub.server.refusals import Refusal, bad
from envhub.server.repos import Repo
from envhub.server.routes.patterns import API, REVISION
from envhub.server.threads import in_thread
from envhub.server.xet import Arriving
from envhub.server.xetformat import MAX_SHARD, MAX_XORB, XetFile, files

PASS_SECONDS = 3600.0
_SLACK = 4 << 20  # heads of chunks, and chunks that compression made longer
_HASH = re.compile(r"[0-9a-f]{64}")


def write_token(call: Call) -> Response:
    """A pass for sending to the repo's store."""
    if call.flag("create_pr"):
        raise Refusal(501, "This hub has no pull requests: commit to a branch of your own instead")
    repo = call.repo(WRITE)
    until = int(time.time() + PASS_SECONDS)
    pass_ = call.hub.signer.sign("xet", PASS_SECONDS, cas=repo.cas, repo=repo.key)
    address = f"{call.base}/xet/{repo.cas}"
    return reply(
        {"accessToken": pass_, "exp": until, "casUrl": address},
        X_Xet_Cas_Url=address,
        X_Xet_Access_Token=pass_,
        X_Xet_Token_Expiration=str(until),
    )


async def xorb(call: Call) -> Response:
    """Take a pack of chunks."""
    if not _HASH.fullmatch(call.words["hash"]):
        raise bad("a xorb is named by 64 hex digits")
    repo = await in_thread(_passed, call)
    with call.hub.spool(MAX_XORB) as spool:
        arriving = Arriving(spool)
        await bodies.pour(call.request, arriving.feed, limit=MAX_XORB + _SLACK)
        new = await in_thread(_add, call, repo, arriving)
    return reply({"was_inserted": new})


def _add(call: Call, repo: Repo, arrived: Arriving) -> bool:
    call.hub.holdings.check_quota(repo, arrived.spool.size)
    return call.hub.xet(repo).add(call.words["hash"], arrived)


async def shard(call: Call) -> Response:
    """Take the word for what files are made of, and make them."""
    repo = await in_thread(_passed, call)
    data = await bodies.whole(call.request, MAX_SHARD)
    await in_thread(_build, call, repo, data)
    return reply({"result": 1})


def _build(call: Call, repo: Repo, data: bytes) -> None:
    for file in files(data):
        try:
            _build_one(call, repo, file)
        except Refusal as refusal:
            if refusal.status == 400:
                # Chunks are not what the client believes: let it forget them, and send them again.
                call.hub.repos.renew_cas(repo)
                shutil.rmtree(call.hub.folder / "xet" / repo.cas, ignore_errors=True)
            raise


def _build_one(call: Call, repo: Repo, file: XetFile) -> None:
    hub = call.hub
    if file.size > hub.config.max_file:
        raise Refusal(413, f"a file has at most {hub.config.max_file} bytes")
    hub.holdings.check_quota(repo, file.size)
    store = hub.xet(repo)
    if hub.holdings.size(repo, file.sha256) == file.size and store.is_settled(file):
        hub.holdings.add(repo, file.sha256, file.size)  # anew, so that no clean-up takes it now
        return
    with hub.intake(file.size) as intake:
        store.build(file, intake)
    hub.holdings.add(repo, file.sha256, file.size)
    store.settle(file)


def _passed(call: Call) -> Repo:
    """The repo that the pass is for."""
    kind, _, pass_ = call.request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise Refusal(401, "sending needs a pass")
    fields: dict[str, Any] = call.hub.signer.open("xet", pass_)
    repo = call.hub.repos.by_key(fields["repo"])
    if repo is None or repo.cas != fields["cas"] or repo.cas != call.words["cas"]:
        raise Refusal(403, "the pass is for another store, or one that is gone")
    return repo


_STORE = r"/xet/(?P<cas>[0-9a-f]{32})"

ROUTES = [
    route("GET", rf"{API}/xet-write-token/{REVISION}", write_token),
    route("POST", rf"{_STORE}/v1/xorbs/default/(?P<hash>[^/]+)", xorb, open=True),
    route("POST", rf"{_STORE}/v1/shards", shard, open=True),
]
