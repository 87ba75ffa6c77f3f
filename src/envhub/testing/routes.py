"""The read routes of the hub protocol, as functions from a request to a reply.

They answer what unmodified `huggingface_hub` clients and git ask. Revisions and paths arrive
quoted (`refs%2Fpr%2F1`), so the routes match the raw path and unquote afterwards.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, unquote, urlencode

import yaml

from envhub.testing.bare import BareRepo, Entry, LogEntry
from envhub.testing.githttp import serve_git
from envhub.testing.web import Reply, Request

_TYPES = {"models": "model", "spaces": "space", "datasets": "dataset"}
_REPO = r"(?P<owner>[^/]+)/(?P<name>[^/]+?)"
_API = rf"/api/(?P<types>models|spaces|datasets)/{_REPO}"
_SITE = rf"/(?:(?P<types>spaces|datasets)/)?{_REPO}"
_COMMITS_PER_PAGE = 50


class RouteError(Exception):
    """A reply that ends the handling of a request early."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        codes = {"X-Error-Code": code} if code else {}
        self.reply = as_json(
            {"error": message}, status, **{"X-Error-Message": message, **codes, **extra}
        )


class Hub(Protocol):
    """What the routes need of the hub that they answer for."""

    url: str
    token: str
    stranger: str
    page: int
    cdn: str | None

    def repo(self, repo_type: str, repo_id: str) -> BareRepo | None:
        """The repo of that name."""
        ...

    def repos(self, repo_type: str) -> Iterator[BareRepo]:
        """All repos of a type."""
        ...


Route = Callable[[Hub, Request, dict[str, str]], Reply]


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    """A reply with a JSON body."""
    kind = {"Content-Type": "application/json"}
    return Reply(status, json.dumps(value).encode(), {**kind, **headers})


def answer(hub: Hub, request: Request) -> Reply:
    """Find the route for a request and take it."""
    try:
        for pattern, route in _ROUTES:
            if match := pattern.fullmatch(request.path):
                return route(hub, request, match.groupdict(""))
        raise RouteError(404, "", f"no such page: {request.path}")
    except RouteError as problem:
        return problem.reply


def whoami(hub: Hub, request: Request, _: dict[str, str]) -> Reply:
    """Who the token belongs to."""
    who = _caller(hub, request)
    if who is None:
        raise RouteError(401, "", "Invalid username or password.")
    token = {"displayName": "test", "role": "write"}
    auth = {"type": "access_token", "accessToken": token}
    person = {"type": "user", "id": who, "name": who, "fullname": who, "isPro": False, "orgs": []}
    return as_json({**person, "auth": auth})


def listing(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """All repos of a type that match `search`, `author` and every `filter`."""
    who = _caller(hub, request)
    author, search = request.arg("author"), request.arg("search").lower()
    wanted = set(request.args().get("filter", []))
    found = []
    for repo in hub.repos(_TYPES[words["types"]]):
        if repo.options.get("private") and who != "owner":
            continue
        if search in repo.id.lower() and repo.id.startswith(f"{author}/" if author else ""):
            info = _describe(repo, repo.find("main"))
            if wanted <= set(info["tags"]):
                found.append(info)
    return _paged(hub, request, found, int(request.arg("limit") or hub.page))


def info(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """What is known of a repo at a revision."""
    repo = _repo(hub, request, words)
    described = _describe(repo, _commit(repo, words.get("rev") or "main"))
    if fields := request.args().get("expand"):
        described = {key: described[key] for key in ("_id", "id", *fields) if key in described}
    return as_json(described)


def tree(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """Files and folders below a folder."""
    repo = _repo(hub, request, words)
    commit = _commit(repo, words["rev"])
    folder = unquote(words.get("path", ""))
    entries = repo.tree(commit)
    if folder and (folder not in entries or entries[folder].kind != "tree"):
        raise RouteError(404, "EntryNotFound", f"{folder} does not exist", X_Repo_Commit=commit)
    prefix = f"{folder}/" if folder else ""
    deep = request.arg("recursive").lower() in {"true", "1"}
    inside = [e for path, e in entries.items() if path.startswith(prefix)]
    shown = [e for e in inside if deep or "/" not in e.path[len(prefix) :]]
    last = repo.log(commit)[0] if request.arg("expand").lower() in {"true", "1"} else None
    return _paged(hub, request, [_as_entry(e, last) for e in shown], hub.page)


def paths_info(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """The entries of some paths; missing ones are left out."""
    repo = _repo(hub, request, words)
    entries = repo.tree(_commit(repo, words["rev"]))
    if "json" in request.headers.get("content-type", ""):
        paths = json.loads(request.body)["paths"]
    else:
        paths = parse_qs(request.body.decode()).get("paths", [])
    return as_json([_as_entry(entries[path]) for path in paths if path in entries])


def refs(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """Branches, tags and pull requests."""
    found = _repo(hub, request, words).refs()

    def of(prefix: str) -> list[dict[str, str]]:
        return [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit}
            for ref, commit in found.items()
            if ref.startswith(prefix)
        ]

    pulls = [{**pull, "name": pull["ref"]} for pull in of("refs/pr/")]
    both = {"branches": of("refs/heads/"), "tags": of("refs/tags/")}
    return as_json({**both, "converts": [], "pullRequests": pulls})


def commits(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """The history of a revision, newest first."""
    repo = _repo(hub, request, words)
    log = repo.log(_commit(repo, words["rev"]))
    entries = [
        {
            "id": entry.id,
            "title": entry.title,
            "message": entry.body,
            "authors": [{"user": entry.author}],
            "date": _date(entry.time),
        }
        for entry in log
    ]
    return _paged(hub, request, entries, min(_COMMITS_PER_PAGE, hub.page))


def auth_check(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """Whether the token opens the repo."""
    _check_gate(hub, request, _repo(hub, request, words))
    return as_json({})


def resolve(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """The bytes of a file, or what `HEAD` says about them."""
    repo = _repo(hub, request, words)
    commit = _commit(repo, words["rev"])
    _check_gate(hub, request, repo)
    path = unquote(words["path"])
    entry = repo.tree(commit).get(path)
    if entry is None or entry.kind != "blob":
        raise RouteError(404, "EntryNotFound", f"{path} does not exist", X_Repo_Commit=commit)
    headers = {"X-Repo-Commit": commit, "ETag": f'"{entry.oid}"'}
    if not entry.lfs:
        return Reply(200, entry.data, headers)
    oid = entry.lfs.oid
    etags = {"ETag": f'"{oid}"', "X-Linked-Etag": f'"{oid}"'}
    headers |= {**etags, "X-Linked-Size": str(entry.lfs.size)}
    if hub.cdn:
        return Reply(302, b"", {**headers, "Location": f"{hub.cdn}/{oid}"})
    return Reply(200, repo.lfs_file(oid), headers)


def lfs_batch(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """Where the LFS files with these hashes can be had."""
    repo = _git_repo(hub, request, words)
    auth = request.headers.get("authorization")
    header = {"header": {"Authorization": auth}} if auth else {}
    objects = []
    for wanted in json.loads(request.body)["objects"]:
        known = {"oid": wanted["oid"], "size": wanted["size"]}
        file = repo.lfs_file(wanted["oid"])
        if re.fullmatch(r"[0-9a-f]{64}", wanted["oid"]) and file.is_file():
            href = f"{hub.url}{_site_path(repo)}/lfs/{wanted['oid']}"
            objects.append({**known, "actions": {"download": {"href": href, **header}}})
        else:
            objects.append({**known, "error": {"code": 404, "message": "no such object"}})
    reply = as_json({"transfer": "basic", "objects": objects})
    return Reply(200, reply.body, {"Content-Type": "application/vnd.git-lfs+json"})


def lfs_object(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """The bytes of one LFS file."""
    file = _git_repo(hub, request, words).lfs_file(words["oid"])
    if not file.is_file():
        raise RouteError(404, "EntryNotFound", "no such object")
    return Reply(200, file)


def git_http(hub: Hub, request: Request, words: dict[str, str]) -> Reply:
    """Git's own protocol; pushing needs the owner's token."""
    pushes = "git-receive-pack" in request.path + request.query
    if pushes and _caller(hub, request) != "owner":
        raise RouteError(401, "", "pushing needs a token", WWW_Authenticate="Basic")
    repo = _git_repo(hub, request, words)
    headers = request.headers
    status, extra, body = serve_git(
        repo.folder, words["service"], request.method, request.query, headers, request.body
    )
    return Reply(status, body, extra)


def _caller(hub: Hub, request: Request) -> str | None:
    """`owner`, `stranger`, or `None` without a token."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if not kind:
        return None
    if kind.lower() == "basic":
        secret = base64.b64decode(secret).decode().partition(":")[2]
    who = {hub.token: "owner", hub.stranger: "stranger"}.get(secret)
    if who is None:
        raise RouteError(401, "", "Invalid credentials in Authorization header")
    return who


def _repo(hub: Hub, request: Request, words: dict[str, str]) -> BareRepo:
    who = _caller(hub, request)
    repo_type = _TYPES[words["types"] or "models"]
    repo = hub.repo(repo_type, f"{unquote(words['owner'])}/{unquote(words['name'])}")
    if repo is None or (repo.options.get("private") and who != "owner"):
        raise RouteError(404 if who else 401, "RepoNotFound", "Repository not found")
    return repo


def _check_gate(hub: Hub, request: Request, repo: BareRepo) -> None:
    who = _caller(hub, request)
    if repo.options.get("gated") and who != "owner":
        message = f"Access to {repo.id} is restricted. Visit {hub.url}{_site_path(repo)}."
        raise RouteError(403 if who else 401, "GatedRepo", message)


def _git_repo(hub: Hub, request: Request, words: dict[str, str]) -> BareRepo:
    """As `_repo`, but git sends a token only after a 401 that asks for it."""
    try:
        repo = _repo(hub, request, words)
        _check_gate(hub, request, repo)
    except RouteError as problem:
        status, body = problem.reply.status, str(problem)
        raise RouteError(status, "", body, WWW_Authenticate='Basic realm="hub"') from problem
    return repo


def _commit(repo: BareRepo, revision: str) -> str:
    commit = repo.find(unquote(revision))
    if commit is None:
        raise RouteError(404, "RevisionNotFound", f"Invalid rev id: {unquote(revision)}")
    return commit


def _describe(repo: BareRepo, commit: str | None) -> dict[str, Any]:
    entries = repo.tree(commit) if commit else {}
    card = _card(entries.get("README.md"))
    tags = [*card.get("tags", []), *filter(None, [card.get("library_name")])]
    tags += [f"license:{card['license']}"] if "license" in card else []
    last = repo.log(commit)[0].time if commit else 0
    siblings = [
        {"rfilename": e.path, **_sizes(e), "blobId": e.oid}
        for e in entries.values()
        if e.kind == "blob"
    ]
    return {
        "_id": repo.id,
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.id.partition("/")[0],
        "sha": commit,
        "lastModified": _date(last),
        "createdAt": _date(last),
        "private": repo.options.get("private", False),
        "gated": "auto" if repo.options.get("gated") else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags,
        "cardData": card,
        "library_name": card.get("library_name"),
        "siblings": siblings,
    }


def _card(readme: Entry | None) -> dict[str, Any]:
    text = readme.data.decode(errors="replace") if readme else ""
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    card = yaml.safe_load(match.group(1)) if match else None
    return card if isinstance(card, dict) else {}


def _as_entry(entry: Entry, last: LogEntry | None = None) -> dict[str, Any]:
    kind = "file" if entry.kind == "blob" else "directory"
    shown = {"type": kind, "oid": entry.oid, "path": entry.path, **_sizes(entry)}
    if last:
        shown["lastCommit"] = {"id": last.id, "title": last.title, "date": _date(last.time)}
    return shown


def _sizes(entry: Entry) -> dict[str, Any]:
    if not entry.lfs:
        return {"size": len(entry.data)}
    oid, size = entry.lfs.oid, entry.lfs.size
    lfs = {"oid": oid, "sha256": oid, "size": size, "pointerSize": len(entry.data)}
    return {"size": size, "lfs": lfs}


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _site_path(repo: BareRepo) -> str:
    return f"/{repo.id}" if repo.repo_type == "model" else f"/{repo.repo_type}s/{repo.id}"


def _paged(hub: Hub, request: Request, items: list[Any], size: int) -> Reply:
    """One page of `items`, with a link to the next as the Hub has it."""
    start = int(request.arg("cursor") or 0)
    if start + size >= len(items):
        return as_json(items[start:])
    args = {**request.args(), "cursor": [str(start + size)]}
    following = f"{hub.url}{quote(request.path, safe='/%')}?{urlencode(args, doseq=True)}"
    return as_json(items[start : start + size], Link=f'<{following}>; rel="next"')


_ROUTES: list[tuple[re.Pattern[str], Route]] = [
    (re.compile(pattern), route)
    for pattern, route in (
        (r"/api/whoami-v2", whoami),
        (r"/api/(?P<types>models|spaces|datasets)", listing),
        (rf"{_API}", info),
        (rf"{_API}/revision/(?P<rev>[^/]+)", info),
        (rf"{_API}/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?", tree),
        (rf"{_API}/paths-info/(?P<rev>[^/]+)", paths_info),
        (rf"{_API}/refs", refs),
        (rf"{_API}/commits/(?P<rev>[^/]+)", commits),
        (rf"{_API}/auth-check", auth_check),
        (rf"{_SITE}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", resolve),
        (rf"{_SITE}(?:\.git)?/info/lfs/objects/batch", lfs_batch),
        (rf"{_SITE}/lfs/(?P<oid>[0-9a-f]{{64}})", lfs_object),
        (rf"{_SITE}(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)", git_http),
    )
]
