"""Properties of hubs: whatever the files are called and contain, they arrive as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from envhub import proc
from envhub.errors import HubError
from envhub.hubs.base import Commit
from envhub.hubs.git import GitRepo
from envhub.hubs.gitprogram import ENVIRON, git
from envhub.hubs.gittree import read_tree, reading
from envhub.hubs.hfhttp import Download, Place
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.pins import blob_id
from envhub.refs import Ref, parse
from envhub.testing.hub import ServedHub, serve_hub
from envhub.testing.web import Reply, Request, serve

MANY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLACE = Place("http://hub.example", "user/repo", "http://hub.example/user/repo")
WHO = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}

# What git, every file system and every hub take: no control characters, no slash, no dot names.
part = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp"), exclude_characters='/\\":'), min_size=1
).filter(lambda text: text.strip(" .") == text and len(text.encode()) < 60 and text != ".git")
path = st.lists(part, min_size=1, max_size=3).map("/".join)
content = st.binary(max_size=300)


def without_clashes(paths: list[str]) -> bool:
    """Whether no path is also a folder of another."""
    folders = {str(parent) for name in paths for parent in Path(name).parents}
    return not folders & set(paths)


trees = st.dictionaries(path, content, min_size=1, max_size=8).filter(
    lambda files: without_clashes(list(files))
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    """One hub for all examples; each makes a repo of its own."""
    with serve_hub(tmp_path_factory.mktemp("hub"), lfs_over=200) as hub:
        yield hub


class TestFiles:
    @MANY
    @given(files=trees, kind=st.sampled_from(["hub", "git"]), page=st.integers(1, 9))
    def test_any_file_arrives_under_its_name(
        self, served: ServedHub, tmp_path_factory: pytest.TempPathFactory,
        files: dict[str, bytes], kind: str, page: int,
    ) -> None:  # fmt: skip
        """Through listing, quoting, paging and LFS."""
        name = f"user/repo{len(list(served.repos('model')))}"
        folder = tmp_path_factory.mktemp("case")
        commit = served.add(name, dict(files))
        served.page = page
        hub: HuggingFaceHub | GitRepo = HuggingFaceHub(served.url)
        ref = parse(name)
        if kind == "git":
            hub = GitRepo(served.git_url(name), cache=folder / "git")
            ref = Ref("git", served.git_url(name))
        found = hub.resolve(ref)
        listed = hub.files(ref, found)
        hub.download(ref, found, listed, folder / "out", lambda _: None)
        assert found.id == commit
        assert {file.path for file in listed} == set(files)
        assert all((folder / "out" / p).read_bytes() == data for p, data in files.items())
        plain = {file.path: file.oid for file in listed if not file.is_lfs}
        assert all(blob_id(files[name]) == oid for name, oid in plain.items())


class TestResume:
    @settings(max_examples=40, deadline=None)
    @given(
        data=st.binary(min_size=1, max_size=400),
        there=st.integers(0, 400),
        cuts=st.lists(st.integers(0, 400), max_size=5),
        ranges=st.booleans(),
    )
    def test_however_often_it_breaks_the_bytes_are_right(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes, there: int, cuts: list[int],
        ranges: bool,
    ) -> None:  # fmt: skip
        """Or it ends with an error; what was reported is what is there."""
        left = list(cuts)

        def answer(_: Request) -> Reply:
            return Reply(200, data, ranges=ranges, cut=left.pop() if left else None)

        file = tmp_path_factory.mktemp("case") / "file"
        file.write_bytes(data[:there])
        told: list[int] = [min(there, len(data))]
        with serve(answer) as url, file.open("ab") as target:
            failed = self.download(Download(f"{url}/f", {}, len(data), PLACE, 5), target, told)
        assert sum(told) == file.stat().st_size
        assert data.startswith(file.read_bytes())
        assert failed or file.read_bytes() == data

    def download(self, source: Download, target: BinaryIO, told: list[int]) -> bool:
        try:
            source.into(target, told.append, Event())
        except HubError:
            return True
        return False


LINKS = st.dictionaries(
    st.sampled_from(["l", "m", "a/n", "a/b/o", "c"]),
    st.lists(st.sampled_from(["..", ".", "a", "b", "f", "l", "m", "n", "o", "c", "zz"]),
             min_size=1, max_size=4).map("/".join),
    max_size=4,
)  # fmt: skip


class TestLinks:
    @settings(max_examples=30, deadline=None)
    @given(links=LINKS)
    @example(links={"l": "f/."})
    @example(links={"l": "zz/../f"})
    @example(links={"l": "a/./b/../f"})
    def test_links_lead_where_the_kernel_leads_them(
        self, tmp_path_factory: pytest.TempPathFactory, links: dict[str, str]
    ) -> None:
        """Each file that is listed is the one that the same path opens in a checkout."""
        work = tmp_path_factory.mktemp("case") / "work"
        for name in ("f", "a/f", "a/b/f"):
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(name)
        for name, target in links.items():
            (work / name).symlink_to(target)
        git("init", "-q", work)
        proc.run(["git", "add", "-A"], cwd=work, env=ENVIRON)
        proc.run(["git", "commit", "-qm", "x"], cwd=work, env={**ENVIRON, **WHO})
        head = git("rev-parse", "HEAD", folder=work / ".git").text
        try:
            items = read_tree(work / ".git", head, None)
        except HubError:
            assume(False)  # a loop, or a link that leaves the repo: refused, see test_git.py
        with reading(work / ".git") as read:
            for item in items:
                assert (work / item.path).read_bytes() == b"".join(read(item.blob))
        seen = {item.path for item in items}
        missing = [n for n in links if n not in seen and (work / n).is_file()]
        assert missing == []
        assert not [n for n in seen if not os.path.realpath(work / n).startswith(str(work))]
        shutil.rmtree(work)


user_names = st.characters(exclude_characters="/@:", exclude_categories=("Cc", "Cs"))


class TestNames:
    @given(
        user=st.text(user_names, max_size=9),
        password=st.from_regex(r"s3cr3t[^/@\s\x00-\x1f\x7f\ud800-\udfff]{0,8}", fullmatch=True),
        tail=st.sampled_from(["", "@v1", "@v1:a.py", "#subdirectory=x:y.py", "@", ":../x", "@@"]),
        scheme=st.sampled_from(["git+https", "git+http", "git+ssh", "https", "hub+https"]),
    )
    def test_no_password_is_ever_shown(
        self, user: str, password: str, tail: str, scheme: str
    ) -> None:
        """Neither by a ref nor by the error that refuses it."""
        text = f"{scheme}://{user}:{password}@host.example/u/r{tail}"
        try:
            said = repr(ref := parse(text)) + str(ref)
        except ValueError as error:
            said = str(error)
        assert "s3cr3t" not in said


def test_commit_of_any_shape_is_not_asked_for(tmp_path: Path) -> None:
    """Only a full hash is: the rest would be a name that git or the hub reads in its own way."""
    repo = GitRepo("http://127.0.0.1:9/x", cache=tmp_path)
    for commit in ("A" * 40, "a" * 41, "a" * 64, "a" * 39 + "\n", "HEAD", "../x"):
        with pytest.raises(HubError, match="not a full commit hash"):
            repo.files(Ref("git", "x"), Commit("", "x", "git", commit))
