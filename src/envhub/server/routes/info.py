"""What is known of one repo at one revision."""

from __future__ import annotations

from starlette.responses import Response

from envhub.server.call import Call, reply, route
from envhub.server.index import front_matter
from envhub.server.refusals import Refusal
from envhub.server.routes import described
from envhub.server.routes.patterns import API, REVISION


def info(call: Call) -> Response:
    """A repo, at the head of `main` if no revision is asked for."""
    repo = call.repo()
    git = call.hub.repos.git(repo)
    revision = call.words.get("revision", "main")
    named = "revision" in call.words
    commit = git.commit(revision) if named else git.find("refs/heads/main") or ""
    wanted = set(call.args("expand")) or set(described.WHOLE)
    card = None if commit == repo.head else front_matter(git.text(commit, "README.md"))
    return reply(
        described.repo(
            repo,
            wanted,
            git=lambda: (git, commit),
            used=lambda: call.hub.holdings.used([repo]),
            env=lambda: call.hub.abouts.block(repo, commit),
            blobs=call.flag("blobs") or call.flag("files_metadata"),
            card=card,
        )
    )


def preview(call: Call) -> Response:
    """The picture that the hub took of the env at a commit."""
    repo = call.repo()
    call.check_gate(repo)
    commit = call.hub.repos.git(repo).commit(call.words["revision"])
    found = call.hub.abouts.preview(repo, commit)
    if found is None:
        raise Refusal(404, f"there is no preview of {commit}")
    headers = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "sandbox"}
    return Response(found.data, media_type=found.type, headers=headers)


def auth_check(call: Call) -> Response:
    """Whether the caller may have the files."""
    call.check_gate(call.repo())
    return reply({})


ROUTES = [
    route("GET", rf"{API}", info),
    route("GET", rf"{API}/revision/{REVISION}", info),
    route("GET", rf"{API}/auth-check", auth_check),
    route("GET HEAD", rf"{API}/preview/{REVISION}", preview, session=True),
]
