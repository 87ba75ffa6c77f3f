"""A new commit on a branch, made from a list of changes; concurrent ones wait for each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import FileMode, ObjectType

from envhub.hubs.lfs import Pointer
from envhub.server import packs
from envhub.server.attributes import with_lfs
from envhub.server.gitrepo import GitRepo
from envhub.server.names import check_path
from envhub.server.refusals import Refusal, bad, entry_not_found

PACK_FROM = 100
ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True, slots=True)
class Write:
    """Put bytes, or the pointer to a blob, at a path."""

    path: str
    content: bytes | Pointer


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file, or a folder with all that is in it."""

    path: str
    folder: bool = False


Change = Write | Delete


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(slots=True)
class Draft:
    """A commit that is to be.

    Attributes:
        title: the first line of its message.
        description: the rest of its message.
        parent: the commit that the branch must be at, if that matters.
        changes: applied in this order.
    """

    title: str
    description: str = ""
    parent: str | None = None
    changes: list[Change] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The whole message."""
        return f"{self.title}\n\n{self.description}".strip() + "\n"


def commit(repo: GitRepo, branch: str, draft: Draft, author: Author) -> str:
    """Commit to a branch, and return the commit; the caller holds the repo's lock.

    A branch that does not exist begins here, if no other does. Changes that change nothing make no
    commit.

    Raises:
        Refusal: 400 for a path that git does not take; 404 for a deleted file that is not there;
            412 if the branch is not, or no longer, where it should be.
    """
    head = repo.find(f"refs/heads/{branch}")
    if draft.parent and draft.parent != head:
        raise Refusal(412, f"{branch} has moved from {draft.parent} to {head}: a newer commit")
    tree = _tree(repo, head, draft.changes)
    if head and str(repo.git[head].peel(ObjectType.TREE).id) == str(tree):
        return head
    by = pygit2.Signature(author.name, author.email, int(time.time()))
    parents = [pygit2.Oid(hex=head)] if head else []
    try:
        # libgit2 moves the branch only from the first parent: a push that came between is safe.
        made = repo.git.create_commit(f"refs/heads/{branch}", by, by, draft.message, tree, parents)
    except pygit2.GitError as error:
        raise Refusal(412, f"{branch} was moved by somebody else just now: {error}") from error
    return str(made)


def _tree(repo: GitRepo, head: str | None, changes: Sequence[Change]) -> pygit2.Oid:
    """The tree of `head` with the changes applied."""
    index = pygit2.Index()
    if head:
        found = repo.git[head].peel(ObjectType.TREE)
        index.read_tree(found)
    changes = [*changes, *_attributes(repo, head, changes)]
    oids = iter(_blobs(repo, [each for each in changes if isinstance(each, Write)]))
    try:
        for change in changes:
            if isinstance(change, Write):
                _add(index, check_path(change.path), next(oids))
            else:
                _remove(index, change, head or "")
        return index.write_tree(repo.git)
    except (pygit2.GitError, OSError, ValueError) as error:
        raise bad(f"git does not take this: {error}") from error


def _attributes(repo: GitRepo, head: str | None, changes: Sequence[Change]) -> list[Write]:
    """What git-lfs must be told so that a clone has the bytes of the new blobs."""
    own = [each for each in changes if each.path == ATTRIBUTES and isinstance(each, Write)]
    given = own[-1].content if own else None
    if isinstance(given, bytes):
        text = given.decode(errors="replace")
    else:
        text = repo.text(head, ATTRIBUTES) if head else ""
    paths = [each.path for each in changes if _is_pointer(each)]
    wanted = with_lfs(text, paths)
    return [] if wanted == text else [Write(ATTRIBUTES, wanted.encode())]


def _is_pointer(change: Change) -> bool:
    return isinstance(change, Write) and isinstance(change.content, Pointer)


def _blobs(repo: GitRepo, writes: Sequence[Write]) -> list[pygit2.Oid]:
    """Write the files; many of them as one pack, since a file for each is slow to read later."""
    contents = [bytes(each.content) for each in writes]
    if len(contents) < PACK_FROM:
        return [repo.git.create_blob(content) for content in contents]
    return packs.write(repo, contents)


def _add(index: pygit2.Index, path: str, oid: pygit2.Oid) -> None:
    mode = index[path].mode if path in index else FileMode.BLOB
    kept = mode if mode == FileMode.BLOB_EXECUTABLE else FileMode.BLOB
    index.add(pygit2.IndexEntry(path, oid, kept))


def _remove(index: pygit2.Index, change: Delete, head: str) -> None:
    path = check_path(change.path.rstrip("/"))
    if change.folder:
        gone = [entry.path for entry in index if entry.path.startswith(f"{path}/")]
    else:
        gone = [path] if path in index else []
    if not gone:
        raise entry_not_found(change.path, head)
    for each in gone:
        index.remove(each)
