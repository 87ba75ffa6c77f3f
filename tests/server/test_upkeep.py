"""Clean-up, checks, backup: nothing that is needed goes, nothing that is wrong stays unseen."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from tests.server.conftest import Running, run_hub
from tests.server.test_xet import Cas, X
from tests.server.xetdata import chunk

from envhub.errors import ArgumentError
from envhub.server import tidying
from envhub.server.backup import back_up, restore
from envhub.server.checking import check
from envhub.server.cleaning import clean
from envhub.server.config import Config
from envhub.server.hub import Hub
from envhub.server.repos import Repo


def row(running: Running, name: str) -> Repo:
    repo = running.hub.repos.find("model", name)
    assert repo
    return repo


def add_large(running: Running, repo: str, data: bytes) -> str:
    oid = running.send_lfs(repo, data)
    value = {"path": "large", "algo": "sha256", "oid": oid, "size": len(data)}
    answer = running.commit(repo, {}, lines=[{"key": "lfsFile", "value": value}])
    assert answer.status_code == 200
    return oid


def test_clean(running: Running) -> None:
    """What no commit names goes, once it is old enough; what one names, or named, stays."""
    repo = running.new()
    first, second = (add_large(running, repo, os.urandom(5000)) for _ in range(2))
    loose = running.send_lfs(repo, os.urandom(5000))
    gone = running.new()
    orphan = add_large(running, gone, os.urandom(5000))
    running.ask("DELETE", "/api/repos/delete", user="ada", json={"name": gone[4:]})
    (running.hub.folder / "tmp" / "half").write_text("x")
    (running.hub.folder / "repos" / "00").mkdir(exist_ok=True)
    (running.hub.folder / "repos" / "00" / "00ff.git").mkdir()
    assert clean(running.hub).blobs == 0
    done = clean(running.hub, grace=0)
    assert (done.folders, done.links, done.uploads) == (1, 1, 1)
    assert done.blobs == 2
    assert done.bytes == 10_000
    held = {oid: running.hub.blobs.size(oid) for oid in (first, second, loose, orphan)}
    assert held == {first: 5000, second: 5000, loose: None, orphan: None}
    assert list(check(running.hub)) == []


def test_clean_lets_xet_begin_anew(running: Running) -> None:
    """When chunks go that clients may remember, they get a new store."""
    waiting, made = running.new(), running.new()
    Cas(running, waiting).xorb(X, chunk(b"never used"))
    cas = Cas(running, made)
    cas.xorb(X, chunk(b"used once"))
    assert cas.file(b"used once", (X, 0, 1, 9)).status_code == 200
    before = {name: row(running, name).cas for name in (waiting, made)}
    clean(running.hub, grace=0)
    for name in (waiting, made):
        assert row(running, name).cas != before[name]
    again = Cas(running, made)
    again.xorb(X, chunk(b"used once"))
    assert again.file(b"used once", (X, 0, 1, 9)).status_code == 200
    assert list(check(running.hub, deep=True)) == []


def test_the_first_pack_has_all(running: Running) -> None:
    """What no ref leads to is packed, too, in a repo that had no pack before."""
    repo = row(running, running.new())
    git = running.hub.repos.git(repo)
    blobs = [git.git.create_blob(b"first %d" % number) for number in range(100)]
    assert tidying.pack(running.hub.repos, repo)
    folder = running.hub.repos.folder(repo) / "objects"
    assert len(list((folder / "pack").glob("*.pack"))) == 1
    assert not [path for path in folder.glob("??/*") if path.parent.name != "pack"]
    assert all(blob in running.hub.repos.git(repo).git for blob in blobs)


def test_clean_packs(running: Running) -> None:
    """A repo of many small files on disk becomes one pack, and stays what it was."""
    name = running.new()
    git = running.hub.repos.git(row(running, name))
    for number in range(4000):
        git.git.create_blob(b"%d" % number)
    running.commit(name, {"7": "7"})
    folder = running.hub.repos.folder(row(running, name))
    clean(running.hub)
    assert len(list((folder / "objects" / "pack").glob("*.pack"))) == 1
    assert not list((folder / "objects" / "17").glob("*"))
    assert running.get(f"/{name}/resolve/main/7").text == "7"
    blob = git.git.create_blob(b"3999")
    assert blob in running.hub.repos.git(row(running, name)).git


def test_check_finds_everything(tmp_path: Path) -> None:
    """A lost folder, a broken object, a lost, short or changed file: each is told."""
    for running in run_hub(tmp_path / "hub"):
        names = [running.new() for _ in range(3)]
        oids = [add_large(running, name, os.urandom(3000)) for name in names]
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'7' * 64}\nsize 5\n"
        running.commit(names[2], {"never": pointer})
        assert len(list(check(running.hub))) == 1
        shutil.rmtree(running.hub.repos.folder(row(running, names[0])))
        objects = running.hub.repos.folder(row(running, names[1])) / "objects"
        loose = max(objects.glob("??/*"), key=lambda path: path.stat().st_size)
        loose.chmod(0o644)
        loose.write_bytes(b"broken")
        files = [running.hub.folder / "blobs" / oid[:2] / oid[2:4] / oid for oid in oids]
        for file in files:
            file.chmod(0o644)
        files[0].unlink()
        files[1].write_bytes(b"short")
        files[2].write_bytes(bytes(3000))
        found = "\n".join(check(running.hub, deep=True))
        for word in ("its folder is gone", "never uploaded", "its file is gone", "5 bytes, not"):
            assert word in found
        assert f"{oids[2]}: its bytes are others" in found
        assert f"{names[1]} (model): " in found


def test_backup_under_load(running: Running, tmp_path: Path) -> None:
    """A backup that is taken while others work is whole, and restores to a hub."""
    name = running.new(private=True)
    oid = add_large(running, name, os.urandom(5000))
    ended = Event()

    def work(_: int) -> None:
        repo = running.new()
        while not ended.is_set():
            add_large(running, repo, os.urandom(2000))
        running.ask("DELETE", "/api/repos/delete", user="ada", json={"name": repo[4:]})

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(work, number) for number in range(3)]
        try:
            copied = back_up(running.hub, tmp_path / "backup")
        finally:
            ended.set()
        for job in jobs:
            job.result()
    assert copied >= 1
    assert list(restore(tmp_path / "backup", tmp_path / "restored")) == []
    hub = Hub(tmp_path / "restored", Config(durable=False))
    repo = hub.repos.find("model", name)
    assert repo
    assert repo.visibility == "private"
    assert hub.repos.git(repo).find("main") == running.head(name)
    assert hub.holdings.size(repo, oid) == 5000
    assert hub.accounts.caller(running.tokens["ada"])
    assert repo.cas != row(running, name).cas
    hub.close()


def test_backup_of_nothing(tmp_path: Path, running: Running) -> None:
    """Neither a backup nor a hub is written over, and what is no backup is not restored."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ArgumentError, match="not empty"):
        back_up(running.hub, tmp_path / "full")
    with pytest.raises(ArgumentError, match="no backup"):
        list(restore(tmp_path / "full", tmp_path / "new"))
    (tmp_path / "empty").mkdir()
    back_up(running.hub, tmp_path / "empty")
    with pytest.raises(ArgumentError, match="not empty"):
        list(restore(tmp_path / "empty", tmp_path / "full"))
