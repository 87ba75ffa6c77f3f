"""The far end of a git repo: what it has, fetching from it, and getting in.

A user name and a password in the URL are cut off before git sees it: they are handed over by a
credential helper for that one host, through the environment, so they are in no argument, no file
and no message.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from envhub.errors import (
    CommandError,
    EnvHubError,
    HubError,
    HubUnreachableError,
    RefError,
    RepoNotFoundError,
    RevisionNotFoundError,
)
from envhub.hubs.gitprogram import git
from envhub.proc import Completed
from envhub.settings import NO_MORE, Limits

_SCHEMES = {"https", "http", "ssh", "file"}
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n"'
    ' "$ENVHUB_GIT_USER" "$ENVHUB_GIT_PASSWORD"; }; f'
)
# What git says (with LC_ALL=C), in this order: the first that is found in it decides.
_UNREACHABLE = (
    "could not resolve host",
    "connection refused",
    "connection timed out",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "failed to connect",
    "couldn't connect",
    "operation too slow",
    "empty reply from server",
    "returned error: 5",
    "returned error: 429",
)
_TOO_LARGE = (f"signal {getattr(signal, 'SIGXFSZ', 25):d}", "file too large")
_NO_REVISION = ("not our ref", "couldn't find remote ref")
_NOT_FOUND = (
    "not found",
    "does not exist",
    "does not appear to be a git repository",
    "is this a git repository",
    "could not read username",
    "could not read password",
    "authentication failed",
    "permission denied (",
    "returned error: 401",
    "returned error: 403",
    "returned error: 404",
)


@dataclass(frozen=True)
class Remote:
    """The address of a git repo, and how to get in.

    Attributes:
        url: without user name and password (`ssh` keeps the user name, which is part of it).
        env: hands user name and password to git, if the URL had any.
        limits: how much it may bring. What a pack would unpack to is not known before it is here,
            so it is the pack that must not be larger.
    """

    url: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: Limits = NO_MORE

    @staticmethod
    def parse(url: str, limits: Limits = NO_MORE) -> Remote:
        """Cut user name and password off a URL.

        Raises:
            RefError: git is not allowed to use such a URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            known = ", ".join(sorted(_SCHEMES))
            raise RefError(f"git repos are not read over {parts.scheme!r}", hint=f"use {known}")
        _, _, host = parts.netloc.rpartition("@")
        if parts.scheme == "ssh" and parts.username:
            host = f"{parts.username}@{host}"
        plain = urlunsplit((parts.scheme, host, parts.path, "", ""))
        if parts.scheme not in {"http", "https"} or not parts.username:
            return Remote(plain, limits=limits)
        env = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"credential.{parts.scheme}://{host}.helper",
            "GIT_CONFIG_VALUE_0": _HELPER,
            "ENVHUB_GIT_USER": unquote(parts.username),
            # A token alone is taken as either of the two: hubs differ in where they look for it.
            "ENVHUB_GIT_PASSWORD": unquote(parts.password or parts.username),
        }
        return Remote(plain, env, limits)

    @property
    def name(self) -> str:
        """The last part of the URL, without `.git`."""
        return self.url.rstrip("/").rpartition("/")[2].removesuffix(".git")

    @property
    def folder(self) -> Path | None:
        """The git directory, if the repo is on this machine."""
        if not self.url.startswith("file://"):
            return None
        folder = Path(unquote(urlsplit(self.url).path))
        return folder / ".git" if (folder / ".git").is_dir() else folder

    def refs(self) -> dict[str, str]:
        """What every ref leads to, `HEAD` included; annotated tags are peeled.

        Raises:
            RepoNotFoundError: there is no such repo, or not for us.
            HubUnreachableError: no answer.
            HubError: another failure of git.
        """
        found = {}
        for line in self._git("ls-remote", "--quiet", "--", self.url).text.splitlines():
            oid, _, name = line.partition("\t")
            found[name.removesuffix("^{}")] = oid  # the peeled line comes after the tag's own
        return found

    def fetch(self, repo: Path, *specs: str, depth: int = 1, options: tuple[str, ...] = ()) -> None:
        """Fetch into the repo `repo`.

        Args:
            repo: a bare git directory.
            specs: what, as git's refspecs.
            depth: how many commits of the history; 0 is all of it.
            options: more options.

        Raises:
            HubError: as for `refs`; or it is more than it may bring.
        """
        shallow = [f"--depth={depth}"] if depth else []
        words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *shallow, *options]
        try:
            self._git(*words, "--", self.url, *specs, folder=repo, largest=self.limits.size)
        except EnvHubError as error:
            begun = list(repo.glob("objects/**/tmp_*"))  # a git that was killed leaves them
            is_full = any(file.stat().st_size >= self.limits.size for file in begun)
            for file in begun:
                file.unlink(missing_ok=True)
            raise (self._too_much() if is_full else error) from None

    def login(self, url: str) -> tuple[str, str]:
        """User name and password for a URL of this host: the URL's own, or what git knows.

        Raises:
            HubError: git knows none.
        """
        asked = f"url={url}\n\n".encode()
        words = self._git("credential", "fill", stdin=asked).text.splitlines()
        found = dict(line.split("=", 1) for line in words if "=" in line)
        return found.get("username", ""), found.get("password", "")

    def _git(
        self,
        *words: str,
        folder: Path | None = None,
        stdin: bytes = b"",
        largest: int | None = None,
    ) -> Completed:
        try:
            return git(*words, folder=folder, stdin=stdin, env=self.env, largest=largest)
        except CommandError as error:
            raise self._meaning(error) from None  # the cause would show the whole command line

    def _too_much(self) -> HubError:
        return HubError(
            f"{self.url} sends more than {self.limits.size:,} bytes",
            why="the limit keeps a repo from filling the disk by surprise",
            hint=f"ENVHUB_MAX_SIZE={self.limits.size * 2}   # if you expect that of it",
        )

    def _meaning(self, error: CommandError) -> EnvHubError:
        said = error.why.lower()
        if any(words in said for words in _TOO_LARGE):
            return self._too_much()
        if any(words in said for words in _UNREACHABLE):
            return HubUnreachableError(
                f"{self.url} could not be reached", why=error.why, hint="check the connection"
            )
        if any(words in said for words in _NO_REVISION):
            return RevisionNotFoundError(f"{self.url} has no such commit", why=error.why)
        if any(words in said for words in _NOT_FOUND):
            return RepoNotFoundError(
                f"there is no git repo {self.url}, or it is not open to you",
                why=error.why,
                hint=f"check that `git ls-remote {self.url}` works",
            )
        return HubError(f"git could not read {self.url}", why=error.why or error.what)
