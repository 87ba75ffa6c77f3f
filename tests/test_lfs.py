"""LFS files of git repos, read without the git-lfs program."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub import proc
from envhub.errors import EntryNotFoundError, EnvHubError, HubError, RepoNotFoundError
from envhub.hubs.git import GitRepo
from envhub.hubs.gitprogram import ENVIRON
from envhub.hubs.gitremote import Remote
from envhub.hubs.lfs import MAX_POINTER, Pointer, Wanted
from envhub.hubs.lfshttp import _address, download
from envhub.pins import File
from envhub.refs import Ref
from envhub.testing.hub import ServedHub
from envhub.testing.web import Reply, Request, serve

REF = Ref("git", "https://host.example/x")
BIG = bytes(range(256)) * 4000
OID = hashlib.sha256(BIG).hexdigest()


def load(repo: GitRepo, into: Path) -> dict[str, File]:
    commit = repo.resolve(REF)
    files = repo.files(REF, commit)
    repo.download(REF, commit, files, into, lambda _: None)
    return {file.path: file for file in files}


@pytest.fixture
def repo(hub: ServedHub) -> str:
    """A repo whose `.gitattributes` puts `*.bin` into LFS."""
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    hub.add("user/repo", {".gitattributes": attributes, "a/mesh.bin": BIG, "env.py": "x = 1\n"})
    return hub.git_url("user/repo")


class TestPointer:
    @given(st.binary(max_size=100))
    def test_bytes_and_pointer_are_one(self, data: bytes) -> None:
        """What is written is what is read."""
        pointer = Pointer(hashlib.sha256(data).hexdigest(), len(data))
        assert pointer == Pointer.parse(bytes(pointer))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"sha256:", b"sha1:"),
            (b"size ", b"size -"),
            (b"size 5\n", b"size 5\nmore\n"),
            (b"size 5\n", b""),
            (b"version", b"\nversion"),
            (b"version", b"Version"),
            (OID.encode(), OID.upper().encode()),
            (b"oid", b"ext-0-x sha256:" + b"a" * MAX_POINTER + b"\noid"),
        ],
        ids=range(8),
    )
    def test_what_is_no_pointer_is_a_plain_file(self, old: bytes, new: bytes) -> None:
        """The form is exact, as git-lfs writes it."""
        assert Pointer.parse(bytes(Pointer(OID, 5)).replace(old, new)) is None

    def test_older_and_extended_pointers_are_read(self) -> None:
        """Those of git-lfs before its first release, and those with extension lines."""
        pointer = Pointer(OID, 5)
        old = bytes(pointer).replace(b"git-lfs", b"hawser")
        extended = bytes(pointer).replace(b"oid", b"ext-0-foo sha256:aa\noid")
        assert pointer == Pointer.parse(old) == Pointer.parse(extended)


class TestServer:
    @pytest.mark.parametrize("scheme", ["http", "file"])
    def test_files_are_the_real_bytes(
        self, hub: ServedHub, repo: str, tmp_path: Path, scheme: str
    ) -> None:
        """Over the batch API, or from the repo's folder; hashed and sized as such."""
        url = repo if scheme == "http" else f"file://{hub.folder}/models/user/repo.git"
        found = load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "out")
        assert found["a/mesh.bin"] == File("a/mesh.bin", f"sha256:{OID}", len(BIG))
        assert (tmp_path / "out/a/mesh.bin").read_bytes() == BIG
        assert (tmp_path / "out/env.py").read_text() == "x = 1\n"

    def test_private_repo(self, hub: ServedHub, tmp_path: Path) -> None:
        """The batch API is asked with the login of git once it wants one."""
        hub.lfs_over = 1000
        hub.add("user/secret", {"mesh.bin": BIG}, private=True)
        url = hub.git_url("user/secret").replace("://", f"://me:{hub.token}@")
        load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "out")
        assert (tmp_path / "out/mesh.bin").read_bytes() == BIG

    def test_login_that_nobody_knows(self, hub: ServedHub, tmp_path: Path) -> None:
        """The error is git's: it was asked for the login."""
        hub.lfs_over = 1000
        hub.add("user/secret", {"mesh.bin": BIG}, private=True)
        remote = Remote.parse(hub.git_url("user/secret"))
        wanted = Wanted(Pointer(OID, len(BIG)), tmp_path / "mesh.bin")
        with pytest.raises(RepoNotFoundError, match="not open to you"):
            download(remote, [wanted], lambda _: None)

    def test_broken_and_killed_downloads_are_continued(
        self, hub: ServedHub, repo: str, tmp_path: Path
    ) -> None:
        """With a range, whoever broke it off."""
        hub.cut(300_000)
        (tmp_path / "out/a").mkdir(parents=True)
        (tmp_path / "out/a/mesh.bin").write_bytes(BIG[:200_000])
        load(GitRepo(repo, cache=tmp_path / "git"), tmp_path / "out")
        assert (tmp_path / "out/a/mesh.bin").read_bytes() == BIG
        ranges = [r.headers.get("range") for r in hub.requests if "/lfs/" in r.path]
        assert "bytes=200000-" in ranges

    def test_many_files_are_asked_for_in_batches(self, hub: ServedHub, tmp_path: Path) -> None:
        """So that the links are still good when their turn comes."""
        hub.lfs_over = 10
        files: dict[str, str | bytes | None] = {f"{n}.bin": b"%020d" % n for n in range(230)}
        hub.add("user/many", files)
        load(GitRepo(hub.git_url("user/many"), cache=tmp_path / "git"), tmp_path / "out")
        assert all((tmp_path / "out" / name).read_bytes() == data for name, data in files.items())
        assert len([r for r in hub.requests if r.path.endswith("/batch")]) == 3

    @pytest.mark.parametrize("scheme", ["http", "file"])
    def test_bytes_that_were_never_pushed(
        self, hub: ServedHub, repo: str, tmp_path: Path, scheme: str
    ) -> None:
        """The error names the file and what its owner must do."""
        url = repo if scheme == "http" else f"file://{hub.folder}/models/user/repo.git"
        shutil.rmtree(hub.folder / "models/user/repo.git/lfs")
        with pytest.raises(EntryNotFoundError, match=r"lacks the bytes.*mesh\.bin") as caught:
            load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "out")
        assert "git lfs push" in caught.value.hint

    @pytest.mark.parametrize("scheme", ["http", "file"])
    def test_other_bytes_than_the_pointer_says(
        self, hub: ServedHub, repo: str, tmp_path: Path, scheme: str
    ) -> None:
        """They are not kept, so that the next load does not build on them."""
        url = repo if scheme == "http" else f"file://{hub.folder}/models/user/repo.git"
        (hub.folder / "models/user/repo.git/lfs/objects" / OID[:2] / OID[2:4] / OID).write_bytes(
            BIG[::-1]
        )
        with pytest.raises(HubError, match="other bytes"):
            load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "out")
        assert not (tmp_path / "out/a/mesh.bin").exists()

    @pytest.mark.parametrize("scheme", ["http", "file"])
    @pytest.mark.parametrize("size", [len(BIG) - 1, len(BIG) + 1])
    def test_another_size_than_the_pointer_says(
        self, hub: ServedHub, tmp_path: Path, scheme: str, size: int
    ) -> None:
        """A file that is larger than it was listed is given up while it arrives."""
        hub.lfs_over = len(BIG) * 4
        pointer = Pointer(OID, size)
        hub.add("user/liar", {"mesh.bin": bytes(pointer)})
        place = pointer.below(hub.folder / "models/user/liar.git")
        place.parent.mkdir(parents=True)
        place.write_bytes(BIG * 2 if size > len(BIG) else BIG)
        path = f"file://{hub.folder}/models/user/liar.git"
        url = hub.git_url("user/liar") if scheme == "http" else path
        with pytest.raises(HubError, match=r"larger|not as large"):
            load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "out")

    def test_link_of_the_batch_gets_its_own_headers(self, tmp_path: Path) -> None:
        """As the server says; the login of git does not follow the link."""
        asked: list[Request] = []

        def answer(request: Request) -> Reply:
            asked.append(request)
            if request.method == "GET":
                return Reply(200, BIG)
            if "authorization" not in request.headers:
                return Reply(401)
            known = json.loads(request.body)["objects"]
            link = {"href": f"{url}/store/1", "header": {"X-Signed": "yes"}}
            objects = [{**item, "actions": {"download": link}} for item in known]
            return Reply(200, json.dumps({"objects": objects}).encode())

        with serve(answer) as url:
            remote = Remote.parse(f"{url}/user/repo".replace("://", "://me:secret@"))
            download(remote, [Wanted(Pointer(OID, len(BIG)), tmp_path / "x")], lambda _: None)
        assert asked[-1].headers["x-signed"] == "yes"
        assert asked[-1].token is None
        assert asked[-2].token == "Basic bWU6c2VjcmV0"

    @pytest.mark.parametrize("status", [403, 500])
    def test_server_that_refuses(self, tmp_path: Path, status: int) -> None:
        """Only a 401 asks for a login."""
        wanted = Wanted(Pointer(OID, 5), tmp_path / "x")
        with serve(lambda _: Reply(status)) as url, pytest.raises(HubError, match=str(status)):
            download(Remote.parse(f"{url}/user/repo"), [wanted], lambda _: None)

    @pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"objects": [{"actions": {}}]}'])
    def test_answer_that_is_none(self, tmp_path: Path, body: bytes) -> None:
        """A server without LFS is told as such."""
        wanted = Wanted(Pointer(OID, 5), tmp_path / "x")
        with serve(lambda _: Reply(200, body)) as url, pytest.raises(EnvHubError, match="none"):
            download(Remote.parse(f"{url}/user/repo"), [wanted], lambda _: None)

    @pytest.mark.parametrize(
        ("url", "address"),
        [
            ("https://h/a/b", "https://h/a/b.git/info/lfs/objects/batch"),
            ("http://h:1/a/b.git/", "http://h:1/a/b.git/info/lfs/objects/batch"),
            ("ssh://git@h:22/a/b.git", "https://h/a/b.git/info/lfs/objects/batch"),
        ],
    )
    def test_address_is_where_git_lfs_looks(self, url: str, address: str) -> None:
        """For ssh, the same host over https."""
        assert address == _address(url)


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not installed")
def test_repo_made_by_git_lfs_itself(hub: ServedHub, tmp_path: Path) -> None:
    """A real author's repo: tracked, committed and pushed to a folder by git-lfs."""
    remote, work = tmp_path / "remote.git", tmp_path / "work"
    env = {
        **ENVIRON,
        "GIT_LFS_SKIP_SMUDGE": None,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }

    def run(*words: str | Path) -> None:
        proc.run(["git", *words], cwd=work, env=env)

    work.mkdir()
    (work / "mesh.bin").write_bytes(BIG)
    run("init", "-q", "--bare", "-b", "main", remote)
    run("init", "-q", "-b", "main")
    run("lfs", "install", "--local")
    run("lfs", "track", "*.bin")
    run("add", "-A")
    run("commit", "-qm", "first")
    run("remote", "add", "origin", f"file://{remote}")
    run("push", "-q", "origin", "main")
    found = load(GitRepo(f"file://{remote}", cache=tmp_path / "git"), tmp_path / "out")
    assert found["mesh.bin"].oid == f"sha256:{OID}"
    assert (tmp_path / "out/mesh.bin").read_bytes() == BIG
    assert (remote / "lfs").is_dir()
