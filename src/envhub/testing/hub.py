"""A hub over a folder of git repos, on a loopback port: real HTTP, real git, no dependency."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from envhub.testing.bare import BareRepo, Files
from envhub.testing.routes import RouteError, answer
from envhub.testing.web import Reply, Request, Server

OWNER_TOKEN = "hf_testing_owner"  # noqa: S105 - a token of the testing hub, worth nothing
STRANGER_TOKEN = "hf_testing_stranger"  # noqa: S105 - as above


class ServedHub:
    """A running hub; make one with `serve_hub`.

    Attributes:
        url: its address, `http://127.0.0.1:<port>`.
        folder: where the repos are: `<type>s/<owner>/<name>.git`.
        token: opens everything, also private and gated repos.
        stranger: a valid token that opens nothing special.
        requests: what was asked so far.
        page: entries per page of a listing.
        cdn: an address that LFS files are redirected to, as the Hub does with its CDN.
        lfs_over: files larger than this many bytes are kept as LFS files.
    """

    token = OWNER_TOKEN
    stranger = STRANGER_TOKEN

    def __init__(self, folder: Path, *, lfs_over: int = 10_000_000) -> None:
        self.folder = folder
        self.lfs_over = lfs_over
        self.page = 1000
        self.cdn: str | None = None
        self.requests: list[Request] = []
        self._repos: dict[tuple[str, str], BareRepo] = {}
        self._failure: tuple[re.Pattern[str], int] | None = None
        self._cut: int | None = None
        self._open = threading.Event()
        self._open.set()
        self._server = Server(self._answer)
        self.url = self._server.url

    def add(
        self,
        repo_id: str,
        files: Files | Path,
        *,
        repo_type: str = "model",
        branch: str = "main",
        tag: str | None = None,
        private: bool | None = None,
        gated: bool | None = None,
        message: str = "Add files",
    ) -> str:
        """Commit files to a repo; it is created if it does not exist.

        Args:
            repo_id: `owner/name`.
            files: path → content (`None` deletes the file), or a folder.
            repo_type: `model`, `space` or `dataset`.
            branch: where to commit; a full ref such as `refs/pr/1` works too.
            tag: a tag for the commit.
            private: only `token` sees the repo; `None` leaves it as it is.
            gated: everybody sees the repo, only `token` may download; `None` leaves it.
            message: of the commit.

        Returns:
            The full hash of the commit.
        """
        repo = self._place(repo_type, repo_id)
        repo.init()
        old = repo.options
        repo.set_options(
            private=old.get("private", False) if private is None else private,
            gated=old.get("gated", False) if gated is None else gated,
        )
        content = _read_folder(files) if isinstance(files, Path) else files
        commit = repo.commit(content, branch=branch, message=message, lfs_over=self.lfs_over)
        if tag:
            repo.tag(tag, commit)
        return commit

    def repo(self, repo_type: str, repo_id: str) -> BareRepo | None:
        """The repo of that name."""
        repo = self._place(repo_type, repo_id)
        return repo if repo.folder.is_dir() else None

    def repos(self, repo_type: str) -> Iterator[BareRepo]:
        """All repos of a type, by name."""
        for folder in sorted(self.folder.glob(f"{repo_type}s/*/*.git")):
            yield self._place(repo_type, f"{folder.parent.name}/{folder.stem}")

    def git_url(self, repo_id: str, *, repo_type: str = "model") -> str:
        """The address that git clones from."""
        prefix = "" if repo_type == "model" else f"{repo_type}s/"
        return f"{self.url}/{prefix}{repo_id}"

    def fail(self, status: int | None, *, on: str = "") -> None:
        """Answer every request whose path has the pattern `on` with `status`; `None` ends it."""
        self._failure = None if status is None else (re.compile(on), status)

    def hold(self) -> None:
        """Let every request wait until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Answer the requests that wait."""
        self._open.set()

    def cut(self, size: int) -> None:
        """Break the connection off after `size` bytes of the next body that is longer."""
        self._cut = size

    def close(self) -> None:
        """Stop, and end every connection."""
        self.release()
        self._server.close()

    def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        self._open.wait()
        if self._failure and self._failure[0].search(request.path):
            return RouteError(self._failure[1], "", "the hub was told to fail").reply
        reply = answer(self, request)
        if self._cut is not None and reply.size > self._cut:
            reply, self._cut = replace(reply, cut=self._cut), None
        return reply

    def _place(self, repo_type: str, repo_id: str) -> BareRepo:
        key = (repo_type, repo_id)
        if key not in self._repos:
            folder = self.folder / f"{repo_type}s" / f"{repo_id}.git"
            self._repos[key] = BareRepo(folder, repo_id, repo_type)
        return self._repos[key]


@contextmanager
def serve_hub(folder: Path, *, lfs_over: int = 10_000_000) -> Iterator[ServedHub]:
    """Serve the git repos in a folder as a hub for as long as the block runs.

    Args:
        folder: where the repos are or will be: `<type>s/<owner>/<name>.git`.
        lfs_over: files larger than this many bytes are kept as LFS files.
    """
    hub = ServedHub(folder, lfs_over=lfs_over)
    try:
        yield hub
    finally:
        hub.close()


def _read_folder(folder: Path) -> dict[str, str | bytes | None]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    inside = [path.relative_to(folder) for path in files]
    return {
        path.as_posix(): (folder / path).read_bytes() for path in inside if ".git" not in path.parts
    }
