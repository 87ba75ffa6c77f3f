"""A folder on this machine as a hub."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from envhub import proc
from envhub.errors import HubError, RefError, RepoNotFoundError
from envhub.hubs import local
from envhub.hubs.base import Hub
from envhub.hubs.git import GitRepo
from envhub.hubs.local import LocalFolder
from envhub.pins import File, blob_id, tree_digest
from envhub.refs import Ref, parse


def listed(hub: Hub) -> tuple[File, ...]:
    ref = parse("./x")
    return hub.files(ref, hub.resolve(ref))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "my-env"
    (root / "envs").mkdir(parents=True)
    (root / "env.py").write_text("x = 1\n")
    (root / "envs" / "pick.py").write_text("")
    return root


def test_commit(folder: Path) -> None:
    """A folder's commit names the folder and has no id."""
    commit = LocalFolder(folder).resolve(parse("./x"))
    assert (commit.hub, commit.repo, commit.repo_type, commit.id) == (
        f"file://{folder}",
        "my-env",
        "local",
        None,
    )


def test_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is hashed when it has changed, and not at every load; fresh ones always are."""
    hashed: list[str] = []

    def count(path: Path) -> str:
        hashed.append(path.name)
        return blob_id(path.read_bytes())

    monkeypatch.setattr(local, "hash_file", count)
    monkeypatch.setattr(local, "_TICK", 0)
    first = listed(LocalFolder(folder))
    assert listed(LocalFolder(folder)) == first
    assert sorted(hashed) == ["env.py", "pick.py"]
    (folder / "env.py").write_text("x = 22\n")
    assert listed(LocalFolder(folder)) != first
    assert sorted(hashed) == ["env.py", "env.py", "pick.py"]
    monkeypatch.setattr(local, "_TICK", 10**12)
    listed(LocalFolder(folder))
    assert len(hashed) == 5


def test_files(folder: Path) -> None:
    """Files are listed in the order of their paths, with git's hashes."""
    assert listed(LocalFolder(folder)) == (
        File("env.py", blob_id(b"x = 1\n"), 6),
        File("envs/pick.py", blob_id(b""), 0),
    )


@pytest.mark.parametrize(
    "name",
    [
        ".git/HEAD",
        ".venv/lib/x.py",
        "envs/__pycache__/pick.pyc",
        "pick.pyc",
        "web/node_modules/x.js",
        ".ruff_cache/x",
        "envhub.lock",
    ],
)
def test_ignored(name: str, folder: Path) -> None:
    """What would never be published does not count."""
    before = listed(LocalFolder(folder))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    assert listed(LocalFolder(folder)) == before


def test_same_digest_as_git(folder: Path, tmp_path: Path) -> None:
    """A folder and the git commit of it have the same digest, links included."""
    (folder / "link.py").symlink_to("envs/pick.py")
    (folder / "data.bin").write_bytes(os.urandom(3000))
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "x"]):
        proc.run([*git, *words])
    there = GitRepo(f"file://{folder}", cache=tmp_path / "git")
    ref = parse(f"git+file://{folder}")
    assert tree_digest(there.files(ref, there.resolve(ref))) == tree_digest(
        listed(LocalFolder(folder))
    )


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd", "..", "../outside.py"])
def test_link_that_leaves(target: str, folder: Path) -> None:
    """A link out of the folder is refused, since no pin could cover it."""
    (folder.parent / "outside.py").touch()
    (folder / "envs" / "link").symlink_to(Path("..") / target if ".." in target else target)
    with pytest.raises(RefError, match=r"'envs/link'.*leaves the folder") as caught:
        listed(LocalFolder(folder))
    assert target in caught.value.hint


def test_links_inside(folder: Path) -> None:
    """A link to a folder inside, or to nothing, is pinned by where it leads to."""
    (folder / "more").symlink_to("envs")
    (folder / "loop").symlink_to("loop2")
    (folder / "loop2").symlink_to("loop")
    files = {file.path: file for file in listed(LocalFolder(folder))}
    assert files["more"] == File("more", blob_id(b"envs"), 4)
    assert files["loop"] == File("loop", blob_id(b"loop2"), 5)


def test_linked_folder(folder: Path, tmp_path: Path) -> None:
    """A folder that is reached through a link is the folder, under the name that was typed."""
    (tmp_path / "alias").symlink_to(folder)
    (folder / "link.py").symlink_to("env.py")
    hub = LocalFolder(tmp_path / "alias")
    assert listed(hub) == listed(LocalFolder(folder))
    assert hub.address == f"file://{tmp_path}/alias"


def test_odd_files(folder: Path) -> None:
    """Sockets and pipes are no files of an env."""
    before = listed(LocalFolder(folder))
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
        assert listed(LocalFolder(folder)) == before


def test_no_folder(folder: Path) -> None:
    """A folder that does not exist is named, with one of a similar name."""
    with pytest.raises(RepoNotFoundError, match="my-emv does not exist") as caught:
        LocalFolder(folder.with_name("my-emv")).resolve(parse("./x"))
    assert caught.value.hint == f"did you mean {folder}?"
    with pytest.raises(RepoNotFoundError) as caught:
        LocalFolder(folder / "qqqqq").resolve(parse("./x"))
    assert caught.value.hint == "check the spelling"
    with pytest.raises(RepoNotFoundError) as caught:
        LocalFolder("/nonexistent/a/b").resolve(parse("./x"))
    assert caught.value.hint == "check the spelling"


def test_file_instead(folder: Path) -> None:
    """A file where a folder was meant is told, with the ref that works."""
    with pytest.raises(RepoNotFoundError, match="is a file") as caught:
        LocalFolder(folder / "env.py").resolve(parse("./x"))
    assert caught.value.hint == f"{folder}:env.py if it is the entry file"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a while")
def test_unreadable(folder: Path) -> None:
    """A file that may not be read is named."""
    folder.chmod(0o755)
    for parent in folder.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o755)
    (folder / "env.py").chmod(0)
    os.seteuid(65534)
    try:
        with pytest.raises(HubError, match=r"env\.py cannot be read"):
            listed(LocalFolder(folder))
    finally:
        os.seteuid(0)


def test_download(folder: Path, tmp_path: Path) -> None:
    """A folder can be copied like any repo."""
    (folder / "link.py").symlink_to("env.py")
    hub = LocalFolder(folder)
    ref = Ref("local", str(folder))
    seen: list[int] = []
    hub.download(ref, hub.resolve(ref), listed(hub), tmp_path / "copy", seen.append)
    assert listed(LocalFolder(tmp_path / "copy")) == listed(hub)
    assert sum(seen) == 12
