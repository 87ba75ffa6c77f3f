"""Branches and tags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pygit2
from msgspec import Struct
from pygit2.enums import ObjectType
from starlette.responses import Response

from envhub.server.access import WRITE
from envhub.server.call import Call, reply, route
from envhub.server.gitrepo import PULLS, GitRepo
from envhub.server.names import check_ref
from envhub.server.refusals import Refusal, bad, forbidden, revision_not_found
from envhub.server.routes.patterns import API, REVISION


class Branch(Struct, rename="camel"):
    """Where a branch begins; at `main` if not said."""

    starting_point: str | None = None


class Tag(Struct):
    """A tag to be made; with a message it is an annotated one."""

    tag: str
    message: str | None = None


def refs(call: Call) -> Response:
    """All of them, and the commits that they point at."""
    found = call.hub.repos.git(call.repo()).refs()

    def below(prefix: str) -> list[dict[str, str]]:
        return [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit}
            for ref, commit in found.items()
            if ref.startswith(prefix)
        ]

    pulls = [{**pull, "name": pull["ref"]} for pull in below(PULLS)]
    branches = below("refs/heads/")
    branches.sort(key=lambda branch: branch["name"] != "main")
    return reply(
        {
            "branches": branches,
            "tags": below("refs/tags/"),
            "converts": [],
            "pullRequests": pulls if call.flag("include_prs") else [],
        }
    )


def create_branch(call: Call) -> Response:
    """Make a branch."""
    name = check_ref(call.words["revision"], "branch")
    with _changing(call) as git:
        start = git.commit(call.json(Branch).starting_point or "main")
        _create(git, f"refs/heads/{name}", start)
    call.hub.jobs.add(call.repo(WRITE), [start])
    return reply({})


def delete_branch(call: Call) -> Response:
    """Delete a branch; the commits that it had stay."""
    name = call.words["revision"]
    if name == "main":
        raise forbidden("main is the branch that others load; it cannot be deleted")
    with _changing(call) as git:
        _delete(git, f"refs/heads/{name}")
    return reply({})


def create_tag(call: Call) -> Response:
    """Make a tag."""
    wanted = call.json(Tag)
    name = check_ref(wanted.tag, "tag")
    with _changing(call) as git:
        commit = git.commit(call.words["revision"])
        ref = f"refs/tags/{name}"
        if wanted.message:
            if ref in git.git.references:
                raise _taken(ref)
            by = pygit2.Signature(call.author.name, call.author.email)
            git.git.create_tag(name, pygit2.Oid(hex=commit), ObjectType.COMMIT, by, wanted.message)
        else:
            _create(git, ref, commit)
    call.hub.jobs.add(call.repo(WRITE), [commit])
    return reply({})


def delete_tag(call: Call) -> Response:
    """Delete a tag; the commit stays."""
    if call.hub.config.immutable_tags:
        raise forbidden("tags of this hub stay, so that what was loaded can be loaded again")
    with _changing(call) as git:
        _delete(git, f"refs/tags/{call.words['revision']}")
    return reply({})


@contextmanager
def _changing(call: Call) -> Iterator[GitRepo]:
    """The content of a repo that the caller may write, alone."""
    repo = call.repo(WRITE)
    with call.hub.repos.lock(repo):
        yield call.hub.repos.git(repo)


def _create(git: GitRepo, ref: str, commit: str) -> None:
    if ref in git.git.references:
        raise _taken(ref)
    try:
        git.git.references.create(ref, pygit2.Oid(hex=commit))
    except pygit2.AlreadyExistsError as error:
        raise _taken(ref) from error
    except (pygit2.GitError, ValueError) as error:  # a/b where a is a branch
        raise bad(f"git does not take {ref}: {error}") from error


def _taken(ref: str) -> Refusal:
    return Refusal(409, f"Reference already exists: {ref}")


def _delete(git: GitRepo, ref: str) -> None:
    target = git.find(ref)
    if target is None:
        raise revision_not_found(ref)
    git.keep(target)
    git.git.references.delete(ref)


ROUTES = [
    route("GET", rf"{API}/refs", refs),
    route("POST", rf"{API}/branch/{REVISION}", create_branch),
    route("DELETE", rf"{API}/branch/{REVISION}", delete_branch),
    route("POST", rf"{API}/tag/{REVISION}", create_tag),
    route("DELETE", rf"{API}/tag/{REVISION}", delete_tag),
]
