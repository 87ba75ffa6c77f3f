"""Many at once, and a hub that is killed: nothing that was acknowledged is lost."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx2
import pytest
from tests.server.conftest import Running, populated
from tests.server.test_xet import Cas
from tests.server.xetdata import chunk

from envhub.server.checking import check
from envhub.server.cleaning import clean
from envhub.server.hub import Hub


def test_eight_committers(running: Running) -> None:
    """Eight clients commit to one branch at once; every commit is in its history."""
    repo = running.new()

    def work(number: int) -> list[str]:
        answers = [running.commit(repo, {f"f{number}/{n}": f"{n}"}) for n in range(6)]
        return [answer.json()["commitOid"] for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        made = [sha for shas in pool.map(work, range(8)) for sha in shas]
    found = running.get(f"/api/models/{repo}/commits/main?limit=100").json()
    assert {each["id"] for each in found} >= set(made)
    assert len(found) == len(made) + 1
    info = running.get(f"/api/models/{repo}").json()
    assert len(info["siblings"]) == 49
    assert [line for line in check(running.hub) if repo in line] == []


def test_branches_at_once(running: Running) -> None:
    """Of branches of one name that are made at the same time one is there, the others refused."""
    repo = running.new()

    def branch(number: int) -> int:
        answer = running.post(f"/api/models/{repo}/branch/b{number % 4}", {}, "ada")
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(branch, range(16)))
    assert sorted(answers) == [200] * 4 + [409] * 12
    refs = running.get(f"/api/models/{repo}/refs").json()
    assert len(refs["branches"]) == 5


NURSERY = """
import os, signal, sys
from pathlib import Path
from envhub.server.hub import Hub
from envhub.server import serving
for line in sys.stdin:
    child = os.fork()
    if not child:
        serving.run(Hub(Path(line.strip())), "127.0.0.1", 0, lambda url: print(url, flush=True))
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


class Nursery:
    """Starts hubs as quickly as they are killed: forks of a process that has imported all of it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def started(self, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        """A hub that runs, its address and what kills it, which the end of the block does, too."""
        process = self._process
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
        said = {process.stdout.readline().strip() for _ in range(2)}  # in either order
        (url,) = (each for each in said if each.startswith("http://"))
        (pid,) = (int(each) for each in said if each.isdigit())
        alive = [pid]  # once it is dead, the number may be another's

        def kill() -> None:
            while alive:
                os.kill(alive.pop(), signal.SIGKILL)

        try:
            yield url, kill
        finally:
            kill()

    def close(self) -> None:
        """Start no more."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Killed:
    """A hub in a process of its own that can be killed and started again.

    Attributes:
        done: what was acknowledged and not deleted: repo and path → content.
        news: released at each acknowledgement.
    """

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.token = token
        self.done: dict[tuple[str, str], bytes] = {}
        self.news = threading.Semaphore(0)
        self._lock = threading.Lock()

    @contextmanager
    def started(self) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """The hub, running; killed at the end of the block."""
        words = ["serve", "--data", str(self.folder), "--port", "0", "--quiet"]
        argv = [sys.executable, "-m", "envhub", *words, "--log-level", "error"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        try:
            yield _line(process.stdout), process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def work(self, url: str, number: int, round_: int) -> None:
        """Commit, upload and delete, one after the other, until the hub is gone."""
        headers = {"Authorization": f"Bearer {self.token}"}
        with (
            suppress(httpx2.HTTPError, AssertionError),
            httpx2.Client(base_url=url, headers=headers, timeout=10) as client,
        ):
            talk = Running(None, url, {"ada": self.token}, client)  # type: ignore[arg-type]  # it only talks
            for part in range(100):
                name = f"killed{round_}-{number}-{part}"
                client.post("/api/repos/create", json={"name": name}).raise_for_status()
                for step in range(6):
                    self._step(talk, f"ada/{name}", f"f{step}", step)
                if number % 2:
                    self._delete(client, name)

    def _delete(self, client: httpx2.Client, name: str) -> None:
        with self._lock:  # from here on it may or may not be there
            for key in [key for key in self.done if key[0] == f"ada/{name}"]:
                del self.done[key]
        client.request("DELETE", "/api/repos/delete", json={"name": name}).raise_for_status()

    def push(self, url: str, number: int, round_: int) -> None:
        """Push one commit after the other with git, until the hub is gone."""
        name = f"pushed{round_}-{number}"
        headers = {"Authorization": f"Bearer {self.token}"}
        with suppress(httpx2.HTTPError):
            httpx2.post(
                f"{url}/api/repos/create", json={"name": name}, headers=headers, timeout=10
            ).raise_for_status()
        folder = self.folder.parent / name
        remote = f"{url.replace('://', f'://ada:{self.token}@')}/ada/{name}"
        if not _git("clone", "-q", remote, folder):
            return
        for step in range(100):
            data = os.urandom(500)
            (folder / f"f{step}").write_bytes(data)
            _git("-C", folder, "add", ".")
            _git("-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
            if not _git("-C", folder, "push", "-q"):
                return
            self._note(f"ada/{name}", f"f{step}", data)

    def _step(self, talk: Running, repo: str, path: str, step: int) -> None:
        """Commit a file: a small one, one by LFS, one by Xet, in turns."""
        data = os.urandom(20_000 if step % 3 else 100)
        if not step % 3:
            answer = talk.commit(repo, {path: data})
        else:
            oid = talk.send_lfs(repo, data) if step % 3 == 1 else _send_xet(talk, repo, data)
            value = {"path": path, "algo": "sha256", "oid": oid, "size": len(data)}
            answer = talk.commit(repo, {}, lines=[{"key": "lfsFile", "value": value}])
        if answer.status_code == 200:
            self._note(repo, path, data)

    def _note(self, repo: str, path: str, data: bytes) -> None:
        with self._lock:
            self.done[repo, path] = data
        self.news.release()


def _git(*words: str | Path) -> bool:
    """Whether git did it."""
    return not subprocess.run(["git", *words], capture_output=True, check=False).returncode


def _send_xet(talk: Running, repo: str, data: bytes) -> str:
    cas = Cas(talk, repo)
    name = os.urandom(32).hex()
    assert cas.xorb(name, chunk(data)).status_code == 200
    assert cas.file(data, (name, 0, 1, len(data))).status_code == 200
    return hashlib.sha256(data).hexdigest()


def _line(stream: IO[str]) -> str:
    line = stream.readline().strip()
    assert line.startswith("http://"), line
    return line


def check_all(killed: Killed) -> None:
    """Everything that was acknowledged is there, and nothing is broken."""
    hub = Hub(killed.folder)
    try:
        assert list(check(hub, deep=True)) == []
        for (name, path), data in killed.done.items():
            repo = hub.repos.find("model", name)
            assert repo, name
            git = hub.repos.git(repo)
            entry = git.file(git.commit("main"), path)
            found = git.data(entry.oid)
            if entry.lfs:
                with hub.blobs.open(entry.lfs.oid) as file:
                    found = file.read()
            assert found == data
        clean(hub, grace=0)
        assert list(check(hub)) == []
        folders = set(hub.repos.folders())
        assert folders == {hub.repos.folder(repo) for repo in hub.repos.select("1")}
        assert list((hub.folder / "tmp").iterdir()) == []
        held = {row[0] for row in hub.database.all("SELECT sha256 FROM holdings")}
        assert set(hub.blobs) == held
    finally:
        hub.close()


def kill_often(folder: Path, times: int, workers: int, seed: int) -> int:
    hub, tokens = populated(folder, durable=False, lfs_over=10_000)
    hub.close()
    (folder / "hub.toml").write_text("durable = false\nlfs_over = 10000\n")
    killed = Killed(folder, tokens["ada"])
    chance = random.Random(seed)
    nursery = Nursery()
    for round_ in range(times):
        with nursery.started(folder) as (url, kill), ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(killed.push if n % 4 == 3 else killed.work, url, n, round_)
                for n in range(workers)
            ]
            for _ in range(chance.randint(1, 2 * workers)):
                killed.news.acquire(timeout=30)
            threading.Event().wait(chance.uniform(0, 0.1))
            kill()
            for job in jobs:
                job.result()
    nursery.close()
    check_all(killed)
    return len(killed.done)


def test_killed(tmp_path: Path) -> None:
    """A hub that is killed twice in the middle of work has all that it said it has."""
    assert kill_often(tmp_path / "hub", 2, 4, seed=1)


@pytest.mark.heavy
@pytest.mark.timeout(1400)
def test_killed_often(tmp_path: Path) -> None:
    """So has one that is killed two hundred times, with eight clients."""
    assert kill_often(tmp_path / "hub", 200, 8, seed=2) > 200


def test_stopped_gently(tmp_path: Path) -> None:
    """SIGTERM ends the hub after what is under way, with exit status 0."""
    hub, tokens = populated(tmp_path / "hub")
    hub.close()
    killed = Killed(tmp_path / "hub", tokens["ada"])
    with killed.started() as (url, process):
        with httpx2.Client(timeout=10) as client:
            talk = Running(hub, url, tokens, client)
            repo = talk.new()
            assert talk.commit(repo, {"a": b"a"}).status_code == 200
        process.terminate()
        assert process.wait(timeout=30) == 0
    check_all(killed)
