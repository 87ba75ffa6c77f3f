"""Downloads of `HuggingFaceHub`: real files, one request each, continued where they broke."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from envhub.errors import EnvHubError, HubError, HubUnreachableError
from envhub.hubs.base import Commit
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.pins import File
from envhub.refs import parse
from envhub.testing import repos
from envhub.testing.hub import ServedHub
from envhub.testing.web import Answer, Reply, serve


def client(hub: ServedHub, token: str | bool | None = None, timeout: float = 5) -> HuggingFaceHub:
    return HuggingFaceHub(hub.url, token=token, timeout=timeout)


def load(hub: HuggingFaceHub, text: str, into: Path) -> list[int]:
    """Resolve, list and download; returns what the progress callback was told."""
    ref = parse(text)
    commit = hub.resolve(ref)
    told: list[int] = []
    hub.download(ref, commit, hub.files(ref, commit), into, told.append)
    return told


def plain(body: bytes) -> Answer:
    """A server that says the same to everything and knows no ranges."""
    return lambda _: Reply(200, body, ranges=False)


def paths(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def commit(hub: ServedHub) -> str:
    """`user/repo` with two commits."""
    hub.add("user/repo", {"env.py": "old = 1\n"})
    return hub.add("user/repo", {"env.py": "x = 1\n", "a b/ü#?.txt": "odd\n"})


class TestDownload:
    def test_files_are_real_and_whole(self, hub: ServedHub, commit: str, tmp_path: Path) -> None:
        """Odd names included; no links, nothing else in the folder; progress adds up."""
        told = load(client(hub), "user/repo", tmp_path / "out")
        assert {"env.py", "a b/ü#?.txt"} == paths(tmp_path / "out")
        assert (tmp_path / "out/env.py").read_text() == "x = 1\n"
        assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
        assert sum(told) == 10

    def test_one_get_per_file_and_no_head(self, hub: ServedHub, tmp_path: Path) -> None:
        """What the listing told is not asked again; empty files are not asked for at all."""
        hub.lfs_over = 500
        hub.add("user/repo", {**repos.big(20, 80), "empty": "", "large": b"x" * 501})
        load(client(hub), "user/repo", tmp_path / "out")
        assert {"GET"} == {request.method for request in hub.requests}
        gets = [r.path for r in hub.requests if "/resolve/" in r.path]
        assert len(gets) == len(set(gets)) == 22
        assert (tmp_path / "out/empty").read_bytes() == b""

    def test_only_what_was_asked_for_is_written(self, hub: ServedHub, tmp_path: Path) -> None:
        """`files` decides, not the commit."""
        hub.add("user/repo", repos.big(5, 8))
        ref, client_ = parse("user/repo"), client(hub)
        commit = client_.resolve(ref)
        one = [f for f in client_.files(ref, commit) if f.path == "env.py"]
        client_.download(ref, commit, one, tmp_path, lambda _: None)
        assert {"env.py"} == {p for p in paths(tmp_path) if not p.startswith("hub/")}

    @pytest.mark.parametrize("lfs_over", [100, 10**9])
    def test_broken_connection_is_continued(
        self, hub: ServedHub, tmp_path: Path, lfs_over: int
    ) -> None:
        """The rest is asked for with a range, and the bytes are right."""
        hub.lfs_over = lfs_over
        content = os.urandom(3_000_000)
        hub.add("user/repo", {"big.bin": content})
        hub.cut(2_000_000)
        told = load(client(hub), "user/repo", tmp_path / "out")
        assert content == (tmp_path / "out/big.bin").read_bytes()
        assert sum(told) == 3_000_000
        ranges = [r.headers.get("range") for r in hub.requests if "/resolve/" in r.path]
        assert ranges[0] is None
        assert ranges[1] is not None

    def test_killed_download_is_continued(self, hub: ServedHub, tmp_path: Path) -> None:
        """What lies there in part is kept; what is too long, or whole, is not asked for again."""
        hub.add("user/repo", {"part": "0123456789", "long": "abc", "whole": "right"})
        (tmp_path / "part").write_text("01234")
        (tmp_path / "long").write_text("abcdef")
        (tmp_path / "whole").write_text("right")
        told = load(client(hub), "user/repo", tmp_path)
        assert (tmp_path / "part").read_text() == "0123456789"
        assert (tmp_path / "long").read_text() == "abc"
        assert sum(told) == 18
        asked = {r.path.rpartition("/")[2]: r.headers.get("range") for r in hub.requests}
        assert asked["part"] == "bytes=5-"
        assert "whole" not in asked

    def test_server_without_ranges_starts_over(self, tmp_path: Path) -> None:
        """A 200 instead of a 206 replaces what was there; progress is taken back."""
        (tmp_path / "f").write_text("01234")
        told: list[int] = []
        with serve(plain(b"abcdefghij")) as url:
            hub, ref = HuggingFaceHub(url), parse("user/repo")
            commit = Commit(url, "user/repo", "model", "a" * 40)
            hub.download(ref, commit, [File("f", "sha1:0", 10)], tmp_path, told.append)
        assert (tmp_path / "f").read_text() == "abcdefghij"
        assert told == [5, -5, 10]

    @pytest.mark.parametrize(("size", "error"), [(4, HubError), (20, HubUnreachableError)])
    def test_other_size_than_listed_is_an_error(
        self, tmp_path: Path, size: int, error: type[EnvHubError]
    ) -> None:
        """More bytes than listed end the download at once; fewer are not asked for for ever."""
        ref, files = parse("user/repo"), [File("f", "sha1:0", size)]
        with serve(plain(b"abcdefghij")) as url:
            commit = Commit(url, "user/repo", "model", "a" * 40)
            with pytest.raises(error):
                HuggingFaceHub(url).download(ref, commit, files, tmp_path, lambda _: None)

    @pytest.mark.parametrize("path", ["../out.py", "/etc/out.py", "a/../../out.py"])
    def test_path_that_leaves_the_folder_is_refused(self, tmp_path: Path, path: str) -> None:
        """Even if nobody checked the listing."""
        commit = Commit("http://127.0.0.1:1", "user/repo", "model", "a" * 40)
        with pytest.raises(HubError, match="does not lie inside"):
            HuggingFaceHub("http://127.0.0.1:1").download(
                parse("user/repo"), commit, [File(path, "sha1:0", 1)], tmp_path, lambda _: None
            )
        assert paths(tmp_path) == set()

    def test_first_failure_ends_all_downloads(self, hub: ServedHub, tmp_path: Path) -> None:
        """The others are not downloaded to their end."""
        hub.add("user/repo", repos.big(200, 80))
        hub.fail(500, on="0003.bin")
        with pytest.raises(HubUnreachableError, match="status 500"):
            load(client(hub), "user/repo", tmp_path)
        assert len([r for r in hub.requests if "/resolve/" in r.path]) < 150

    def test_progress_callback_can_end_the_download(self, hub: ServedHub, tmp_path: Path) -> None:
        """What it raises (a ^C, say) comes through, and nothing goes on in the background."""
        hub.add("user/repo", repos.big(50, 80))

        def refuse(_: int) -> None:
            raise KeyboardInterrupt

        ref, client_ = parse("user/repo"), client(hub)
        commit = client_.resolve(ref)
        with pytest.raises(KeyboardInterrupt):
            client_.download(ref, commit, client_.files(ref, commit), tmp_path, refuse)
        assert not [t for t in threading.enumerate() if t.name.startswith("envhub-download")]

    def test_cold_load_of_300_small_files_is_no_slower_than_snapshot_download(
        self, hub: ServedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Measured on the same server, best of two; usually it takes a third of the time."""
        hub.add("user/repo", repos.big(300, 800))
        ours, theirs = [], []
        for n in range(2):
            start = time.perf_counter()
            load(client(hub), "user/repo", tmp_path / f"ours{n}")
            middle = time.perf_counter()
            snapshot_download(
                "user/repo", endpoint=hub.url, token=False, cache_dir=tmp_path / f"theirs{n}"
            )
            ours.append(middle - start)
            theirs.append(time.perf_counter() - middle)
        with capsys.disabled():
            print(  # noqa: T201 - a figure to look at
                f"\n300 files: {min(ours):.2f} s, snapshot_download {min(theirs):.2f} s", end=" "
            )
        assert min(ours) <= min(theirs)
