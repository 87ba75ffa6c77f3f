"""Commits that wait to be looked at: one after the other, in a process of their own, each once.

The list is in the database, so a hub that ends goes on where it was. It is bounded, and its owners
take turns, so that nobody keeps the others waiting for long.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from subprocess import TimeoutExpired  # noqa: TID251 - an exception, no process
from typing import TYPE_CHECKING, Final

import msgspec
import pygit2

from envhub import proc
from envhub.server import cages
from envhub.server.about import About, Check
from envhub.server.abouts import Preview
from envhub.server.checkout import check_out
from envhub.server.repos import Repo

if TYPE_CHECKING:
    from envhub.server.hub import Hub

logger = logging.getLogger("envhub.server")

MOST: Final = 2000
"""Jobs on the list; what is new then waits until somebody asks for it again."""
MOST_PER_REPO: Final = 50
TRIES: Final = 2
"""How often the hub may end while it looks at a commit, before it stops trying."""
_KINDS = ("model", "space")
_PUT = "INSERT OR IGNORE INTO jobs (repo, sha) SELECT id, ? FROM repos WHERE id = ?"
_MAX_ABOUT = 4_000_000
_OWN_MEMORY = 1_000_000_000
_LOOK_SECONDS = 0.25
_SHOWN = 300
_LAST_WORDS = 2000


class Jobs:
    """Looks at new commits in the background, while `start` to `stop`.

    Args:
        hub: whose commits.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._database = hub.database
        self._abouts = hub.abouts
        self._config = hub.config
        self._folder = hub.folder / "jobs"
        self._news = threading.Event()
        self._ending = threading.Event()
        self._rest = threading.Condition()
        self._busy = False
        self._lock = threading.Lock()
        self._process: proc.Running | None = None
        self._thread: threading.Thread | None = None
        self._served: dict[int, int] = {}
        self._done = 0

    def add(self, repo: Repo, commits: Iterable[str]) -> None:
        """Put commits on the list, but those that are known or on it."""
        if not self._config.examine or repo.kind not in _KINDS:
            return
        run = self._config.validate
        fresh = [each for each in commits if not self._abouts.is_known(repo.id, each, ran=run)]
        if not fresh:
            return
        with self._database.write() as connection:
            (total, own) = connection.execute(
                "SELECT count(*), count(CASE WHEN repo = ? THEN 1 END) FROM jobs", (repo.id,)
            ).fetchone()
            room = max(0, min(MOST - total, MOST_PER_REPO - own))
            connection.executemany(_PUT, [(sha, repo.id) for sha in fresh[:room]])
        if len(fresh) > room:
            logger.warning("%d commits of %s are not looked at", len(fresh) - room, repo.full_name)
        self._news.set()

    def start(self) -> None:
        """Begin, with what was on the list before."""
        if not self._config.examine:
            return
        self._ending.clear()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what was under way then is begun anew by the next `start`."""
        self._ending.set()
        self._news.set()
        with self._lock:
            self._kill()
        if self._thread:
            self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is on the list any more; whether that was in time."""

        def idle() -> bool:
            return not self._busy and not self._database.value("SELECT count(*) FROM jobs")

        with self._rest:
            return self._rest.wait_for(idle, seconds)

    def _work(self) -> None:
        while not self._ending.is_set():
            self._news.clear()
            job = self._next()
            if job is None and self._fill():
                continue
            with self._rest:
                self._busy = job is not None
                self._rest.notify_all()
            if job is None:
                self._news.wait()
                continue
            try:
                self._do(*job)
            except Exception:  # the hub goes on, whatever a repo may have in it
                logger.exception("looking at a commit failed", exc_info=True)
                self._abouts.put(*job, _failed("the hub could not look at it"), None, ran=True)

    def _fill(self) -> int:
        """Put heads that nobody has looked at onto the list, which is empty; how many."""
        heads = self._database.all(
            "SELECT id, head FROM repos"
            " LEFT JOIN abouts ON abouts.repo = repos.id AND abouts.sha = repos.head"
            " WHERE kind IN (?, ?) AND head != '' AND coalesce(ran, -1) < ?"
            " ORDER BY serial DESC LIMIT ?",
            *(*_KINDS, self._config.validate, MOST),
        )
        if heads:
            with self._database.write() as connection:
                connection.executemany(_PUT, [(row["head"], row["id"]) for row in heads])
        return len(heads)

    def _next(self) -> tuple[int, str] | None:
        """The repo and commit whose turn it is: of each owner the oldest, the owners by turns."""
        rows = self._database.all(
            "SELECT min(jobs.id) AS first, owner FROM jobs JOIN repos ON repos.id = jobs.repo"
            " GROUP BY owner"
        )
        if not rows:
            return None
        row = min(rows, key=lambda row: (self._served.get(row["owner"], 0), row["first"]))
        self._done += 1
        self._served[row["owner"]] = self._done
        job = self._database.one("SELECT repo, sha FROM jobs WHERE id = ?", row["first"])
        return (job["repo"], job["sha"]) if job else None

    def _do(self, repo_id: int, sha: str) -> None:
        run = self._config.validate
        with self._database.write() as connection:
            row = connection.execute(
                "UPDATE jobs SET tries = tries + 1 WHERE repo = ? AND sha = ? RETURNING tries",
                (repo_id, sha),
            ).fetchone()
        found = self._hub.repos.select("repos.id = ?", repo_id)
        if row is None or not found:
            return
        about: About | None = _failed("the hub ended each time that it looked at it")
        preview: Preview | None = None
        if row["tries"] <= TRIES:
            about, preview = self._examined(found[0], sha, run=run)
        if self._ending.is_set():  # not its fault
            forgive = "UPDATE jobs SET tries = tries - 1 WHERE repo = ? AND sha = ?"
            self._database.change(forgive, repo_id, sha)
            return
        self._abouts.put(repo_id, sha, about, preview, ran=run)
        self._prune()
        for repo in self._hub.repos.select("repos.id = ?", repo_id):
            if repo.head == sha:
                self._hub.index.update(repo, force=True)

    def _examined(self, repo: Repo, sha: str, *, run: bool) -> tuple[About | None, Preview | None]:
        """Look at a commit; what is there of it is gone afterwards."""
        shutil.rmtree(self._folder / "now", ignore_errors=True)
        folder = self._folder / "now"
        files = folder / repo.name
        try:
            git = self._hub.repos.git(repo)
            missing = check_out(
                git, sha, files, self._hub.blobs, most=self._config.validate_bytes * run
            )
        except (pygit2.GitError, KeyError, OSError) as error:
            return _failed(f"its files cannot be read: {error}"[:_SHOWN]), None
        if missing is None:
            return None, None
        order = {
            "repo": repo.name,
            "run": run and not missing,
            "memory": self._config.validate_memory,
        }
        (folder / "order.json").write_bytes(msgspec.json.encode(order))
        try:
            trouble = self._run(folder)
            about = _found(folder, trouble)
            if about and run and missing:
                check = Check("loads", False, f"it was not run: {missing}")
                about = msgspec.structs.replace(about, checks=(*about.checks, check))
            return about, _preview(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prune(self) -> None:
        """Throw the packages of envs away if they have become too much."""
        cache = self._folder / "cache"
        held = sum(path.lstat().st_size for path in cache.rglob("*") if path.is_file())
        if held > self._config.validate_cache:
            shutil.rmtree(cache, ignore_errors=True)

    def _run(self, folder: Path) -> str:
        """Run the process to its end, or ours; how it failed, if it did."""
        cache = self._folder / "cache"
        environ = {
            "ENVHUB_HOME": str(cache),
            "ENVHUB_CONFIG": str(self._folder / "config"),
            "TMPDIR": str(folder / "tmp"),
            **dict.fromkeys(("ENVHUB_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "ENVHUB_LOCK")),
        }
        (folder / "tmp").mkdir()
        words = (sys.executable, "-m", "envhub.server.examining", str(folder), str(os.getpid()))
        with (folder / "said").open("w+b") as said:
            with self._lock:
                if self._ending.is_set():
                    return "the hub ended"
                self._process = proc.start(words, env=environ, output=said.fileno())
            code, trouble = self._watched(self._process)
            with self._lock:
                self._kill()
            said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_WORDS))
            last = said.read().decode(errors="replace").strip()
        if code is None:
            return trouble
        return f"it ended with status {code}: {last.rpartition(chr(10))[2][:_SHOWN]}" * bool(code)

    def _watched(self, process: proc.Running) -> tuple[int | None, str]:
        """The status with which a process ends; `None` if it must be ended, and why.

        Its cage has a limit of its own, but what an env declares as its observations is mapped by
        the process outside, too.
        """
        rules = self._config
        end = time.monotonic() + rules.validate_seconds
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutExpired):
                return process.wait(_LOOK_SECONDS), ""
            if cages.memory(process.pid) > rules.validate_memory + _OWN_MEMORY:
                return None, f"it took more than {rules.validate_memory:,} bytes of memory"
        return None, f"it did not end within {rules.validate_seconds:g} s"

    def _kill(self) -> None:
        """End the process, and with it all that it has started."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                cages.end(process.pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _found(folder: Path, trouble: str) -> About | None:
    """What the process has found, and how it failed, if it did."""
    path = folder / "about.json"
    about: About | None = None
    if path.is_file() and path.stat().st_size <= _MAX_ABOUT:
        about = msgspec.json.decode(path.read_bytes(), type=About | None)
        if about is None:
            return None
    if not trouble:
        return about
    if about is None:
        return _failed(trouble)
    seen = {check.name for check in about.checks}
    stage = next(name for name in ("loads", "steps", "deterministic", "ends") if name not in seen)
    return msgspec.structs.replace(
        about, state="checked", checks=(*about.checks, Check(stage, False, trouble))
    )


def _preview(folder: Path) -> Preview | None:
    path = folder / "preview.webp"
    if not path.is_file() or path.stat().st_size > _MAX_ABOUT:
        return None
    return Preview("image/webp", path.read_bytes())


def _failed(text: str) -> About:
    return About("read", checks=(Check("manifest", None, text),))
