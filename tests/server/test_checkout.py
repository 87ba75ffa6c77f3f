"""What the hub writes onto its disk to look at a commit, and how it ends what was started there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode
from tests.server.conftest import Running, run_hub

from envhub import proc
from envhub.server import cages, checkout
from envhub.server.checkout import check_out
from envhub.server.gitrepo import GitRepo


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A hub that looks at nothing by itself."""
    yield from run_hub(tmp_path_factory.mktemp("hub"))


def with_large(running: Running) -> tuple[GitRepo, str]:
    """A repo with a large file beside git, and its commit."""
    name = running.new()
    oid = running.send_lfs(name, b"x" * 6000)
    value = {"path": "data/w.bin", "algo": "sha256", "oid": oid, "size": 6000}
    lines = [{"key": "lfsFile", "value": value}]
    assert running.commit(name, {"env.py": "x = 1"}, lines=lines).status_code == 200
    repo = running.hub.repos.find("model", name)
    assert repo
    return running.hub.repos.git(repo), repo.head


def test_large_files(running: Running, tmp_path: Path) -> None:
    """Large files come whole if they are wanted and few; else their pointers, and it is told."""
    git, head = with_large(running)
    blobs = running.hub.blobs
    assert check_out(git, head, tmp_path / "all", blobs, most=6000) == ""
    assert (tmp_path / "all" / "data" / "w.bin").read_bytes() == b"x" * 6000
    assert (tmp_path / "all" / "env.py").read_text() == "x = 1"
    missing = check_out(git, head, tmp_path / "few", blobs, most=5999)
    assert missing == "its large files have 6,000 bytes, and the hub takes 5,999"
    assert (tmp_path / "few" / "data" / "w.bin").read_bytes().startswith(b"version https://git-lfs")


def test_lost_file(running: Running, tmp_path: Path) -> None:
    """A large file whose bytes are not here is a pointer, too."""
    git, head = with_large(running)
    pointer = git.file(head, "data/w.bin").lfs
    assert pointer
    running.hub.blobs.delete(pointer.oid)
    assert check_out(git, head, tmp_path / "x", running.hub.blobs, most=10**6) == ""
    assert (tmp_path / "x" / "data" / "w.bin").read_bytes() == bytes(pointer)


def test_links_are_files(running: Running, tmp_path: Path) -> None:
    """A link becomes a file that says where it leads to: nothing outside is ever opened."""
    git, head = with_large(running)
    index = pygit2.Index()
    index.read_tree(git.git[head].peel(pygit2.Tree))
    link = git.git.create_blob(b"/etc/passwd")
    index.add(pygit2.IndexEntry("link.py", link, FileMode.LINK))
    by = pygit2.Signature("a", "a@b.c")
    tree = index.write_tree(git.git)
    made = git.git.create_commit(None, by, by, "x", tree, [])
    assert check_out(git, str(made), tmp_path / "x", running.hub.blobs, most=10**6) == ""
    assert not (tmp_path / "x" / "link.py").is_symlink()
    assert (tmp_path / "x" / "link.py").read_text() == "/etc/passwd"


def test_limits(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files, and too many bytes, are refused before anything is written."""
    git, head = with_large(running)
    for name, value in (("MOST_FILES", 1), ("MOST_BYTES", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(checkout, name, value)
            with pytest.raises(OSError, match="they are more than"):
                check_out(git, head, tmp_path / name, running.hub.blobs, most=10**6)
        assert list((tmp_path / name).rglob("*")) == []


NEST = """
import subprocess, sys, time
word = "import time; time.sleep(60)"
words = ["bwrap", "--die-with-parent", "--bind", "/", "/", "--unshare-pid"]
inner = subprocess.Popen([*words, sys.executable, "-c", word])
other = subprocess.Popen([sys.executable, "-c", word])
print(inner.pid, other.pid, flush=True)
print(inner.wait(), flush=True)
other.kill()
other.wait()
"""


def test_cages(tmp_path: Path) -> None:
    """The namespaces below a process are ended, and no other process."""
    said = tmp_path / "said"
    with said.open("w+b") as output:
        process = proc.start([sys.executable, "-c", NEST], output=output.fileno())
        try:
            end = time.monotonic() + 30
            while not said.read_text().strip() and time.monotonic() < end:
                time.sleep(0.02)  # another process writes the file
            assert len(said.read_text().split()) == 2
            cages.end(process.pid)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
    assert said.read_text().split()[2] == "-9"


def test_memory() -> None:
    """The memory of a process is known while it is there."""
    assert cages.memory(os.getpid()) > 10_000_000
    assert cages.memory(2**22 + 1) == 0
