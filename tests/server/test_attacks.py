"""What strangers try: paths out of the repo, evil refs, forged hashes, git's weak spots."""

from __future__ import annotations

import hashlib
import os
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.conftest import Running

from envhub.server.names import check_name, check_path, check_ref
from envhub.server.refusals import Refusal

BAD_PATHS = [
    "",
    "/",
    "/etc/passwd",
    "../x",
    "a/../b",
    "a/..",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    ".git",
    ".git/config",
    ".GIT/config",
    ".Git",
    "a/.git/hooks/post-update",
    "git~1",
    "GIT~1/config",
    "git~2",
    ".git.",
    ".git ",
    ".git. . ",
    ".git::$INDEX_ALLOCATION",
    ".git:stream",
    ".g\u200cit/config",
    "\u200d.git",
    ".git\u2060",
    "a\\b",
    "..\\x",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\tb",
    "x" * 256,
    "a/" * 1001 + "a",
]
GOOD_PATHS = [
    "a",
    ".gitignore",
    ".gitattributes",
    ".github/x",
    "git",
    "a..b",
    "...",
    "-rf",
    "--upload-pack=x",
    "a b/c+d%20",
    "ünïcode/日本",
    "$(touch x)",
    "'; DROP TABLE repos; --",
    "con",
    "[x]*?",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=repr)
def test_paths_in_commits(running: Running, path: str) -> None:
    """No commit has a path that leaves the repo or is git's own on some system."""
    repo = running.new()
    before = running.head(repo)
    oid = running.send_lfs(repo, b"large enough")
    large = {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid}}
    assert running.commit(repo, {path: "x"}).status_code == 400
    assert running.commit(repo, {}, lines=[large]).status_code == 400
    if path.rstrip("/"):
        gone = {"key": "deletedFolder", "value": {"path": path}}
        assert running.commit(repo, {}, lines=[gone]).status_code in {400, 404}
    assert running.head(repo) == before


def test_paths_that_are_fine(running: Running) -> None:
    """Odd names are names: they come back byte by byte."""
    repo = running.new()
    answer = running.commit(repo, {path: f"<{path}>" for path in GOOD_PATHS})
    assert answer.status_code == 200, answer.text
    for path in GOOD_PATHS:
        found = running.get(f"/{repo}/resolve/main/{quote(path)}")
        assert found.text == f"<{path}>"
    entries = running.get(f"/api/models/{repo}/tree/main?recursive=true").json()
    assert {*GOOD_PATHS} <= {entry["path"] for entry in entries}


@given(st.text(max_size=30))
def test_any_path(path: str) -> None:
    """A path that is accepted stays inside, whoever reads it."""
    try:
        check_path(path)
    except Refusal:
        return
    assert not {"", ".", ".."} & set(path.split("/"))
    assert not path.startswith("/")
    assert "\\" not in path
    assert ".git" not in path.lower().split("/")


BAD_REFS = [
    "-x",
    "--upload-pack=touch /tmp/x",
    "a..b",
    "a b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[",
    "@{",
    "@",
    "a.lock",
    "a/.b",
    ".a",
    "a/",
    "/a",
    "a//b",
    "a\\b",
    "a\x01",
    "HEAD",
    "refs/heads/x",
    "refs/keep/" + "0" * 40,
    "0" * 40,
    "x" * 300,
]


@pytest.mark.parametrize("ref", BAD_REFS)
def test_evil_refs(running: Running, ref: str) -> None:
    """No branch or tag looks like an option, a commit, or git's own; asking for one is harmless."""
    repo = running.new()
    quoted = quote(ref, safe="")
    answer = running.post(f"/api/models/{repo}/branch/{quoted}", {}, "ada")
    assert answer.status_code in {400, 404}
    assert running.post(f"/api/models/{repo}/tag/main", {"tag": ref}, "ada").status_code == 400
    for path in (f"/api/models/{repo}/revision/{quoted}", f"/{repo}/resolve/{quoted}/env.py"):
        assert running.get(path).status_code == 404
    path = f"/api/models/{repo}/branch/{quoted}"
    assert running.ask("DELETE", path, user="ada").status_code in {403, 404}
    body = {"startingPoint": ref}
    answer = running.post(f"/api/models/{repo}/branch/fine", body, "ada")
    assert answer.status_code == (200 if ref in {"refs/heads/main"} else 404)


@given(st.text(max_size=20))
def test_any_ref(ref: str) -> None:
    """A name that is accepted can stand on git's command line."""
    try:
        check_ref(ref, "branch")
    except Refusal:
        return
    assert not ref.startswith("-")
    assert not set(ref) & set(" ~^:?*[\\\0\n")


BAD_NAMES = [
    "",
    ".",
    "..",
    "-a",
    "a-",
    ".git",
    "a.git",
    "a--b",
    "a..b",
    "a/b",
    "a b",
    "ä",
    "x" * 97,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names(running: Running, name: str) -> None:
    """Repos have plain names; users' are not those of the hub's own pages, either."""
    assert running.post("/api/repos/create", {"name": name}, "ada").status_code == 400
    for what in ("user", "org"):
        with pytest.raises(Refusal):
            check_name(name, what)
    for reserved in ("api", "Spaces", "device", "healthz"):
        with pytest.raises(Refusal, match="reserved"):
            check_name(reserved, "user")


def batch(running: Running, repo: str, user: str, operation: str, oid: str, size: int) -> Any:
    body = {"operation": operation, "objects": [{"oid": oid, "size": size}]}
    answer = running.post(f"/{repo}.git/info/lfs/objects/batch", body, user)
    assert answer.status_code == 200, answer.text
    return answer.json()["objects"][0]


def test_hash_opens_nothing(running: Running) -> None:
    """Who knows the hash of a private file gets it by no way: not LFS, not a commit."""
    victim, attacker = running.new(private=True), running.new("eve")
    secret = os.urandom(5000)
    oid = running.send_lfs(victim, secret)
    assert batch(running, attacker, "eve", "download", oid, 5000)["error"]["code"] == 404
    assert "upload" in batch(running, attacker, "eve", "upload", oid, 5000)["actions"]
    line = {"key": "lfsFile", "value": {"path": "x", "algo": "sha256", "oid": oid}}
    assert running.commit(attacker, {}, "eve", lines=[line]).status_code == 400
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 5000\n"
    assert running.commit(attacker, {"x": pointer}, "eve").status_code == 200
    found = running.get(f"/{attacker}/resolve/main/x", "eve")
    assert found.status_code == 404
    assert secret not in found.content
    verify = {"oid": oid, "size": 5000}
    assert running.post(f"/{attacker}.git/info/lfs/verify", verify, "eve").status_code == 404


def test_gated_bytes_stay_gated(running: Running) -> None:
    """A gated repo's files do not come out through a repo of one's own, either."""
    victim, attacker = running.new(), running.new("eve")
    oid = running.send_lfs(victim, os.urandom(3000))
    settings = {"gated": "manual"}
    running.ask("PUT", f"/api/models/{victim}/settings", user="ada", json=settings)
    assert "upload" in batch(running, attacker, "eve", "upload", oid, 3000)["actions"]
    assert batch(running, attacker, "eve", "download", oid, 3000)["error"]["code"] == 404


def test_readable_bytes_are_shared(running: Running) -> None:
    """What one may read anyway need not be sent again."""
    source, target = running.new(), running.new("eve")
    data = os.urandom(3000)
    oid = running.send_lfs(source, data)
    assert "actions" not in batch(running, target, "eve", "upload", oid, 3000)
    line = {"key": "lfsFile", "value": {"path": "x", "algo": "sha256", "oid": oid, "size": 3000}}
    assert running.commit(target, {}, "eve", lines=[line]).status_code == 200
    assert running.get(f"/{target}/resolve/main/x").content == data


def test_other_bytes(running: Running) -> None:
    """Bytes that are not those of the hash are refused, whatever is wrong; nothing is left."""
    repo = running.new()
    data = b"the right bytes"
    oid = hashlib.sha256(data).hexdigest()
    href = batch(running, repo, "ada", "upload", oid, len(data))["actions"]["upload"]["href"]
    for wrong in (b"the wrong bytes", b"short", data + b"more"):
        assert running.client.put(href, content=wrong).status_code in {400, 413}
    assert running.hub.blobs.size(oid) is None
    assert list((running.hub.folder / "tmp").iterdir()) == []
    assert running.client.put(href, content=data).status_code == 200
    got = batch(running, repo, "ada", "download", oid, len(data))["actions"]["download"]["href"]
    assert running.client.get(got).content == data
    part = running.client.get(got, headers={"Range": "bytes=4-8"})
    assert part.content == data[4:9]


def test_changed_addresses(running: Running) -> None:
    """An address for one file and purpose is good for no other."""
    repo = running.new()
    href = batch(running, repo, "ada", "upload", "3" * 64, 9)["actions"]["upload"]["href"]
    assert running.client.get(href).status_code == 403
    assert running.client.put(href[:-2] + "xx", content=b"x").status_code == 403
    assert running.client.put(f"{running.url}/api/blobs/x.y", content=b"x").status_code == 403
    wrong = {"operation": "upload", "objects": [{"oid": "../../x", "size": 1}]}
    answer = running.post(f"/{repo}.git/info/lfs/objects/batch", wrong, "ada")
    assert answer.json()["objects"][0]["error"]["code"] == 422
    for body in ({"operation": "steal", "objects": []}, {"operation": "upload"}):
        path = f"/{repo}.git/info/lfs/objects/batch"
        assert running.post(path, body, "ada").status_code == 400


def test_sizes_that_lie(running: Running) -> None:
    """A commit cannot say that a file has another size than it has."""
    repo = running.new()
    oid = running.send_lfs(repo, b"12345")
    for size in (4, 6):
        value = {"path": "x", "algo": "sha256", "oid": oid, "size": size}
        line = {"key": "lfsFile", "value": value}
        assert running.commit(repo, {}, lines=[line]).status_code == 400


YAML_BOMB = "---\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    "card",
    [
        YAML_BOMB + "---\n",
        "---\n" + "[" * 5000 + "\n---\n",
        "---\n!!python/object/apply:os.system ['touch x']\n---\n",
        "---\ntags: {a: b}\nlibrary_name: [x]\n---\n",
        "---\ntags: [1, null, 2.5, [x]]\n1: 2\ndate: 2026-01-01\n---\n",
    ],
    ids=range(5),
)
def test_evil_cards(running: Running, card: str) -> None:
    """A card that is no card, or one that grows without end, harms neither commit nor search."""
    repo = running.new()
    assert running.commit(repo, {"README.md": card}).status_code == 200
    assert running.get(f"/api/models/{repo}").status_code == 200
    assert running.get("/api/models?full=true&limit=1000").status_code == 200


WORDS = [
    '"',
    "'",
    "a OR b",
    "NEAR(",
    "*",
    "%",
    "_",
    "\\",
    "x\0y",
    "--",
    "a" * 300,
    "日",
    "AND",
    "^a",
]


@pytest.mark.parametrize("words", WORDS)
def test_evil_words(running: Running, words: str) -> None:
    """Whatever is looked for is looked for, and nothing else happens."""
    answer = running.get(f"/api/models?search={quote(words)}&author={quote(words)}")
    assert answer.status_code == 200
    answer = running.get(f"/api/models?search={quote(words)}")
    assert answer.status_code == 200
