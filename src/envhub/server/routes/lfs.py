"""Git LFS: which files are to go where, and their bytes, by addresses that carry their own pass."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from starlette.responses import Response

from envhub.hubs.lfs import Pointer
from envhub.server import bodies
from envhub.server.access import READ, WRITE
from envhub.server.blobs import ADDRESS_SECONDS, SHA256
from envhub.server.call import Call, reply, route
from envhub.server.refusals import Refusal, bad
from envhub.server.repos import Repo
from envhub.server.routes import files
from envhub.server.routes.patterns import SITE
from envhub.server.threads import in_thread

KIND = "application/vnd.git-lfs+json"
MOST = 10_000


class Object(Struct):
    """A file by its SHA-256."""

    oid: str
    size: int


class Batch(Struct):
    """Files that are to be sent or fetched."""

    operation: str
    objects: list[Object]
    transfers: list[str] = []
    hash_algo: str = "sha256"


def batch(call: Call) -> Response:
    """Where each file is to be sent, or can be had."""
    wanted = call.json(Batch)
    if wanted.operation not in {"upload", "download"} or wanted.hash_algo != "sha256":
        raise bad("batches upload or download files by their SHA-256")
    if len(wanted.objects) > MOST:
        raise bad(f"a batch has at most {MOST} files")
    repo = git_repo(call, WRITE if wanted.operation == "upload" else READ)
    if wanted.operation == "upload":
        call.hub.holdings.check_quota(repo, 0)
    answer = _upload if wanted.operation == "upload" else _download
    objects = [_answer(answer, call, repo, each) for each in wanted.objects]
    return reply({"transfer": "basic", "objects": objects}, Content_Type=KIND)


def git_repo(call: Call, level: int = READ) -> Repo:
    """The repo, for git clients: they send a token only after a 401 that asks for it.

    Raises:
        Refusal: 401 that asks for a token; 403 or 404 if the token does not help.
    """
    try:
        repo = call.repo(level)
        call.check_gate(repo)
    except Refusal as refusal:
        ask = {"WWW_Authenticate": 'Basic realm="envhub"'} if call.caller is None else {}
        raise Refusal(refusal.status, refusal.message, refusal.code, **ask) from refusal
    return repo


def _answer(answer: Any, call: Call, repo: Repo, wanted: Object) -> dict[str, Any]:
    known: dict[str, Any] = {"oid": wanted.oid, "size": wanted.size}
    if not SHA256.fullmatch(wanted.oid) or wanted.size < 0:
        return known | {"error": {"code": 422, "message": "this is no SHA-256 and size"}}
    found: dict[str, Any] = answer(call, repo, wanted)
    return known | found


def _upload(call: Call, repo: Repo, wanted: Object) -> dict[str, Any]:
    if call.hub.holdings.claim(call.caller, repo, wanted.oid) == wanted.size:
        return {}
    if wanted.size > call.hub.config.max_file:
        most = call.hub.config.max_file
        return {"error": {"code": 413, "message": f"a file has at most {most} bytes"}}
    href = _address(call, repo, wanted, "upload")
    verify = f"{call.base}{repo.page}.git/info/lfs/verify"
    auth = call.request.headers.get("authorization", "")
    return {
        "actions": {
            "upload": {"href": href, "expires_in": int(ADDRESS_SECONDS)},
            "verify": {"href": verify, "header": {"Authorization": auth}},
        }
    }


def _download(call: Call, repo: Repo, wanted: Object) -> dict[str, Any]:
    held = call.hub.holdings.size(repo, wanted.oid) is not None
    if not held and not call.hub.mirror:
        return {"error": {"code": 404, "message": "this repo has no such file"}}
    href = (held and call.hub.blobs.address(wanted.oid)) or _address(call, repo, wanted, "download")
    return {"actions": {"download": {"href": href, "expires_in": int(ADDRESS_SECONDS)}}}


def _address(call: Call, repo: Repo, wanted: Object, way: str) -> str:
    pass_ = call.hub.signer.sign(
        f"lfs {way}", ADDRESS_SECONDS, repo=repo.key, oid=wanted.oid, size=wanted.size
    )
    return f"{call.base}/api/blobs/{pass_}"


def verify(call: Call) -> Response:
    """Whether a file has arrived."""
    wanted = call.json(Object)
    if call.hub.holdings.size(git_repo(call, WRITE), wanted.oid) != wanted.size:
        raise Refusal(404, f"{wanted.oid} has not arrived")
    return reply({}, Content_Type=KIND)


def download(call: Call) -> Response:
    """The bytes for a pass."""
    fields = call.hub.signer.open("lfs download", call.words["pass"])
    pointer = Pointer(fields["oid"], fields["size"])
    headers = {"ETag": f'"{fields["oid"]}"', "Content-Type": "application/octet-stream"}
    return files.blob(call, _passed(call, fields), pointer, headers)


async def upload(call: Call) -> Response:
    """Take the bytes that a pass is for, and only those."""
    fields = call.hub.signer.open("lfs upload", call.words["pass"])
    repo = await in_thread(_passed, call, fields)
    await in_thread(call.hub.holdings.check_quota, repo, fields["size"])
    with call.hub.intake(fields["size"]) as intake:
        await bodies.pour(call.request, intake.write)
        await in_thread(intake.keep, call.hub.blobs, fields["oid"], fields["size"])
    await in_thread(call.hub.holdings.add, repo, fields["oid"], fields["size"])
    return Response()


def _passed(call: Call, fields: dict[str, Any]) -> Repo:
    repo = call.hub.repos.by_key(fields["repo"])
    if repo is None:
        raise Refusal(404, "the repo is gone")
    return repo


ROUTES = [
    route("POST", rf"{SITE}(?:\.git)?/info/lfs/objects/batch", batch),
    route("POST", rf"{SITE}(?:\.git)?/info/lfs/verify", verify),
    route("GET HEAD", r"/api/blobs/(?P<pass>[\w.-]+)", download, open=True),
    route("PUT", r"/api/blobs/(?P<pass>[\w.-]+)", upload, open=True),
]
