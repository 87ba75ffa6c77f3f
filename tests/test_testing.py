"""The testing hub, asked by the unmodified `huggingface_hub` client, git and git-lfs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest
from huggingface_hub import (
    HfApi,
    auth_check,
    get_session,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

import envhub.testing
from envhub import proc
from envhub.errors import ArgumentError
from envhub.hubs.gitprogram import ENVIRON
from envhub.testing import repos
from envhub.testing.hub import ServedHub, serve_hub
from envhub.testing.web import Reply, Request, serve

CARD = "---\ntags: [envhub, gymnasium]\nlibrary_name: envhub\n---\n# Hello\n"
BIG = bytes(range(256)) * 100


@pytest.fixture
def api(hub: ServedHub) -> HfApi:
    """The client, without a token, and a repo for it."""
    hub.lfs_over = 10_000
    hub.add("user/repo", {"env.py": "x = 0\n"}, message="First\n\nMore words.")
    files: repos.Repo = {
        "env.py": "x = 1\n",
        "README.md": CARD,
        "data/big.bin": BIG,
        "data/deep/a b.txt": "a",
    }
    hub.add("user/repo", files, tag="v1.0", message="Second")
    hub.add("user/repo", {"env.py": "side\n"}, branch="feature/x")
    hub.add("user/repo", {"env.py": "pull\n"}, branch="refs/pr/1")
    return HfApi(endpoint=hub.url, token=False)


class TestClient:
    def test_info(self, hub: ServedHub, api: HfApi) -> None:
        """With commit, tags, card and files; at a revision with slashes too."""
        info = api.model_info("user/repo", files_metadata=True)
        assert info.tags == ["envhub", "gymnasium", "envhub"]
        assert info.card_data
        assert info.card_data.library_name == "envhub"
        sizes = {s.rfilename: s.size for s in info.siblings or ()}
        assert sizes == {"env.py": 6, "README.md": len(CARD), "data/big.bin": len(BIG),
                         "data/deep/a b.txt": 1}  # fmt: skip
        assert info.sha == api.model_info("user/repo", revision="v1.0").sha
        assert info.sha != api.model_info("user/repo", revision="feature/x").sha
        assert api.model_info("user/repo", revision="refs/pr/1").sha
        assert info.private is False
        hub.add("user/space", repos.COUNTER, repo_type="space")
        hub.add("user/data", repos.COUNTER, repo_type="dataset")
        assert api.space_info("user/space").id == "user/space"
        assert api.dataset_info("user/data").id == "user/data"

    def test_tree(self, hub: ServedHub, api: HfApi) -> None:
        """Flat and recursive, of a folder, page by page, with the last commit if wanted."""

        def listed(**options: object) -> set[str]:
            return {e.path for e in api.list_repo_tree("user/repo", **options)}  # type: ignore[arg-type]  # passed on

        deep = {"env.py", "README.md", "data", "data/big.bin", "data/deep", "data/deep/a b.txt"}
        assert deep == listed(recursive=True)
        assert {"env.py", "README.md", "data"} == listed()
        assert {"data/big.bin", "data/deep"} == listed(path_in_repo="data")
        assert {"data/deep/a b.txt"} == listed(path_in_repo="data/deep")
        hub.page = 2
        assert deep == listed(recursive=True)
        (entry, *_) = api.list_repo_tree("user/repo", expand=True)
        assert entry.last_commit is not None
        assert entry.last_commit.title == "Second"
        with pytest.raises(RemoteEntryNotFoundError):
            listed(path_in_repo="none")

    def test_refs_and_commits(self, hub: ServedHub, api: HfApi) -> None:
        """Branches, tags, pull requests; the history of any of them."""
        refs = api.list_repo_refs("user/repo", include_pull_requests=True)
        assert [b.name for b in refs.branches] == ["feature/x", "main"]
        assert [t.name for t in refs.tags] == ["v1.0"]
        assert [p.ref for p in refs.pull_requests or ()] == ["refs/pr/1"]
        hub.page = 1
        log = api.list_repo_commits("user/repo", revision="v1.0")
        assert [(c.title, c.message) for c in log] == [("Second", ""), ("First", "More words.")]

    def test_paths_info(self, api: HfApi) -> None:
        """What exists is described, what does not is left out."""
        found = api.get_paths_info("user/repo", ["data", "data/big.bin", "none"])
        assert [e.path for e in found] == ["data", "data/big.bin"]
        assert api.file_exists("user/repo", "env.py")
        assert not api.file_exists("user/repo", "none.py")

    def test_listing_of_repos(self, hub: ServedHub, api: HfApi) -> None:
        """By search, author and tags, page by page; private ones for their owner only."""
        hub.add("other/thing", {"README.md": CARD})
        hub.add("user/secret", {"README.md": CARD}, private=True)

        def ids(**options: object) -> list[str]:
            return [m.id for m in api.list_models(**options)]  # type: ignore[arg-type]  # passed on

        assert ids() == ["other/thing", "user/repo"]
        assert ids(search="THI") == ["other/thing"]
        assert ids(author="user") == ["user/repo"]
        assert ids(filter=["envhub", "gymnasium"]) == ["other/thing", "user/repo"]
        assert ids(filter="none") == []
        assert ids(token=hub.token) == ["other/thing", "user/repo", "user/secret"]
        hub.page = 1
        assert ids() == ["other/thing", "user/repo"]

    def test_snapshot(self, hub: ServedHub, api: HfApi, tmp_path: Path) -> None:
        """The whole commit, LFS files as their bytes."""
        folder = snapshot_download(
            "user/repo", revision="v1.0", endpoint=hub.url, token=False, cache_dir=tmp_path
        )
        assert (Path(folder) / "data/big.bin").read_bytes() == BIG
        assert (Path(folder) / "data/deep/a b.txt").read_text() == "a"

    def test_one_file(self, hub: ServedHub, api: HfApi, tmp_path: Path) -> None:
        """From a branch with a slash, into the cache."""
        file = hf_hub_download(
            "user/repo", "env.py", revision="feature/x", endpoint=hub.url, cache_dir=tmp_path
        )
        assert Path(file).read_text() == "side\n"

    def test_headers_of_a_file(self, hub: ServedHub, api: HfApi) -> None:
        """Commit, hash and size as the Hub has them; never a hash of Xet, which it has not."""
        reply = get_session().head(f"{hub.url}/user/repo/resolve/v1.0/data/big.bin")
        assert reply.headers["x-linked-size"] == str(len(BIG)) == reply.headers["content-length"]
        assert reply.headers["etag"] == reply.headers["x-linked-etag"]
        assert reply.headers["x-repo-commit"] == api.model_info("user/repo").sha
        assert "x-xet-hash" not in reply.headers

    @pytest.mark.parametrize(
        ("asked", "status", "body"),
        [
            ("bytes=0-", 206, b"x = 1\n"),
            ("bytes=2-3", 206, b"= "),
            ("bytes=5-99", 206, b"\n"),
            ("bytes=6-", 416, b""),
            ("lines=1-2", 200, b"x = 1\n"),
        ],
    )
    def test_ranges(self, hub: ServedHub, api: HfApi, asked: str, status: int, body: bytes) -> None:
        """Parts of a file, as far as there are any."""
        url = f"{hub.url}/user/repo/resolve/main/env.py"
        reply = get_session().get(url, headers={"range": asked})
        assert (status, body) == (reply.status_code, reply.content)

    def test_whoami(self, hub: ServedHub, api: HfApi) -> None:
        """Both tokens, none, and a wrong one."""
        assert api.whoami(hub.token)["name"] == "owner"
        assert api.whoami(hub.stranger)["name"] == "stranger"
        with pytest.raises(HfHubHTTPError, match="Invalid user token"):
            api.whoami("hf_wrong")

    @pytest.mark.parametrize(
        ("call", "kind"),
        [
            (lambda api: api.model_info("user/none"), RepositoryNotFoundError),
            (lambda api: api.model_info("user/none", token="hf_testing_stranger"),
             RepositoryNotFoundError),
            (lambda api: api.model_info("user/secret"), RepositoryNotFoundError),
            (lambda api: api.space_info("user/repo"), RepositoryNotFoundError),
            (lambda api: api.model_info("user/repo", revision="none"), RevisionNotFoundError),
            (lambda api: api.model_info("user/repo", revision="a" * 40), RevisionNotFoundError),
            (lambda api: api.hf_hub_download("user/repo", "none.py"), RemoteEntryNotFoundError),
            (lambda api: api.hf_hub_download("user/gated", "env.py"), GatedRepoError),
            (lambda api: auth_check("user/gated", token="hf_testing_stranger"), GatedRepoError),
            (lambda api: api.list_spaces(search="x", token="hf_wrong").__next__(), HfHubHTTPError),
        ],
        ids=range(10),
    )  # fmt: skip
    def test_errors_are_the_classes_of_the_client(
        self, hub: ServedHub, api: HfApi, call: Callable[[HfApi], object], kind: type[Exception],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """By the error codes that the Hub sends."""
        hub.add("user/secret", repos.COUNTER, private=True)
        hub.add("user/gated", repos.COUNTER, gated=True)
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", hub.url)
        with pytest.raises(kind) as caught:
            call(api)
        assert type(caught.value) is kind

    def test_abbreviated_commit_is_no_revision(self, hub: ServedHub, api: HfApi) -> None:
        """As on the Hub; only the list of commits helps to find the full one."""
        sha = api.model_info("user/repo").sha or ""
        with pytest.raises(RevisionNotFoundError):
            api.model_info("user/repo", revision=sha[:12])

    def test_unknown_page(self, hub: ServedHub) -> None:
        """A 404 without a code: clients probe for newer routes."""
        reply = get_session().get(f"{hub.url}/api/newer/thing")
        assert (reply.status_code, reply.headers.get("x-error-code")) == (404, None)


class TestGit:
    def clone(self, hub: ServedHub, into: Path, *options: str, url: str = "") -> Path:
        env = {**ENVIRON, "GIT_LFS_SKIP_SMUDGE": "0"}
        address = url or hub.git_url("user/repo")
        proc.run(["git", *options, "clone", "-q", address, into], env=env)
        return into

    def test_clone(self, hub: ServedHub, api: HfApi, tmp_path: Path) -> None:
        """With pointers where git-lfs would put the bytes."""
        clone = self.clone(hub, tmp_path / "clone")
        assert (clone / "env.py").read_text() == "x = 1\n"
        assert (clone / "data/big.bin").read_bytes().startswith(b"version https://git-lfs")

    @pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not installed")
    def test_clone_with_git_lfs(self, hub: ServedHub, tmp_path: Path) -> None:
        """The batch API serves git-lfs itself."""
        proc.run(["git", "lfs", "install"], env=ENVIRON)
        attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
        hub.add("user/repo", {".gitattributes": attributes, "a.bin": BIG})
        assert (self.clone(hub, tmp_path / "clone") / "a.bin").read_bytes() == BIG

    def test_push_needs_the_owners_token(self, hub: ServedHub, api: HfApi, tmp_path: Path) -> None:
        """What is pushed is served at once."""
        clone = self.clone(hub, tmp_path / "clone")
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
               "GIT_COMMITTER_EMAIL": "a@b"}  # fmt: skip
        run = [*("git", "-C", str(clone))]
        (clone / "new.bin").write_bytes(os.urandom(3_000_000))
        proc.run([*run, "add", "new.bin"], env=ENVIRON)
        proc.run([*run, "commit", "-qm", "Pushed"], env={**ENVIRON, **who})
        assert proc.run([*run, "push", "-q"], env=ENVIRON, check=False).returncode != 0
        url = hub.git_url("user/repo").replace("://", f"://me:{hub.token}@")
        proc.run([*run, "push", "-q", url, "main"], env=ENVIRON)
        head = proc.run([*run, "rev-parse", "HEAD"]).text
        assert head == api.model_info("user/repo").sha
        assert "new.bin" in api.list_repo_files("user/repo")


class TestHub:
    def test_same_files_have_the_same_commit_in_every_run(self, tmp_path: Path) -> None:
        """So that a test may name it."""
        found = []
        for n in range(2):
            with serve_hub(tmp_path / str(n)) as hub:
                found.append([hub.add("u/r", repos.CARTPOLE), hub.add("u/r", {"a": b""}, tag="t")])
        assert found[0] == found[1]

    def test_folder_is_served_as_it_is(self, tmp_path: Path) -> None:
        """A hub that is started again has the same repos, private ones included."""
        source = repos.write(repos.NESTED, tmp_path / "source")
        (source / ".git").mkdir()
        (source / ".git" / "config").write_text("not a file of the repo")
        with serve_hub(tmp_path / "hub") as hub:
            commit = hub.add("u/r", source, private=True)
        with serve_hub(tmp_path / "hub") as hub:
            api = HfApi(endpoint=hub.url, token=hub.token)
            info = api.model_info("u/r")
            assert (commit, True) == (info.sha, info.private)
            assert set(repos.NESTED) == {s.rfilename for s in info.siblings or ()}

    def test_files_can_be_changed_and_deleted(self, hub: ServedHub) -> None:
        """One commit on top of the other; options stay unless they are given again."""
        hub.add("u/r", {"a": "1", "b": "1"}, gated=True)
        hub.add("u/r", {"a": "2", "b": None})
        repo = hub.repo("model", "u/r")
        assert repo
        assert {e.path: e.data for e in repo.tree(repo.find("main") or "").values()} == {"a": b"2"}
        assert repo.options == {"private": False, "gated": True}

    def test_attributes_decide_what_is_lfs(self, hub: ServedHub) -> None:
        """By `.gitattributes` of this commit or an earlier one, or by size."""
        hub.lfs_over = 100
        hub.add("u/r", {".gitattributes": "*.bin filter=lfs\nmodels/** filter=lfs\n", "a.bin": "1"})
        hub.add("u/r", {"deep/b.bin": "1", "models/c": "1", "d.txt": "1", "e.txt": "1" * 101})
        repo = hub.repo("model", "u/r")
        assert repo
        tree = repo.tree(repo.find("main") or "")
        assert {"a.bin", "deep/b.bin", "models/c", "e.txt"} == {p for p, e in tree.items() if e.lfs}

    def test_path_that_fast_import_would_misread(self, hub: ServedHub) -> None:
        """Refused, instead of a commit with other files."""
        with pytest.raises(ArgumentError, match="no such path"):
            hub.add("u/r", {'a"b': ""})

    def test_failing_on_demand(self, hub: ServedHub, api: HfApi) -> None:
        """All of it or some pages, until it is told to stop."""
        hub.fail(503, on="/tree/")
        assert api.model_info("user/repo").sha
        assert get_session().get(f"{hub.url}/api/models/user/repo/tree/main").status_code == 503
        hub.fail(503)
        assert get_session().get(f"{hub.url}/api/models/user/repo").status_code == 503
        hub.fail(None)
        assert api.model_info("user/repo").sha

    def test_requests_are_recorded(self, hub: ServedHub, api: HfApi) -> None:
        """Method, path as it came, and headers."""
        api.model_info("user/repo", revision="feature/x", token="hf_testing_stranger")
        (request,) = hub.requests
        assert request.path == "/api/models/user/repo/revision/feature%2Fx"
        assert (request.method, request.token) == ("GET", "Bearer hf_testing_stranger")
        assert "hf_hub/" in request.headers["user-agent"]

    def test_mistake_in_an_answer_is_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It does not look like a broken connection only."""

        def answer(_: Request) -> Reply:
            raise KeyError("a mistake")

        with serve(answer) as url, pytest.raises(Exception, match="disconnected"):
            get_session().get(url)
        assert "a mistake" in capsys.readouterr().err


class TestRepos:
    @pytest.mark.parametrize(
        "name",
        ["CARTPOLE", "COUNTER", "SINGLE", "SUITES", "RELATIVE_IMPORT", "SIBLING_IMPORT", "ASSET",
         "NESTED", "PARAMETERS"],
    )  # fmt: skip
    def test_sample_makes_an_env(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """Imported as a package or a script would be, `make_env` returns something to step."""
        folder = repos.write(getattr(repos, name), tmp_path / "sample")
        (folder / "__init__.py").touch()
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.syspath_prepend(str(folder))
        for module in [m for m in sys.modules if m.partition(".")[0] in {"sample", "counter"}]:
            monkeypatch.delitem(sys.modules, module)
        made = __import__("sample.env", fromlist=["make_env"]).make_env(n_envs=2)
        while isinstance(made, dict):
            made = next(iter(made.values()))
        made.reset(seed=1)
        made.step(made.action_space.sample())
        made.close()
        assert isinstance(made, gym.Env | gym.vector.VectorEnv)

    @pytest.mark.parametrize(
        ("repo", "error"),
        [
            (repos.NO_FACTORY, NameError),
            (repos.BROKEN_IMPORT, ImportError),
            (repos.RAISES, ZeroDivisionError),
        ],
        ids=["no factory", "broken import", "raises"],
    )
    def test_broken_sample_is_broken_in_its_own_way(
        self, repo: repos.Repo, error: type[Exception]
    ) -> None:
        """And in no other."""
        with pytest.raises(error):
            exec(f"{repo['env.py']!s}\nmake_env()", {})

    def test_canary(self, tmp_path: Path) -> None:
        """Tells that code ran."""
        repo = repos.canary(tmp_path / "canary")
        assert not (tmp_path / "canary").exists()
        exec(str(repo["env.py"]), {})
        assert (tmp_path / "canary").exists()

    def test_big(self) -> None:
        """As many files as asked for, all different."""
        assets = [data for path, data in repos.big(9, 80).items() if path.startswith("assets/")]
        assert len(set(assets)) == 9
        assert {len(data) for data in assets} == {80}


def test_package_loads_its_parts_late() -> None:
    """`envhub.testing` is imported by every pytest of every user."""
    code = "import sys, envhub.testing.plugin as p; print(*sys.modules)"
    loaded = proc.run([sys.executable, "-c", code]).text.split()
    assert not {"huggingface_hub", "yaml", "http.server", "httpx2", "gymnasium"} & set(loaded)
    assert envhub.testing.serve_hub is serve_hub
    with pytest.raises(AttributeError, match="no_such_thing"):
        envhub.testing.no_such_thing  # noqa: B018 - the access is what is tested
