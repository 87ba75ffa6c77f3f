"""A hub in front of another: what is asked for is fetched from there once, and kept by commit.

Refs are asked for anew after a while. What was fetched stays, and is served when the other hub does
not answer. What the other hub does not show to everybody any more, this one does not, either.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from envhub.errors import ArgumentError, EnvHubError, RepoNotFoundError
from envhub.hubs import lfshttp
from envhub.hubs.base import Progress
from envhub.hubs.gitremote import Remote
from envhub.hubs.lfs import Pointer, Wanted
from envhub.server.accounts import Caller
from envhub.server.arrivals import Arrival, Arrivals
from envhub.server.commits import Author
from envhub.server.config import Upstream
from envhub.server.gitrepo import GitRepo
from envhub.server.recent import Recent
from envhub.server.refusals import Refusal
from envhub.server.repos import Repo

if TYPE_CHECKING:
    from envhub.server.hub import Hub

logger = logging.getLogger("envhub.server")

_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_KNOWN = 100_000
_AT_ONCE = 8
_SOON, _LONG = 5.0, 60.0
"""Seconds that a client is kept waiting for what it could have an older answer to, or none."""


@dataclass(slots=True)
class _Asked:
    """When something was asked for upstream last, and whether the answer is here."""

    when: float = float("-inf")
    answer: Future[None] = field(default_factory=Future)


class Mirror:
    """What a hub does to be another's mirror.

    Args:
        hub: where things are kept.
        upstream: the other hub.

    Raises:
        ArgumentError: its address is none, or its token cannot be read.
    """

    def __init__(self, hub: Hub, upstream: Upstream) -> None:
        if not re.fullmatch(r"https?://[^/@\s]+(/[^@\s]*)?", upstream.url):
            raise ArgumentError(
                f"{upstream.url!r} is no address of a hub",
                hint="--mirror https://huggingface.co; a token belongs into token_file of hub.toml",
            )
        self.url = upstream.url.rstrip("/")
        self._hub = hub
        self._owners = {owner.lower() for owner in upstream.owners}
        self._seconds = upstream.seconds
        self._token = upstream.token()
        self._lock = threading.Lock()
        self._asked: Recent[str, _Asked] = Recent(_KNOWN)
        self._asking = ThreadPoolExecutor(_AT_ONCE, "mirror")
        self._arrivals = Arrivals(hub.folder / "tmp")

    def refuse(self) -> Refusal:
        """The answer to whoever wants to change something."""
        return Refusal(403, f"this hub is a mirror, which takes no changes: publish to {self.url}")

    def refresh(self, caller: Caller | None, kind: str, name: str) -> None:
        """Bring a repo up to date if that was not done lately; nothing happens if it cannot be.

        Args:
            caller: who asks; the mirror's own token is used for members of the owner only.
            kind: of the repo.
            name: the full one.
        """
        owner = name.partition("/")[0]
        if self._owners and owner.lower() not in self._owners:
            return
        inside = bool(self._token) and self._hub.access.belongs(caller, name)
        there = self._hub.repos.find(kind, name) is not None
        self._once(
            f"{kind} {name} {inside}".lower(),
            lambda: self._refresh(kind, name, inside=inside),
            seconds=_SOON if there else _LONG,
        )

    def pin(self, repo: Repo, commit: str) -> None:
        """Fetch a commit that no branch or tag leads to, if there is one."""
        folder = self._hub.repos.folder(repo)
        if GitRepo(folder).find(commit) is None:
            self._once(
                f"{repo.key} {commit}", lambda: self._pin(repo, folder, commit), seconds=_LONG
            )

    def arrival(self, repo: Repo, pointer: Pointer) -> Arrival:
        """A large file, on its way."""

        def fetch(path: Path, progress: Progress) -> None:
            remote = self._remote(repo.kind, repo.full_name, inside=repo.visibility == "private")
            lfshttp.download(remote, [Wanted(pointer, path)], progress)
            self._hub.blobs.put(pointer.oid, path)
            self._hub.holdings.add(repo, pointer.oid, pointer.size)

        return self._arrivals.get(f"{repo.key}-{pointer.oid}", pointer.size, fetch)

    def close(self) -> None:
        """Begin nothing new, and wait for what is under way."""
        self._asking.shutdown(cancel_futures=True)
        self._arrivals.close()

    def _once(self, key: str, ask: Callable[[], None], *, seconds: float) -> None:
        """Ask upstream, unless that was done lately; the answer is waited for only so long."""
        now = time.monotonic()
        with self._lock:
            asked = self._asked.get(key, _Asked)
            if now - asked.when >= self._seconds:
                asked.when = now
                asked.answer = self._asking.submit(self._ask, key, ask)
        wait([asked.answer], seconds)

    def _ask(self, key: str, ask: Callable[[], None]) -> None:
        try:
            ask()
        except (EnvHubError, Refusal) as error:
            logger.warning("%s gave no answer about %s: %s", self.url, key, error)
        except Exception:
            logger.exception("asking %s about %s failed", self.url, key)
            raise

    def _refresh(self, kind: str, name: str, *, inside: bool) -> None:
        for remote, private in self._remotes(kind, name, inside=inside):
            try:
                refs = remote.refs()
            except RepoNotFoundError:
                continue
            self._take(kind, name, remote, refs, private=private)
            return
        repo = self._hub.repos.find(kind, name)
        if repo and repo.visibility == "public":
            logger.warning("%s shows %s to nobody any more", self.url, name)
            self._hub.repos.change(repo, visibility="private")

    def _take(
        self, kind: str, name: str, remote: Remote, refs: dict[str, str], *, private: bool
    ) -> None:
        """Make the repo what it is upstream; it is seen only when all of it is here."""
        found = self._hub.repos.find(kind, name)
        repo = found or self._adopted(kind, name)
        git = self._hub.repos.git(repo)
        have = git.refs()
        wanted = {
            ref: oid for ref, oid in refs.items() if ref.startswith(("refs/heads/", "refs/tags/"))
        }
        if not found or have != wanted:
            with self._hub.repos.lock(repo):
                for commit in set(have.values()) - set(wanted.values()) if found else ():
                    git.keep(commit)
                remote.fetch(git.folder, *_ALL, depth=0, options=("--prune", "--force"))
                self._hub.index.update(repo, force=True)
            self._hub.jobs.add(repo, sorted(set(wanted.values()) - set(have.values())))
        visibility = "private" if private else "public"
        if repo.visibility != visibility:
            self._hub.repos.change(repo, visibility=visibility)

    def _adopted(self, kind: str, name: str) -> Repo:
        owner, _, short = name.partition("/")
        accounts = self._hub.accounts
        row = accounts.find(owner)
        if row is None:
            accounts.add(owner, "org")
            row = accounts.get(owner, "org")
        return self._hub.repos.create(
            kind,
            row,
            short,
            private=True,
            sdk="static" if kind == "space" else None,
            author=Author("mirror", "mirror@users.noreply"),
        )

    def _pin(self, repo: Repo, folder: Path, commit: str) -> None:
        remote = self._remote(repo.kind, repo.full_name, inside=repo.visibility == "private")
        remote.fetch(folder, f"{commit}:refs/keep/{commit}", depth=0)

    def _remotes(self, kind: str, name: str, *, inside: bool) -> Iterator[tuple[Remote, bool]]:
        """How to ask for a repo: as anybody, and then as somebody who may see more."""
        yield self._remote(kind, name, inside=False), False
        if inside:
            yield self._remote(kind, name, inside=True), True

    def _remote(self, kind: str, name: str, *, inside: bool) -> Remote:
        parts = urlsplit(self.url)
        login = f"mirror:{quote(self._token, safe='')}@" if inside and self._token else ""
        page = quote(name if kind == "model" else f"{kind}s/{name}")
        return Remote.parse(
            urlunsplit((parts.scheme, login + parts.netloc, f"{parts.path}/{page}", "", ""))
        )
