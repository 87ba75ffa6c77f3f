"""Pages for people: what there is, and what a repo is; they need no script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.responses import HTMLResponse, Response

from envhub.server import markdown
from envhub.server.call import Call, route
from envhub.server.dates import iso
from envhub.server.gitrepo import GitRepo
from envhub.server.index import Query, tags_of
from envhub.server.refusals import Refusal
from envhub.server.repos import Repo
from envhub.server.routes.patterns import PATH, REVISION, SITE

TEMPLATES = Path(__file__).parents[1] / "templates"
PAGE, FILES, COMMITS, TAGS = 48, 200, 10, 12
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' https: data:;"
    " media-src 'self' https:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Vary": "Authorization",
}

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
)
_environment.globals.update(words="", tags=())


def home(call: Call) -> Response:
    """What there is, the newest first, or what was searched for."""
    words, tags = call.arg("q").strip()[:200], tuple(call.args("tag")[:5])
    query = Query("model", words=words, tags=tags, limit=PAGE, cursor=call.arg("cursor"))
    found, cursor = call.hub.index.search(call.caller, query)
    following = [("q", words), *(("tag", tag) for tag in tags), ("cursor", cursor)]
    return _shown(
        "home",
        words=words,
        tags=tags,
        repos=[_card(repo) for repo in found],
        following=f"/?{urlencode(following)}" if cursor else "",
        base=call.base,
    )


def page(call: Call) -> Response:
    """A repo at a revision: what it says of itself, how to load it, its files and history."""
    repo = call.repo()
    git = call.hub.repos.git(repo)
    commit = git.commit(call.words.get("revision", "main"))
    entries = [entry for entry in git.entries(commit) if entry.kind == "file"]
    log = list(git.log(commit, limit=COMMITS))
    text = git.text(commit, "README.md") if call.hub.access.may_download(call.caller, repo) else ""
    return _shown(
        "repo",
        repo=repo,
        commit=commit,
        changed=iso(log[0].date)[:10],
        base=call.base,
        tags=tags_of(json.loads(repo.card))[:TAGS],
        readme=markdown.readme(text, f"{repo.page}/resolve/{commit}"),
        files=[
            {
                "path": entry.path,
                "size": f"{entry.size:,} bytes",
                "href": f"{repo.page}/blob/{commit}/{quote(entry.path)}",
            }
            for entry in entries[:FILES]
        ],
        more=max(len(entries) - FILES, 0),
        refs=_refs(repo, git),
        log=[
            {
                "id": each.id,
                "title": each.title,
                "author": each.author,
                "day": iso(each.date)[:10],
                "href": f"{repo.page}/tree/{each.id}",
            }
            for each in log
        ],
    )


def file(call: Call) -> Response:
    """A file, coloured if it is code."""
    repo = call.repo()
    call.check_gate(repo)
    git = call.hub.repos.git(repo)
    commit = git.commit(call.words["revision"])
    entry = git.file(commit, call.words["path"])
    data = git.data(entry.oid) if not entry.lfs and entry.size <= markdown.MAX_TEXT else b""
    try:
        code = markdown.code(entry.path, data.decode()) if data and b"\0" not in data else ""
    except UnicodeDecodeError:
        code = ""
    raw = f"{repo.page}/resolve/{commit}/{quote(entry.path)}"
    size = f"{entry.size:,} bytes"
    return _shown("file", repo=repo, commit=commit, path=entry.path, size=size, raw=raw, code=code)


def style(_: Call) -> Response:
    """The style sheet of all pages."""
    text = (TEMPLATES / "hub.css").read_text() + markdown.colours()
    headers = {"Cache-Control": "max-age=3600"}
    return Response(text, media_type="text/css", headers=headers)


def refused(refusal: Refusal) -> Response:
    """A refusal, for people."""
    response = _shown("refused", status=refusal.status, message=refusal.message)
    response.status_code = refusal.status
    return response


def _card(repo: Repo) -> dict[str, Any]:
    return {
        "owner": repo.owner,
        "name": repo.name,
        "page": repo.page,
        "private": repo.visibility == "private",
        "gated": repo.gated,
        "tags": tags_of(json.loads(repo.card))[:6],
        "changed": iso(repo.modified)[:10],
        "downloads": repo.downloads,
    }


def _refs(repo: Repo, git: GitRepo) -> list[dict[str, str]]:
    found = [(ref.partition("/")[2].partition("/")[2], sha) for ref, sha in git.refs().items()]
    return [
        {"name": name, "commit": sha, "href": f"{repo.page}/tree/{quote(name, safe='')}"}
        for name, sha in found
    ]


def _shown(template: str, **values: Any) -> Response:
    text = _environment.get_template(f"{template}.html").render(**values)
    return HTMLResponse(text, headers=_SAFE)


ROUTES = [
    route("GET HEAD", r"/", home),
    route("GET", r"/static/hub\.css", style, open=True),
    route("GET HEAD", rf"{SITE}/blob/{REVISION}/{PATH}", file),
    route("GET HEAD", rf"{SITE}/(?:tree|commit)/{REVISION}", page),
    route("GET HEAD", rf"(?!/(?:api|oauth|static|xet)/){SITE}", page),
]
