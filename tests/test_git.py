"""`GitRepo` against real repos, over files and over HTTP."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envhub import proc
from envhub.errors import (
    EntryNotFoundError,
    HubError,
    RevisionNotFoundError,
)
from envhub.hubs.base import Commit
from envhub.hubs.git import GitRepo
from envhub.hubs.gitprogram import ENVIRON, git
from envhub.pins import File, blob_id
from envhub.refs import Ref
from envhub.testing import repos
from envhub.testing.hub import ServedHub

WHO = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


def at(revision: str | None = None, subdirectory: str | None = None) -> Ref:
    return Ref("git", "https://host.example/x", revision=revision, subdirectory=subdirectory)


def commit_folder(folder: Path, message: str = "more", **files: str) -> str:
    """Commit what lies in a folder, as an author would; returns the commit."""
    repos.write({name.replace("__", "/"): text for name, text in files.items()}, folder)
    run = {"cwd": folder, "env": {**ENVIRON, **WHO}}
    proc.run(["git", "init", "-q", "-b", "main"], **run)  # type: ignore[arg-type]  # cwd and env
    proc.run(["git", "add", "-A"], **run)  # type: ignore[arg-type]  # as above
    proc.run(["git", "commit", "-qm", message], **run)  # type: ignore[arg-type]  # as above
    return proc.run(["git", "rev-parse", "HEAD"], cwd=folder).text


def load(repo: GitRepo, into: Path, ref: Ref | None = None) -> dict[str, File]:
    """Resolve, list, download; returns the files by path."""
    ref = ref or at()
    commit = repo.resolve(ref)
    files = repo.files(ref, commit)
    told: list[int] = []
    repo.download(ref, commit, files, into, told.append)
    assert sum(told) == sum(file.size for file in files)
    return {file.path: file for file in files}


@pytest.fixture(params=["http", "file"])
def url(request: pytest.FixtureRequest, hub: ServedHub) -> str:
    """The address of `user/repo` of the hub: served, or its folder."""
    if request.param == "http":
        return hub.git_url("user/repo")
    return f"file://{hub.folder}/models/user/repo.git"


@pytest.fixture
def commits(hub: ServedHub) -> list[str]:
    """Three commits on main and one on feature/x; the second is tagged v1.0."""
    ids = [hub.add("user/repo", {"env.py": f"x = {n}\n"}) for n in range(3)]
    repo = hub.repo("model", "user/repo")
    assert repo
    git("tag", "-a", "-m", "first", "v1.0", ids[1], folder=repo.folder, env=WHO)
    return [*ids, hub.add("user/repo", {"env.py": "side\n"}, branch="feature/x")]


class TestResolve:
    @pytest.mark.parametrize(
        ("revision", "index"),
        [
            (None, 2),
            ("main", 2),
            ("refs/heads/main", 2),
            ("v1.0", 1),
            ("refs/tags/v1.0", 1),
            ("feature/x", 3),
        ],
    )
    def test_names_lead_to_full_commits(
        self, url: str, commits: list[str], tmp_path: Path, revision: str | None, index: int
    ) -> None:
        """The default branch, branches, and annotated tags, which are peeled."""
        expected = Commit(url, "repo", "git", commits[index])
        assert expected == GitRepo(url, cache=tmp_path / "git").resolve(at(revision))

    @pytest.mark.parametrize("index", range(4))
    def test_full_and_abbreviated_commits(
        self, url: str, commits: list[str], tmp_path: Path, index: int
    ) -> None:
        """Tips of branches and tags, and commits that only the history has."""
        for revision in (commits[index], commits[index][:9]):
            repo = GitRepo(url, cache=tmp_path / revision)
            assert commits[index] == repo.resolve(at(revision)).id

    def test_branch_named_like_an_abbreviated_commit_does_not_win(
        self, hub: ServedHub, url: str, commits: list[str], tmp_path: Path
    ) -> None:
        """Whoever can push a branch cannot redirect an abbreviated commit."""
        hub.add("user/repo", {"env.py": "evil\n"}, branch=commits[0][:8])
        repo = GitRepo(url, cache=tmp_path / "git")
        assert commits[0] == repo.resolve(at(commits[0][:8])).id

    def test_branch_that_merely_looks_like_a_commit(
        self, hub: ServedHub, url: str, commits: list[str], tmp_path: Path
    ) -> None:
        """A date is made of hexadecimal digits too."""
        dated = hub.add("user/repo", {"env.py": "dated\n"}, branch="20261122")
        assert dated == GitRepo(url, cache=tmp_path / "git").resolve(at("20261122")).id

    def test_ambiguous_abbreviation_lists_the_commits(self, tmp_path: Path) -> None:
        """Several tips that begin alike are all named, none is chosen."""
        repo = GitRepo("https://host.example/x", cache=tmp_path)
        tips = {f"refs/heads/{end}": "abcdef1" + end * 33 for end in "01"}
        with pytest.raises(RevisionNotFoundError, match="several commits") as caught:
            repo._find_abbreviated("abcdef1", tips)
        assert all(commit in caught.value.hint for commit in tips.values())

    @pytest.mark.parametrize("revision", ["a" * 40, "abcdef12", "v1.1", "HEAD~1", "refs/heads/no"])
    def test_unknown_revision_lists_near_names(
        self, url: str, commits: list[str], tmp_path: Path, revision: str
    ) -> None:
        """Nothing is guessed."""
        with pytest.raises(RevisionNotFoundError) as caught:
            GitRepo(url, cache=tmp_path / "git").resolve(at(revision))
        if len(revision) < 40:
            assert "v1.0" in caught.value.hint

    def test_hash_that_is_no_commit(
        self, hub: ServedHub, url: str, commits: list[str], tmp_path: Path
    ) -> None:
        """The hash of a tree, a file or an annotated tag does not pass for a commit."""
        served = hub.repo("model", "user/repo")
        assert served
        for name in (f"{commits[0]}^{{tree}}", f"{commits[0]}:env.py", "refs/tags/v1.0"):
            oid = git("rev-parse", name, folder=served.folder).text
            with pytest.raises((RevisionNotFoundError, HubError)):
                GitRepo(url, cache=tmp_path / "git").resolve(at(oid))

    @pytest.mark.parametrize("revision", ["--upload-pack=touch x", "-v", "--output=x"])
    def test_revision_that_looks_like_an_option(
        self, url: str, commits: list[str], tmp_path: Path, revision: str
    ) -> None:
        """It is looked for as a name, and never handed to git."""
        with pytest.raises(RevisionNotFoundError):
            GitRepo(url, cache=tmp_path / "git").resolve(at(revision))

    def test_repo_without_commits(self, tmp_path: Path) -> None:
        """Said in words."""
        git("init", "-q", "--bare", tmp_path / "empty.git")
        with pytest.raises(RevisionNotFoundError, match="no default branch"):
            GitRepo(f"file://{tmp_path}/empty.git", cache=tmp_path / "git").resolve(at())

    def test_repo_that_hashes_with_sha256(self, tmp_path: Path) -> None:
        """Refused with the reason, instead of a wrong hash."""
        git("init", "-q", "--object-format=sha256", tmp_path / "new")
        commit_folder(tmp_path / "new", env="x")
        with pytest.raises(HubError, match="SHA-256"):
            GitRepo(f"file://{tmp_path}/new", cache=tmp_path / "git").resolve(at())


class TestFetch:
    def test_only_one_commit_is_fetched(
        self, hub: ServedHub, url: str, commits: list[str], tmp_path: Path
    ) -> None:
        """Neither history nor other branches."""
        load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "out")
        (cache,) = (tmp_path / "git").glob("*.git")
        everything = git("cat-file", "--batch-all-objects", "--batch-check", folder=cache).text
        assert [commits[2]] == [s.split()[0] for s in everything.splitlines() if " commit " in s]

    def test_what_is_there_is_not_fetched_again(
        self, hub: ServedHub, commits: list[str], tmp_path: Path
    ) -> None:
        """Another process with the same cache asks for nothing."""
        address = hub.git_url("user/repo")
        load(GitRepo(address, cache=tmp_path / "git"), tmp_path / "a", at(commits[0]))
        hub.requests.clear()
        load(GitRepo(address, cache=tmp_path / "git"), tmp_path / "b", at(commits[0]))
        assert hub.requests == []

    @pytest.mark.parametrize("index", [0, 1, 2])
    def test_old_server_that_gives_out_only_tips(
        self, hub: ServedHub, url: str, commits: list[str], tmp_path: Path, index: int
    ) -> None:
        """Then the branch or tag is fetched, or the history if the commit is no tip."""
        served = hub.repo("model", "user/repo")
        assert served
        for key in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):
            git("config", key, "false", folder=served.folder)
        home = Path(os.environ["HOME"])
        (home / ".gitconfig").write_text("[protocol]\n\tversion = 0\n")
        found = load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "out", at(commits[index]))
        assert found == {"env.py": File("env.py", blob_id(b"x = %d\n" % index), 6)}

    def test_killed_fetch_leaves_nothing_in_the_way(
        self, url: str, commits: list[str], tmp_path: Path
    ) -> None:
        """Locks of a git that was killed are removed; a folder half made is completed."""
        repo = GitRepo(url, cache=tmp_path / "git")
        load(repo, tmp_path / "a", at(commits[0]))
        (cache,) = (tmp_path / "git").glob("*.git")
        for name in ("shallow.lock", "packed-refs.lock", f"refs/envhub/{commits[1]}.lock"):
            (cache / name).touch()
        load(repo, tmp_path / "b", at(commits[1]))
        (cache / "HEAD").unlink()
        load(GitRepo(url, cache=tmp_path / "git"), tmp_path / "c", at(commits[2]))

    def test_many_at_once(self, url: str, commits: list[str], tmp_path: Path) -> None:
        """Loads of several commits into one cache wait for each other."""

        def one(n: int) -> dict[str, File]:
            repo = GitRepo(url, cache=tmp_path / "git")
            return load(repo, tmp_path / str(n), at(commits[n % 4]))

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(one, range(8)))
        assert found[:4] == found[4:]

    def test_lost_object_says_which_clone_to_remove(
        self, url: str, commits: list[str], tmp_path: Path
    ) -> None:
        """A damaged cache is an error with a way out."""
        repo = GitRepo(url, cache=tmp_path / "git")
        commit = repo.resolve(at())
        files = repo.files(at(), commit)
        (cache,) = (tmp_path / "git").glob("*.git")
        blob = files[0].oid.removeprefix("sha1:")
        packs = list(cache.glob("objects/pack/*.pack"))
        for pack in packs:
            pack.rename(tmp_path / pack.name)
            pack.with_suffix(".idx").unlink()
        for loose in cache.glob(f"objects/{blob[:2]}/{blob[2:]}"):
            loose.unlink()
        with pytest.raises(HubError, match="lacks the object") as caught:
            repo.download(at(), commit, files, tmp_path / "out", lambda _: None)
        assert str(cache) in caught.value.hint


class TestFiles:
    def test_executable_files_stay_executable(self, tmp_path: Path) -> None:
        """And the others do not become so."""
        source = tmp_path / "source"
        repos.write({"run.sh": "#!/bin/sh\n", "env.py": ""}, source)
        (source / "run.sh").chmod(0o755)
        commit_folder(source)
        load(GitRepo(f"file://{source}", cache=tmp_path / "git"), tmp_path / "out")
        assert os.access(tmp_path / "out/run.sh", os.X_OK)
        assert (tmp_path / "out/env.py").stat().st_mode & 0o111 == 0

    def test_bytes_are_those_of_git_whatever_the_attributes_say(self, tmp_path: Path) -> None:
        """No line ending, `$Id$` or filter changes them: the pin is about what git keeps."""
        attributes = "*.py text eol=crlf ident\n*.txt filter=evil\n"
        source = tmp_path / "source"
        commit_folder(source, **{".gitattributes": attributes, "env.py": "# $Id$\n", "a.txt": "a"})
        load(GitRepo(f"file://{source}", cache=tmp_path / "git"), tmp_path / "out")
        assert (tmp_path / "out/env.py").read_bytes() == b"# $Id$\n"

    def test_odd_names(self, tmp_path: Path) -> None:
        """Spaces, quotes, line breaks and letters of all alphabets."""
        names = {"a b.py", 'q"uote.py', "ünï/日本.py", "line\nbreak.py", "-option.py"}
        source = repos.write(dict.fromkeys(names, "x"), tmp_path / "source")
        commit_folder(source)
        found = load(GitRepo(f"file://{source}", cache=tmp_path / "git"), tmp_path / "out")
        assert names == set(found)
        assert all((tmp_path / "out" / name).is_file() for name in names)

    def test_subdirectory_is_the_repo(self, tmp_path: Path) -> None:
        """Paths are relative to it, and nothing else is listed."""
        source = tmp_path / "source"
        commit_folder(source, **{"envs__pick__env.py": "1", "envs__place__env.py": "2", "a.py": ""})
        repo = GitRepo(f"file://{source}", cache=tmp_path / "git")
        found = load(repo, tmp_path / "out", at(subdirectory="envs/pick"))
        assert set(found) == {"env.py"}
        assert (tmp_path / "out/env.py").read_text() == "1"
        with pytest.raises(EntryNotFoundError, match="no folder 'envs/pik'") as caught:
            load(repo, tmp_path / "no", at(subdirectory="envs/pik"))
        assert "envs/pick" in caught.value.hint

    @pytest.mark.parametrize("subdirectory", [None, "envs/pick"])
    def test_submodule_is_refused_where_it_would_be_loaded(
        self, tmp_path: Path, subdirectory: str | None
    ) -> None:
        """One elsewhere in a large repo does not matter."""
        source = tmp_path / "source"
        commit_folder(source, **{"envs__pick__env.py": "1"})
        cacheinfo = f"160000,{'a' * 40},vendor/lib"
        proc.run(["git", "update-index", "--add", "--cacheinfo", cacheinfo], cwd=source)
        proc.run(["git", "commit", "-qm", "sub"], cwd=source, env=WHO)
        repo = GitRepo(f"file://{source}", cache=tmp_path / "git")
        if subdirectory:
            load(repo, tmp_path / "out", at(subdirectory=subdirectory))
        else:
            with pytest.raises(HubError, match="'vendor/lib' is a submodule"):
                load(repo, tmp_path / "out")


class TestLinks:
    def source(self, tmp_path: Path, links: dict[str, str]) -> GitRepo:
        files = {"env.py": "e\n", "lib/deep/a.py": "a\n", "lib/b.py": "b\n", "pick/env.py": "p\n"}
        source = repos.write(files, tmp_path / "source")
        for name, target in links.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to(target)
        commit_folder(source)
        return GitRepo(f"file://{source}", cache=tmp_path / "git")

    @pytest.mark.parametrize(
        ("links", "path", "content"),
        [
            ({"l.py": "env.py"}, "l.py", "e\n"),
            ({"lib/l.py": "../env.py"}, "lib/l.py", "e\n"),
            ({"l.py": "m.py", "m.py": "./lib//deep/a.py"}, "l.py", "a\n"),
            ({"shared": "lib"}, "shared/deep/a.py", "a\n"),
            ({"shared": "lib/deep", "l.py": "shared/a.py"}, "l.py", "a\n"),
            ({"lib/up": "../pick", "all": "lib"}, "all/up/env.py", "p\n"),
        ],
    )
    def test_link_becomes_a_copy_of_what_it_leads_to(
        self, tmp_path: Path, links: dict[str, str], path: str, content: str
    ) -> None:
        """Links to files, links to folders, links through links: real files, hashed as such."""
        found = load(self.source(tmp_path, links), tmp_path / "out")
        assert (tmp_path / "out" / path).read_text() == content
        assert found[path].oid == blob_id(content.encode())
        assert not any(file.is_symlink() for file in (tmp_path / "out").rglob("*"))

    def test_link_out_of_the_subdirectory_is_followed_inside_the_repo(self, tmp_path: Path) -> None:
        """A folder of a large repo may share files with its neighbours."""
        repo = self.source(tmp_path, {"pick/common": "../lib"})
        assert "common/b.py" in load(repo, tmp_path / "out", at(subdirectory="pick"))

    @pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "lib/../../x", "a\\b"])
    def test_link_that_leaves_the_repo_is_refused(self, tmp_path: Path, target: str) -> None:
        """Absolute or upwards: what it leads to is covered by no pin."""
        with pytest.raises(HubError, match="not in the repo"):
            load(self.source(tmp_path, {"l": target}), tmp_path / "out")

    @pytest.mark.parametrize(
        "links", [{"l": "l"}, {"l": "m", "m": "l"}, {"lib/l": "."}, {"lib/l": "../lib"}, {"l": "."}]
    )
    def test_loop_is_refused(self, tmp_path: Path, links: dict[str, str]) -> None:
        """Instead of a folder without end."""
        with pytest.raises(HubError, match="link"):
            load(self.source(tmp_path, links), tmp_path / "out")

    def test_two_folders_that_hold_each_other(self, tmp_path: Path) -> None:
        """The longer loop is seen too."""
        with pytest.raises(HubError, match="link"):
            load(self.source(tmp_path, {"lib/p": "../pick", "pick/l": "../lib"}), tmp_path / "out")

    def test_link_that_leads_nowhere_stands_for_nothing(self, tmp_path: Path) -> None:
        """As in a checkout, the rest of the repo is usable."""
        assert "l" not in load(self.source(tmp_path, {"l": "missing"}), tmp_path / "out")
