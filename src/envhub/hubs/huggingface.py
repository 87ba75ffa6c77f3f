"""Hubs that speak the Hugging Face protocol: Hugging Face itself and whoever does as it does."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from envhub.errors import HubError, RepoNotFoundError, RevisionNotFoundError
from envhub.hubs.base import Commit, LogEntry, Progress, below
from envhub.hubs.listing import Listed
from envhub.hubs.parallel import each
from envhub.pins import File
from envhub.refs import Ref, RepoType
from envhub.settings import NO_MORE, Limits
from envhub.tree import too_much

if TYPE_CHECKING:
    from envhub.hubs.hfhttp import Place, Session

_TYPES: tuple[RepoType, ...] = ("model", "space", "dataset")
_MAX_HISTORY = 5000  # commits that are searched for an abbreviated one
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Info(msgspec.Struct):
    sha: str


class _Dated(msgspec.Struct, rename="camel"):
    last_modified: datetime


class _Described(msgspec.Struct):
    env: dict[str, Any] | None = None


class _Named(msgspec.Struct, rename="camel"):
    name: str
    target_commit: str


class _Refs(msgspec.Struct):
    branches: list[_Named]
    tags: list[_Named]


class _Author(msgspec.Struct):
    user: str = ""


class _LogEntry(msgspec.Struct):
    id: str
    title: str = ""
    authors: list[_Author] = []
    date: datetime | None = None

    @property
    def entry(self) -> LogEntry:
        authors = ", ".join(author.user for author in self.authors)
        return LogEntry(self.id, self.title, authors, self.date or datetime.fromtimestamp(0, UTC))


class _Lfs(msgspec.Struct):
    oid: str
    size: int


class _Entry(msgspec.Struct):
    type: str
    path: str
    oid: str
    size: int = 0
    lfs: _Lfs | None = None


class HuggingFaceHub:
    """A hub that speaks the Hugging Face protocol.

    Args:
        address: of the hub, `https://huggingface.co` or another one.
        token: sent to this hub only; `True` is the one that `hf auth login` stored, which
            belongs to Hugging Face; `None` and `False` are none.
        timeout: seconds that a silent connection may last.
        limits: how much a repo may bring; no listing is read further than that.
    """

    live = False

    def __init__(
        self,
        address: str,
        *,
        token: str | bool | None = None,
        timeout: float = 10,
        limits: Limits = NO_MORE,
    ) -> None:
        self.address = address.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._limits = limits

    def __repr__(self) -> str:
        return f"HuggingFaceHub({self.address!r})"

    def resolve(self, ref: Ref) -> Commit:
        """Turn a ref into a full commit: one request, or one per repo type that it is not.

        An abbreviated commit is looked for in the history; it is never taken for a branch.

        Raises:
            RepoNotFoundError: no such repo, or the token does not open it.
            RevisionNotFoundError: no such branch, tag or commit; near names are in the hint.
            GatedRepoError: the owner must let you in first.
            HubUnreachableError: no answer.
            HubError: an answer that is none.
        """
        *others, last = (ref.repo_type,) if ref.repo_type else _TYPES
        for repo_type in others:
            try:
                return self._resolve_as(repo_type, ref)
            except RepoNotFoundError:
                continue
        return self._resolve_as(last, ref)

    def files(self, ref: Ref, commit: Commit) -> tuple[File, ...]:
        """All files of a commit, by one listing.

        Raises:
            HubError: there are more than a repo may have.
            EnvHubError: as for `resolve`.
        """
        path = f"{_api(commit)}/tree/{commit.id}"
        query = "recursive=True&expand=False"
        entries = self._http.pages(path, list[_Entry], self._place(commit, ref), query)
        # Folders are listed, too, about as many. A listing may have no end: it is not read further.
        most = self._limits.files * 2 + 1
        found = list(islice(entries, most))
        if len(found) == most:
            raise too_much(commit.repo, "files", most, self._limits.files)
        return tuple(_as_file(entry) for entry in found if entry.type == "file")

    def date(self, ref: Ref, commit: Commit) -> datetime | None:
        """When a commit was made, by one request.

        Raises:
            EnvHubError: as for `resolve`.
        """
        path = f"{_api(commit)}/revision/{commit.id}"
        query = "expand=lastModified"
        return self._http.get(path, _Dated, self._place(commit, ref), query).last_modified

    def log(self, ref: Ref, commit: Commit, most: int) -> tuple[LogEntry, ...]:
        """A commit and those before it, the newest first.

        Raises:
            EnvHubError: as for `resolve`.
        """
        path = f"{_api(commit)}/commits/{commit.id}"
        found = self._http.pages(path, list[_LogEntry], self._place(commit, ref))
        return tuple(each.entry for each in islice(found, most))

    def about(self, ref: Ref, commit: Commit) -> dict[str, Any] | None:
        """What the hub found out about the env at a commit; `None` if it does no such thing.

        It is the block of `envhub.server.about`.

        Raises:
            EnvHubError: as for `resolve`.
        """
        path = f"{_api(commit)}/revision/{commit.id}"
        return self._http.get(path, _Described, self._place(commit, ref)).env

    def repos(self, words: str, tags: Sequence[str], page: int = 100) -> Iterator[Listed]:
        """The models of the hub that fit, in the hub's own order; further pages as they are needed.

        Args:
            words: what their names, and on some hubs their cards, must have.
            tags: all of which they must have.
            page: how many to ask for at once.

        Raises:
            EnvHubError: as for `resolve`.
        """
        from envhub.hubs.hfhttp import Place  # late, as below

        asked = [("search", words)] if words else []
        asked += [("filter", tag) for tag in tags]
        query = urlencode([*asked, ("limit", page), ("full", "true"), ("cardData", "true")])
        place = Place(self.address, "its list of repos", self.address)
        return self._http.pages("/api/models", list[Listed], place, query)

    def download(
        self, ref: Ref, commit: Commit, files: Sequence[File], into: Path, progress: Progress
    ) -> None:
        """Write `files` below `into`, eight at a time, each by one request.

        A file that is there in part is continued; one that is there in full size is left alone.
        The caller verifies the bytes.

        Raises:
            EnvHubError: as for `resolve`.
        """
        place = self._place(commit, ref)
        for folder in {below(into, file.path).parent for file in files}:
            folder.mkdir(parents=True, exist_ok=True)

        def fetch(file: File, report: Progress, stop: Event) -> None:
            path = f"{_site(commit)}/resolve/{commit.id}/{quote(file.path)}"
            with below(into, file.path).open("ab") as target:
                if target.tell() > file.size:
                    target.seek(0)
                    target.truncate()
                report(target.tell())
                self._http.download(path, file.size, place).into(target, report, stop)

        each(fetch, sorted(files, key=lambda file: -file.size), progress)

    @cached_property
    def _http(self) -> Session:
        # httpx2 takes longer to import than all of envhub, and a load from the cache needs none.
        from envhub.hubs.hfhttp import Session

        return Session(self.address, self._token, self._timeout)

    def _place(self, commit: Commit, ref: Ref) -> Place:
        from envhub.hubs.hfhttp import Place  # late, as above

        page = f"{self.address}{_site(commit)}"
        return Place(self.address, commit.repo, page, ref.revision or "")

    def _resolve_as(self, repo_type: RepoType, ref: Ref) -> Commit:
        repo = Commit(self.address, ref.location, repo_type, None)
        short = ref.revision and _ABBREVIATED.fullmatch(ref.revision)
        found = self._find_abbreviated(repo, ref) if short else None
        try:
            found = found or self._ask_commit(repo, ref)
        except RevisionNotFoundError as error:
            raise self._with_hint(repo, ref, error) from error
        if not _COMMIT.fullmatch(found) or (ref.is_pinned and found != ref.revision):
            raise HubError(f"{self.address} answered {found!r} when asked for {ref}")
        return replace(repo, id=found)

    def _ask_commit(self, repo: Commit, ref: Ref) -> str:
        revision = f"/revision/{quote(ref.revision, safe='')}" if ref.revision else ""
        path = f"{_api(repo)}{revision}"
        return self._http.get(path, _Info, self._place(repo, ref), "expand=sha").sha

    def _find_abbreviated(self, repo: Commit, ref: Ref) -> str | None:
        start = ref.revision or ""
        found = {commit for commit in self._history(repo, ref) if commit.startswith(start)}
        if len(found) > 1:
            raise RevisionNotFoundError(
                f"{start!r} is short for several commits of {repo.repo}",
                hint=f"type one of them in full: {', '.join(sorted(found))}",
            )
        return found.pop() if found else None

    def _history(self, repo: Commit, ref: Ref) -> Iterator[str]:
        """The commits that branches and tags lead to, then the newest ones of each branch."""
        refs = self._refs(repo, ref)
        yield from (named.target_commit for named in refs.branches + refs.tags)
        left = _MAX_HISTORY
        for branch in sorted(refs.branches, key=lambda branch: branch.name != "main"):
            path = f"{_api(repo)}/commits/{quote(branch.name, safe='')}"
            for entry in self._http.pages(path, list[_LogEntry], self._place(repo, ref)):
                yield entry.id
                left -= 1
                if not left:
                    return

    def _refs(self, repo: Commit, ref: Ref) -> _Refs:
        return self._http.get(f"{_api(repo)}/refs", _Refs, self._place(repo, ref))

    def _with_hint(
        self, repo: Commit, ref: Ref, error: RevisionNotFoundError
    ) -> RevisionNotFoundError:
        refs = self._refs(repo, ref)
        names = [named.name for named in refs.branches + refs.tags]
        typed = ref.revision or ""
        near = difflib.get_close_matches(typed, names, n=5, cutoff=0.4) or names[:5]
        short = _ABBREVIATED.fullmatch(typed)
        why = "no commit in its history begins like that" if short else ""
        hint = f"it has {', '.join(near)}" if near else "it has no branches and no tags"
        return RevisionNotFoundError(error.what, why=why, hint=hint)


def _api(repo: Commit) -> str:
    return f"/api/{repo.repo_type}s/{repo.repo}"


def _site(repo: Commit) -> str:
    return f"/{repo.repo}" if repo.repo_type == "model" else f"/{repo.repo_type}s/{repo.repo}"


def _as_file(entry: _Entry) -> File:
    if entry.lfs:
        return File(entry.path, f"sha256:{entry.lfs.oid}", entry.lfs.size)
    return File(entry.path, f"sha1:{entry.oid}", entry.size)
