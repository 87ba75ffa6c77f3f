"""What the hub answers over plain HTTP, as clients of any language see it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.conftest import Running

BIG = os.urandom(150_000)


@pytest.fixture(scope="module")
def repo(running: Running) -> str:
    """A repo with small files, a large one, folders and two branches."""
    name = running.new()
    oid = running.send_lfs(name, BIG)
    files: dict[str, bytes | str | None] = {
        "env.py": "x = 1\n",
        "README.md": "---\ntags: [a]\n---\n# Hi\n",
        "a/b/c.txt": "c",
        "page.html": "<script>alert(1)</script>",
    }
    large = [{"key": "lfsFile", "value": {"path": "big.bin", "algo": "sha256", "oid": oid}}]
    assert running.commit(name, files, lines=large).status_code == 200
    answer = running.post(f"/api/models/{name}/branch/feature%2Fx", {}, "ada")
    assert answer.status_code == 200
    return name


RANGES = {
    "": (200, BIG),
    "bytes=0-9": (206, BIG[:10]),
    "bytes=100-": (206, BIG[100:]),
    "bytes=-7": (206, BIG[-7:]),
    "bytes=149999-200000": (206, BIG[-1:]),
    "bytes=0-0": (206, BIG[:1]),
    "bytes=5": (200, BIG),
    "bytes=1-2,5-6": (200, BIG),
    "bytes=150000-": (416, b""),
    "bytes=9-3": (416, b""),
}


@pytest.mark.parametrize("wanted", RANGES)
def test_ranges(running: Running, repo: str, wanted: str) -> None:
    """Any part of a file can be had; what is no single range means the whole."""
    status, data = RANGES[wanted]
    headers = {"Range": wanted} if wanted else {}
    answer = running.get(f"/{repo}/resolve/main/big.bin", headers=headers)
    assert answer.status_code == status
    if status != 416:
        assert answer.content == data
        assert answer.headers["content-length"] == str(len(data))
    if status == 206:
        first = BIG.rindex(data) if wanted.endswith(("-7", "000")) else BIG.index(data)
        expected = f"bytes {first}-{first + len(data) - 1}/{len(BIG)}"
        assert answer.headers["content-range"] == expected


def test_range_of_a_small_file(running: Running, repo: str) -> None:
    """Files that git keeps have parts, too."""
    answer = running.get(f"/{repo}/resolve/main/env.py", headers={"Range": "bytes=0-0"})
    assert (answer.status_code, answer.content) == (206, b"x")


def test_headers_of_a_file(running: Running, repo: str) -> None:
    """Clients learn commit, hash and size from HEAD, and nothing that makes them ask for Xet."""
    head = running.ask("HEAD", f"/{repo}/resolve/main/big.bin")
    sha = running.head(repo)
    assert head.headers["x-repo-commit"] == sha
    assert head.headers["etag"] == head.headers["x-linked-etag"]
    assert head.headers["x-linked-size"] == head.headers["content-length"] == str(len(BIG))
    assert "x-xet-hash" not in head.headers
    small = running.ask("HEAD", f"/{repo}/resolve/{sha}/env.py")
    data = b"x = 1\n"
    digest = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    assert small.headers["etag"] == f'"{digest}"'
    assert small.content == b""


def test_conditional(running: Running, repo: str) -> None:
    """A file that one has is not sent again; a part of one that has changed is sent whole."""
    address = f"/{repo}/resolve/main/big.bin"
    tag = running.ask("HEAD", address).headers["etag"]
    same = running.get(address, headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    stale = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert running.get(address, headers=stale).content == BIG
    fresh = {"Range": "bytes=0-9", "If-Range": tag}
    assert running.get(address, headers=fresh).content == BIG[:10]


def test_files_cannot_run(running: Running, repo: str) -> None:
    """A browser is told to download a page of a stranger's, and to run nothing of it."""
    headers = running.get(f"/{repo}/resolve/main/page.html").headers
    assert "sandbox" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")


REFUSALS: dict[str, tuple[int, str]] = {
    "/api/models/ada/nothing": (401, "RepoNotFound"),
    "/api/models/REPO/revision/nothing": (404, "RevisionNotFound"),
    "/api/models/REPO/tree/main/nothing": (404, "EntryNotFound"),
    "/api/models/REPO/tree/main/env.py": (404, "EntryNotFound"),
    "/REPO/resolve/main/nothing.py": (404, "EntryNotFound"),
    "/REPO/resolve/main/a/b": (404, "EntryNotFound"),
    "/REPO/resolve/nothing/env.py": (404, "RevisionNotFound"),
    "/REPO/resolve/" + "0" * 40 + "/env.py": (404, "RevisionNotFound"),
    "/api/models?sort=nothing": (400, ""),
    "/api/models?cursor=nothing": (400, ""),
    "/api/models/REPO/tree/main?cursor=x": (400, ""),
    "/api/nothing": (404, ""),
    "/api/repos/create": (405, ""),
    "/api/whoami-v2": (401, ""),
    "/REPO/resolve/main/%ff": (400, ""),
}


@pytest.mark.parametrize("path", REFUSALS)
def test_refusals(running: Running, repo: str, path: str) -> None:
    """Each refusal has its status, its code, and words both in the header and in the body."""
    status, code = REFUSALS[path]
    answer = running.get(path.replace("REPO", repo))
    assert answer.status_code == status
    assert answer.headers.get("x-error-code", "") == code
    assert answer.headers["x-error-message"]
    assert answer.json()["error"]


def test_missing_file_names_the_commit(running: Running, repo: str) -> None:
    """A client may remember that a commit lacks a file."""
    answer = running.ask("HEAD", f"/{repo}/resolve/main/nothing.py")
    assert answer.headers["x-repo-commit"] == running.head(repo)


REVISIONS = ["main", "feature/x", "refs/heads/main", "refs/heads/feature/x"]


@pytest.mark.parametrize("revision", REVISIONS)
def test_quoted_revisions(running: Running, repo: str, revision: str) -> None:
    """A revision with slashes arrives as one part of the path."""
    sha = running.head(repo)
    assert running.head(repo, revision=quote(revision, safe="")) == sha
    answer = running.get(f"/{repo}/resolve/{quote(revision, safe='')}/env.py")
    assert answer.headers["x-repo-commit"] == sha


def test_commit_is_a_revision(running: Running, repo: str) -> None:
    """A full hash is one; a part of it is not, and neither is one of a tree."""
    sha = running.head(repo)
    assert running.head(repo, revision=sha) == sha
    tree = running.get(f"/api/models/{repo}/tree/main").json()[1]["oid"]
    for other in (sha[:10], sha[:39], tree, sha.upper()):
        assert running.get(f"/api/models/{repo}/revision/{other}").status_code == 404


def pages(running: Running, path: str) -> list[list[Any]]:
    """All pages of a list, by the links between them."""
    found = []
    while path:
        answer = running.get(path)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        path = answer.links.get("next", {}).get("url", "")
    return found


def test_pages_of_a_tree(running: Running, repo: str) -> None:
    """A long list comes in pages, each with the address of the next; nothing is lost or twice."""
    short = pages(running, f"/api/models/{repo}/tree/main?recursive=True&limit=3")
    assert [len(page) for page in short] == [3, 3, 2]
    paths = [entry["path"] for page in short for entry in page]
    first = [".gitattributes", "README.md", "a", "a/b", "a/b/c.txt"]
    assert paths == [*first, "big.bin", "env.py", "page.html"]
    whole = pages(running, f"/api/models/{repo}/tree/main?recursive=True")
    assert [entry for page in whole for entry in page] == [e for page in short for e in page]


def test_pages_of_repos(running: Running) -> None:
    """So does the list of repos, in any order, also when repos have the same date."""
    names = {running.new() for _ in range(7)}
    for order in ("lastModified", "createdAt", "downloads"):
        for way in ("-1", "1"):
            found = pages(running, f"/api/models?sort={order}&direction={way}&limit=2&author=ada")
            ids = [each["id"] for page in found for each in page]
            assert len(ids) == len(set(ids))
            assert names <= set(ids)


def test_pages_of_a_history(running: Running) -> None:
    """And a history."""
    repo = running.new()
    for number in range(5):
        running.commit(repo, {"n": str(number)}, description=f"number {number}")
    found = pages(running, f"/api/models/{repo}/commits/main?limit=4")
    assert [len(page) for page in found] == [4, 2]
    assert found[0][0]["message"] == "number 4"
    assert found[1][1]["title"] == "initial commit"


def test_paths_info(running: Running, repo: str) -> None:
    """Forms and JSON both work; what is not there is left out."""
    path = f"/api/models/{repo}/paths-info/main"
    form = running.ask("POST", path, data={"paths": ["env.py", "nothing", "a"], "expand": "True"})
    assert [entry["path"] for entry in form.json()] == ["env.py", "a"]
    assert form.json()[0]["lastCommit"]["title"] == "change"
    answer = running.post(path, {"paths": ["big.bin"]})
    assert answer.json()[0]["lfs"]["size"] == len(BIG)
    assert running.post(path, {"paths": "env.py"}).status_code == 400


def test_fields_that_are_asked_for(running: Running, repo: str) -> None:
    """Info has the fields that are wanted, and no others."""
    answer = running.get(f"/api/models/{repo}?expand=author&expand=usedStorage&expand=nothing")
    assert set(answer.json()) == {"_id", "id", "modelId", "author", "usedStorage"}
    assert answer.json()["usedStorage"] >= len(BIG)
    listed = running.get("/api/models?expand=sha&author=ada&limit=1").json()
    assert set(listed[0]) == {"_id", "id", "modelId", "sha"}


def test_last_changes(running: Running) -> None:
    """A list with commits says for each file and folder when it was changed last."""
    repo = running.new()
    running.commit(repo, {"a/one": "1", "two": "2"}, summary="first")
    running.commit(repo, {"a/one": "11"}, summary="second")
    tree = running.get(f"/api/models/{repo}/tree/main?expand=True").json()
    last = {entry["path"]: entry["lastCommit"]["title"] for entry in tree}
    assert last == {".gitattributes": "initial commit", "a": "second", "two": "first"}


def test_unchanged_commit(running: Running) -> None:
    """Changes that change nothing make no commit."""
    repo = running.new()
    first = running.commit(repo, {"a": "1"}).json()["commitOid"]
    assert running.commit(repo, {"a": "1"}).json()["commitOid"] == first


def test_large_file_sent_as_a_small_one(running: Running, repo: str) -> None:
    """It is kept beside git all the same, and `.gitattributes` says so."""
    assert running.commit(repo, {"dir/huge [1].txt": BIG + b"!"}).status_code == 200
    found = running.get(f"/{repo}/resolve/main/{quote('dir/huge [1].txt')}")
    assert found.content == BIG + b"!"
    assert "x-linked-size" in found.headers
    rules = running.get(f"/{repo}/resolve/main/.gitattributes").text
    assert "/dir/huge[[:space:]][[]1].txt filter=lfs" in rules


def test_many_files(running: Running) -> None:
    """A thousand files are one commit, and one pack."""
    repo = running.new()
    files: dict[str, bytes | str | None] = {f"d{n % 10}/f{n}": f"{n}" * 3 for n in range(1000)}
    answer = running.commit(repo, files)
    assert answer.status_code == 200, answer.text
    info = running.get(f"/api/models/{repo}").json()
    assert len(info["siblings"]) == 1001
    assert running.get(f"/{repo}/resolve/main/d7/f997").text == "997" * 3
    found = running.hub.repos.find("model", repo)
    assert found
    assert list((running.hub.repos.folder(found) / "objects" / "pack").glob("*.pack"))


def test_preupload(running: Running, repo: str) -> None:
    """The hub says where each file belongs, what is there already, and what is to be left out."""
    body = {
        "files": [
            {"path": "env.py", "size": 6, "sample": ""},
            {"path": "big.bin", "size": len(BIG), "sample": ""},
            {"path": "new.pt", "size": 10, "sample": ""},
            {"path": "long.txt", "size": 200_000, "sample": ""},
            {"path": "build/x.o", "size": 1, "sample": ""},
            {"path": "empty.bin", "size": 0, "sample": ""},
        ],
        "gitIgnore": "# made\nbuild/\n*.pyc\n",
    }
    files = running.post(f"/api/models/{repo}/preupload/main", body, "ada").json()["files"]
    modes = {file["path"]: file["uploadMode"] for file in files}
    assert modes == {
        "env.py": "regular",
        "big.bin": "lfs",
        "new.pt": "lfs",
        "long.txt": "lfs",
        "build/x.o": "regular",
        "empty.bin": "regular",
    }
    assert [file["path"] for file in files if file["shouldIgnore"]] == ["build/x.o"]
    assert len(files[0]["oid"]) == 40
    assert len(files[1]["oid"]) == 64
    assert "oid" not in files[2]


BAD_COMMITS = {
    "no header": b'{"key":"file","value":{"path":"a","content":""}}',
    "no JSON": b'{"key":"header","value":{"summary":"s"}}\nnothing',
    "no base64": b'{"key":"header","value":{"summary":"s"}}\n'
    b'{"key":"file","value":{"path":"a","content":"?","encoding":"base64"}}',
    "unknown key": b'{"key":"header","value":{"summary":"s"}}\n{"key":"x","value":{"path":"a"}}',
    "unsent blob": b'{"key":"header","value":{"summary":"s"}}\n'
    + json.dumps({"key": "lfsFile", "value": {"path": "a", "oid": "0" * 64}}).encode(),
    "other algorithm": b'{"key":"header","value":{"summary":"s"}}\n'
    + json.dumps({"key": "lfsFile", "value": {"path": "a", "algo": "md5", "oid": "0"}}).encode(),
    "not text": b'{"key":"header","value":{"summary":"\xff"}}',
}


@pytest.mark.parametrize("what", BAD_COMMITS)
def test_bad_commits(running: Running, repo: str, what: str) -> None:
    """A commit that makes no sense changes nothing."""
    before = running.head(repo)
    answer = running.ask(
        "POST", f"/api/models/{repo}/commit/main", user="ada", content=BAD_COMMITS[what]
    )
    assert answer.status_code == 400, answer.text
    assert running.head(repo) == before


def test_text_in_a_commit(running: Running) -> None:
    """Content may also come as it is."""
    repo = running.new()
    line = {"key": "file", "value": {"path": "t", "content": "plain", "encoding": "utf-8"}}
    assert running.commit(repo, {}, lines=[line]).status_code == 200
    assert running.get(f"/{repo}/resolve/main/t").text == "plain"


def test_stale_parent(running: Running, repo: str) -> None:
    """A commit on top of an older one is refused, so that nobody's work is undone."""
    parent = running.head(repo)
    assert running.commit(repo, {"p": "1"}, parentCommit=parent).status_code == 200
    assert running.commit(repo, {"p": "2"}, parentCommit=parent).status_code == 412


def test_commits_need_their_branch(running: Running, repo: str) -> None:
    """A commit makes no branch, and cannot go to a tag's or commit's name."""
    assert running.commit(repo, {"x": "1"}, revision="nothing").status_code == 404
    assert running.commit(repo, {"x": "1"}, revision=running.head(repo)).status_code == 400


def test_pull_requests_are_refused(running: Running, repo: str) -> None:
    """What is meant for review never lands on `main`."""
    before = running.head(repo)
    for path in ("preupload/main", "commit/main", "xet-write-token/main"):
        method = "GET" if "xet" in path else "POST"
        answer = running.ask(
            method, f"/api/models/{repo}/{path}?create_pr=1", user="ada", content=b""
        )
        assert answer.status_code == 501
        assert "pull requests" in answer.json()["error"]
    body = {"title": "t", "description": "d", "pullRequest": True}
    assert running.post(f"/api/models/{repo}/discussions", body, "ada").status_code == 501
    assert running.get(f"/api/models/{repo}/discussions").json()["count"] == 0
    assert running.head(repo) == before


def test_downloads_are_counted(running: Running, repo: str) -> None:
    """A download of an entry file counts, a look at it does not."""
    for method in ("HEAD", "GET"):
        running.ask(method, f"/{repo}/resolve/main/env.py")
        running.ask(method, f"/{repo}/resolve/main/big.bin")
    before = running.get(f"/api/models/{repo}").json()["downloads"]
    running.hub.downloads.flush()
    assert running.get(f"/api/models/{repo}").json()["downloads"] > before


def test_tags_of_all(running: Running, repo: str) -> None:
    """The tags that repos have can be listed."""
    tags = running.get("/api/models-tags-by-type").json()["other"]
    assert "a" in [tag["id"] for tag in tags]
