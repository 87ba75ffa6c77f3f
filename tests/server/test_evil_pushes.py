"""What strangers try by git: trees that git would not make, refs that are none, and nonsense."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from tests.server.conftest import Running

from envhub.server.gitrepo import MAX_DATA


def packet(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line


def tree_with(name: bytes, mode: bytes = b"100644", blob: bytes = b"evil") -> tuple[bytes, str]:
    """A pack with a commit whose tree has one entry of a name that git would not give it."""
    blob_id = hashlib.sha1(b"blob %d\0" % len(blob) + blob).digest()
    tree = mode + b" " + name + b"\0" + blob_id
    tree_id = hashlib.sha1(b"tree %d\0" % len(tree) + tree).hexdigest()
    person = b"E <e@example.org> 1700000000 +0000"
    commit = b"tree %s\nauthor %s\ncommitter %s\n\nx\n" % (tree_id.encode(), person, person)
    commit_id = hashlib.sha1(b"commit %d\0" % len(commit) + commit).hexdigest()
    parts = []
    for kind, data in ((3, blob), (2, tree), (1, commit)):
        size, first = len(data) >> 4, kind << 4 | len(data) & 15
        head = bytearray([first])
        while size:
            head[-1] |= 128
            head.append(size & 127)
            size >>= 7
        parts.append(bytes(head) + zlib.compress(data))
    body = b"PACK" + (2).to_bytes(4, "big") + (3).to_bytes(4, "big") + b"".join(parts)
    return body + hashlib.sha1(body).digest(), commit_id


def push(running: Running, repo: str, body: bytes) -> str:
    kind = {"Content-Type": "application/x-git-receive-pack-request"}
    path = f"/{repo}.git/git-receive-pack"
    answer = running.ask("POST", path, user="ada", content=body, headers=kind)
    assert answer.status_code == 200, answer.text
    return answer.text


EVIL_TREES = [b".git", b".GIT", b"git~1", b"..", b".", b"a/b", b".g\xe2\x80\x8cit"]


@pytest.mark.parametrize("name", EVIL_TREES)
def test_evil_trees(running: Running, name: bytes) -> None:
    """A pushed tree with a path that no commit could have is refused by git's own check."""
    repo = running.new()
    pack, commit = tree_with(name)
    line = f"{'0' * 40} {commit} refs/heads/evil\0report-status".encode()
    said = push(running, repo, packet(line) + b"0000" + pack)
    assert "unpack ok" not in said
    assert "ng refs/heads/evil" in said
    assert running.get(f"/api/models/{repo}/revision/evil").status_code == 404
    assert running.get(f"/api/models/{repo}/revision/{commit}").status_code == 404


def test_harmless_tree(running: Running) -> None:
    """The same push with a harmless name arrives, so that the refusals mean something."""
    repo = running.new()
    pack, commit = tree_with(b"fine")
    line = f"{'0' * 40} {commit} refs/heads/fine\0report-status".encode()
    assert "ok refs/heads/fine" in push(running, repo, packet(line) + b"0000" + pack)
    assert running.head(repo, revision="fine") == commit


BAD_COMMANDS = {
    "refs/keep/x": "only branches and tags",
    "refs/pr/1": "only branches and tags",
    "HEAD": "only branches and tags",
    "heads/x": "only branches and tags",
    "refs/heads/-x": "no name",
    "refs/heads/" + "0" * 40: "no name",
    "refs/tags/a..b": "no name",
}


@pytest.mark.parametrize("ref", BAD_COMMANDS)
def test_refs_that_cannot_be_pushed(running: Running, ref: str) -> None:
    """Only branches and tags of fine names can be pushed; git is told so in its own words."""
    repo = running.new()
    _, commit = tree_with(b"x")
    for capability in ("report-status", "report-status side-band-64k"):
        line = f"{'0' * 40} {commit} {ref}\0{capability}".encode()
        said = push(running, repo, packet(line) + b"0000")
        assert BAD_COMMANDS[ref] in said


NO_PUSHES = [b"", b"nonsense", b"zzzz", b"0003", b"ffff", packet(b"one two"), packet(b"a b c")]


@pytest.mark.parametrize("body", NO_PUSHES)
def test_no_pushes(running: Running, body: bytes) -> None:
    """What is no push is refused before git is started."""
    answer = running.ask("POST", f"/{running.new()}.git/git-receive-pack", user="ada", content=body)
    assert answer.status_code == 400


def test_inside_of_git_is_closed(running: Running) -> None:
    """The files of a git directory are not served."""
    repo = running.new()
    for path in ("config", "HEAD", "objects/info/packs", "refs/heads/main", "info/refs"):
        assert running.get(f"/{repo}.git/{path}").status_code in {403, 404}
    answer = running.get(f"/{repo}.git/info/refs?service=git-upload-archive")
    assert answer.status_code == 403
    for path in ("/../hub.sqlite3", "/%2e%2e/secret", "/ada/%2e%2e/resolve/main/secret"):
        assert running.get(path).status_code in {401, 404}


def test_bomb(running: Running) -> None:
    """A small push of a file that would fill the memory is listed by its size, and not read."""
    repo = running.new()
    size = MAX_DATA + 1
    pack, commit = tree_with(b"README.md", blob=bytes(size))
    assert len(pack) < size / 100
    line = f"{'0' * 40} {commit} refs/heads/bomb\0report-status".encode()
    assert "unpack ok" in push(running, repo, packet(line) + b"0000" + pack)
    (entry,) = running.get(f"/api/models/{repo}/tree/bomb").json()
    assert entry["size"] == size
    assert running.get(f"/api/models/{repo}/revision/bomb").json()["sha"] == commit
    answer = running.get(f"/{repo}/resolve/bomb/README.md")
    assert answer.status_code == 413
    assert "git-lfs" in answer.json()["error"]
