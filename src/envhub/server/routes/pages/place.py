"""Where in a repo a page is: the repo, the revision, and what whoever looks may do there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from envhub.server.access import ADMIN
from envhub.server.call import Call
from envhub.server.gitrepo import PULLS, Entry, GitRepo
from envhub.server.repos import Repo

HEADS, TAGS = "refs/heads/", "refs/tags/"


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or a tag."""

    name: str
    kind: str
    commit: str


@dataclass(frozen=True, slots=True)
class Place:
    """A repo at a revision.

    Attributes:
        repo: the repo.
        git: its content.
        revision: as the address has it, `main` if it has none.
        commit: that it means.
        may_have: whether whoever looks may have the files.
        may_rule: whether they may change the repo's rules.
    """

    repo: Repo
    git: GitRepo
    revision: str
    commit: str
    may_have: bool
    may_rule: bool

    @classmethod
    def of(cls, call: Call) -> Place:
        """The place that an address names.

        Raises:
            Refusal: 401 or 404, there is nothing, or nothing that the caller may know of.
        """
        repo = call.repo()
        git = call.hub.repos.git(repo)
        revision = call.words.get("revision", "main")
        may_rule = call.caller is not None and call.hub.access.level(call.caller, repo) >= ADMIN
        may_have = call.hub.access.may_download(call.caller, repo)
        return cls(repo, git, revision, git.commit(revision), may_have, may_rule)

    def children(self, folder: str) -> list[Entry]:
        """What is in a folder, folders first.

        Raises:
            Refusal: 404, there is no such folder.
        """
        begin = len(folder) + 1 if folder else 0
        found = self.git.entries(self.commit, folder)
        inside = [entry for entry in found if "/" not in entry.path[begin:]]
        return sorted(inside, key=lambda entry: (entry.kind, entry.path.lower()))

    def to(self, view: str, path: str = "", revision: str = "") -> str:
        """The address of another page of the repo, at this revision if not said otherwise."""
        name = quote(revision or self.revision, safe="")
        return f"{self.repo.page}/{view}/{name}" + (f"/{quote(path)}" if path else "")

    def over(self, ref: Ref, view: str, path: str) -> str:
        """The same page at another revision, or its files if the path is not there."""
        there = not path or self.git.entry(ref.commit, path) is not None
        return self.to(view, path, ref.name) if there else self.to("tree", "", ref.name)

    def raw(self, path: str) -> str:
        """Where the bytes of a file are, for ever."""
        return self.to("resolve", path, self.commit)

    @property
    def refs(self) -> list[Ref]:
        """The branches, `main` first, then the tags, the last one first."""
        found = [
            Ref(name.removeprefix(prefix), kind, commit)
            for prefix, kind in ((HEADS, "branch"), (TAGS, "tag"))
            for name, commit in self.git.refs().items()
            if name.startswith(prefix) and not name.startswith(PULLS)
        ]
        branches = sorted(
            (ref for ref in found if ref.kind == "branch"), key=lambda ref: ref.name != "main"
        )
        return branches + [ref for ref in found if ref.kind == "tag"][::-1]

    @property
    def tags_here(self) -> list[str]:
        """The tags of this very commit."""
        return [ref.name for ref in self.refs if ref.kind == "tag" and ref.commit == self.commit]
