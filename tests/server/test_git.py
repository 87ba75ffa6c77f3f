"""Unmodified git and git-lfs: clone, push, force, shallow, partial; nothing pinned is lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Running

needs_lfs = pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not installed")


@pytest.fixture
def clone(running: Running, git: Any) -> str:
    """A repo with a file, cloned by its owner into `clone`."""
    repo = running.new()
    running.commit(repo, {"env.py": "x = 1\n"})
    git("clone", "clone", "-q", running.remote(repo), ".")
    return repo


def commit(git: Any, folder: Path, text: str) -> str:
    (folder / "clone" / "env.py").write_text(text)
    git("clone", "commit", "-qam", text)
    return str(git("clone", "rev-parse", "HEAD").text)


def test_push(running: Running, clone: str, git: Any, tmp_path: Path) -> None:
    """What is pushed is what the API shows at once: commit, tag, card, search."""
    (tmp_path / "clone" / "README.md").write_text("---\ntags: [pushed]\n---\nZyzzyva\n")
    git("clone", "add", ".")
    git("clone", "commit", "-qm", "Add a card")
    git("clone", "tag", "-a", "v1.0", "-m", "first")
    git("clone", "push", "-q", "origin", "main", "v1.0", "main:refs/heads/dev")
    sha = git("clone", "rev-parse", "HEAD").text
    assert running.head(clone) == sha
    refs = running.get(f"/api/models/{clone}/refs").json()
    assert [(tag["name"], tag["targetCommit"]) for tag in refs["tags"]] == [("v1.0", sha)]
    assert [branch["name"] for branch in refs["branches"]] == ["main", "dev"]
    assert running.get(f"/{clone}/resolve/v1.0/README.md").headers["x-repo-commit"] == sha
    found = running.get("/api/models?search=zyzzyva&filter=pushed").json()
    assert [each["id"] for each in found] == [clone]


def test_fetch(running: Running, clone: str, git: Any) -> None:
    """A commit through the API comes with the next pull; a shallow and a partial clone work."""
    running.commit(clone, {"new.py": "new", "env.py": "x = 2\n"})
    git("clone", "pull", "-q")
    assert git("clone", "log", "--format=%s %an", "-1").text == "change ada"
    git("shallow", "clone", "-q", "--depth=1", running.remote(clone, None), ".")
    assert git("shallow", "rev-list", "--count", "HEAD").text == "1"
    git("partial", "clone", "-q", "--filter=blob:none", running.remote(clone, None), ".")
    assert git("partial", "show", "HEAD:new.py").text == "new"
    said = git("shallow", "ls-remote", "origin", GIT_TRACE_PACKET="1")
    assert b"version 2" in said.stderr


def test_force_push_loses_nothing(running: Running, clone: str, git: Any, tmp_path: Path) -> None:
    """A commit that a branch was forced away from can be loaded, and fetched, for ever."""
    lost = commit(git, tmp_path, "lost")
    git("clone", "push", "-q", "origin", "main")
    git("clone", "reset", "-q", "--hard", "HEAD~1")
    found = commit(git, tmp_path, "found")
    git("clone", "push", "-qf", "origin", "main")
    assert running.head(clone) == found
    for packed in (False, True):
        if packed:
            repo = running.hub.repos.find("model", clone)
            assert repo
            git(".", "--git-dir", str(running.hub.repos.folder(repo)), "gc", "-q", "--prune=now")
        assert running.get(f"/{clone}/resolve/{lost}/env.py").text == "lost"
        git(f"other{packed}", "init", "-q")
        git(f"other{packed}", "fetch", "-q", "--depth=1", running.remote(clone), lost)
    shown = git("clone", "ls-remote", "origin").text
    assert "refs/keep" not in shown
    assert lost not in shown


def test_fast_forward_keeps_no_refs(running: Running, clone: str, git: Any, tmp_path: Path) -> None:
    """Only commits that nothing else leads to are held on to."""
    for text in ("one", "two"):
        commit(git, tmp_path, text)
        git("clone", "push", "-q", "origin", "main")
    repo = running.hub.repos.find("model", clone)
    assert repo
    names = list(running.hub.repos.git(repo).git.references)
    assert names == ["refs/heads/main"]


def test_deleted_branch_loses_nothing(
    running: Running, clone: str, git: Any, tmp_path: Path
) -> None:
    """The commits of a deleted branch or tag stay, whoever deleted it and how."""
    git("clone", "checkout", "-qb", "side")
    by_push = commit(git, tmp_path, "by push")
    git("clone", "push", "-q", "origin", "side")
    git("clone", "push", "-q", "origin", ":side")
    running.post(f"/api/models/{clone}/branch/other", {}, "ada")
    by_api = running.commit(clone, {"o": "o"}, revision="other").json()["commitOid"]
    assert running.ask("DELETE", f"/api/models/{clone}/branch/other", user="ada").status_code == 200
    for sha in (by_push, by_api):
        assert running.head(clone, revision=sha) == sha
    for name in ("side", "other"):
        assert running.get(f"/api/models/{clone}/revision/{name}").status_code == 404


def test_main_stays(running: Running, clone: str, git: Any) -> None:
    """Nobody deletes the branch that others load."""
    done = git("clone", "push", "origin", ":main", check=False)
    assert b"cannot be deleted" in done.stderr
    assert running.ask("DELETE", f"/api/models/{clone}/branch/main", user="ada").status_code == 403


def test_who_may_push(running: Running, clone: str, git: Any) -> None:
    """Pushing needs a token that may write; cloning a private repo one that may read."""
    git("clone", "commit", "-q", "--allow-empty", "-m", "more")
    for user, said in ((None, b"could not read Username"), ("bob", b"403"), ("ada", b"")):
        remote = running.remote(clone, user)
        done = git("clone", "push", "-q", remote, "main", check=False)
        assert (done.returncode == 0) == (user == "ada"), done.stderr
        assert said in done.stderr
    hidden = running.new(private=True)
    for user in (None, "bob", "ada"):
        done = git(f"as-{user}", "clone", "-q", running.remote(hidden, user), ".", check=False)
        assert (done.returncode == 0) == (user == "ada")
    header = f"http.extraHeader=Authorization: Bearer {running.tokens['ada']}"
    git("bearer", "-c", header, "clone", "-q", running.remote(hidden, None), ".")


def test_slow_path(running: Running, clone: str, git: Any, tmp_path: Path) -> None:
    """A push that is sent in pieces, and one that is large, arrive whole."""
    data = os.urandom(3_000_000)
    (tmp_path / "clone" / "data.raw").write_bytes(data)
    git("clone", "add", ".")
    git("clone", "commit", "-qm", "large")
    git("clone", "-c", "http.postBuffer=65536", "push", "-q", "origin", "main")
    assert running.get(f"/{clone}/resolve/main/data.raw").content == data


@needs_lfs
def test_lfs(running: Running, clone: str, git: Any, tmp_path: Path) -> None:
    """git-lfs sends and fetches large files; what the API wrote, a clone has whole."""
    data = os.urandom(200_000)
    (tmp_path / "clone" / "model.bin").write_bytes(data)
    git("clone", "add", ".")
    git("clone", "commit", "-qm", "large")
    git("clone", "push", "-q", "origin", "main")
    found = running.get(f"/{clone}/resolve/main/model.bin")
    assert found.content == data
    assert "x-linked-size" in found.headers
    running.commit(clone, {"notes 1.txt": b"n" * 150_000})
    git("clone", "pull", "-q")
    assert (tmp_path / "clone" / "notes 1.txt").read_bytes() == b"n" * 150_000
    git("anonymous", "clone", "-q", running.remote(clone, None), ".")
    assert (tmp_path / "anonymous" / "model.bin").read_bytes() == data
    assert git("anonymous", "status", "--short").text == ""


@needs_lfs
def test_lfs_locks(running: Running, clone: str, git: Any) -> None:
    """A file can be locked; others see whose it is, and only force takes it away."""
    git("clone", "lfs", "lock", "env.py")
    assert "env.py" in git("clone", "lfs", "locks").text
    base = f"/{clone}.git/info/lfs/locks"
    again = running.post(base, {"path": "env.py"}, "ada")
    assert (again.status_code, again.json()["lock"]["owner"]["name"]) == (409, "ada")
    assert running.post(base, {"path": "x"}, "bob").status_code == 403
    number = again.json()["lock"]["id"]
    token = running.hub.accounts.new_token("eve", "w")
    repo = running.hub.repos.find("model", clone)
    assert repo
    eve = running.hub.accounts.get("eve")["id"]
    running.hub.database.change("INSERT INTO grants VALUES (?, ?, 'admin')", repo.id, eve)
    theirs = running.ask("POST", f"{base}/verify", token=token, json={}).json()
    assert [each["path"] for each in theirs["theirs"]] == ["env.py"]
    path = f"{base}/{number}/unlock"
    assert running.ask("POST", path, token=token, json={}).status_code == 403
    assert running.ask("POST", path, token=token, json={"force": True}).status_code == 200
    assert running.ask("POST", path, token=token, json={"force": True}).status_code == 404
    assert running.get(f"{base}?path=env.py").json()["locks"] == []
