"""A commit lands in a hub: large files go beside git, the quota is kept, the index learns of it."""

from __future__ import annotations

from collections.abc import Iterable

from envhub.hubs.lfs import Pointer
from envhub.server import commits, tidying
from envhub.server.commits import ATTRIBUTES, Author, Change, Draft, Write
from envhub.server.hub import Hub
from envhub.server.repos import Repo


def land(hub: Hub, repo: Repo, branch: str, draft: Draft, author: Author) -> str:
    """Commit to a branch of a repo, and return the commit.

    Raises:
        Refusal: 413 for what is more than the owner may have; 404 for a branch that is not there;
            as `commits.commit`.
    """
    hub.holdings.check_quota(repo, _written(draft.changes))
    draft.changes = [_outside_git(hub, repo, each) for each in draft.changes]
    written = _written(draft.changes)
    with hub.repos.lock(repo):
        git = hub.repos.git(repo)
        if branch != "main":
            git.commit(f"refs/heads/{branch}")
        made = commits.commit(git, branch, draft, author)
        hub.database.change(
            "UPDATE repos SET git_bytes = git_bytes + ? WHERE id = ?", written, repo.id
        )
        if branch == "main":
            hub.index.update(repo)
    hub.jobs.add(repo, [made])
    return made


def _outside_git(hub: Hub, repo: Repo, change: Change) -> Change:
    """Keep a large file beside git, even if the client sent it as a small one."""
    if not isinstance(change, Write) or isinstance(change.content, Pointer):
        return change
    if len(change.content) <= hub.config.lfs_over or change.path == ATTRIBUTES:
        return change
    return Write(change.path, tidying.store(hub, repo, change.content))


def _written(changes: Iterable[Change]) -> int:
    return sum(len(bytes(each.content)) for each in changes if isinstance(each, Write))
