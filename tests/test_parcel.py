"""What belongs to a folder, and what does not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envhub import proc
from envhub.errors import HubError, RefError, RepoNotFoundError
from envhub.parcel import listing, parcel
from envhub.pins import blob_id
from envhub.testing import repos


def sent(folder: Path, home: Path) -> dict[str, bytes]:
    with parcel(folder, home) as found:
        paths = (path for path in found.root.rglob("*") if path.is_file())
        return {path.relative_to(found.root).as_posix(): path.read_bytes() for path in paths}


def test_put_aside(tmp_path: Path) -> None:
    """The files are in a folder of the same name, and gone afterwards; the place is the same."""
    folder = repos.write({"env.py": "x", "a/b.txt": "y"}, tmp_path / "my-env")
    with parcel(folder, tmp_path / "home") as first:
        assert first.root.name == "my-env"
        assert [file.path for file in listing(first.root)] == ["a/b.txt", "env.py"]
        assert listing(first.root)[1].oid == blob_id(b"x")
    assert not first.root.exists()
    with parcel(folder, tmp_path / "home") as second:
        assert second.root == first.root


def test_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot have a second name, it is copied."""

    def no_link(*_args: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", no_link)
    folder = repos.write({"env.py": "x"}, tmp_path / "env")
    assert sent(folder, tmp_path / "home") == {"env.py": b"x"}


def test_left_out(tmp_path: Path) -> None:
    """Tools' folders and bytecode never belong; `.gitignore` files count from where they are."""
    files = {
        ".gitignore": "*.log\n/data/\n!keep.log\n",
        "env.py": "",
        "a.log": "",
        "keep.log": "",
        "data/big.bin": "",
        "sub/data/small.bin": "",
        "sub/.gitignore": "!*.log\nsmall.*\n",
        "sub/b.log": "",
        ".git/config": "",
        ".venv/x.py": "",
        "__pycache__/env.cpython-311.pyc": "",
        "old.pyc": "",
        "envhub.lock": "",
    }
    folder = repos.write(files, tmp_path / "env")
    assert set(sent(folder, tmp_path / "home")) == {
        *(".gitignore", "env.py", "keep.log", "sub/.gitignore", "sub/b.log", "envhub.lock"),
    }
    with parcel(folder, tmp_path / "home") as found:
        assert set(found.left_out) == {"a.log", "data", "sub/data/small.bin"}


PATTERNS = ["*.log", "!a.log", "/a", "b/", "a/b", "**/c", "a/**", "!c", "# x", "", "c.log"]
NAMES = ["a", "b", "c", "a.log", "c.log"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rules=st.lists(st.sampled_from(PATTERNS), max_size=5),
    inner=st.lists(st.sampled_from(PATTERNS), max_size=3),
)
def test_as_git_does(
    tmp_path_factory: pytest.TempPathFactory, rules: list[str], inner: list[str]
) -> None:
    """What belongs to a folder is what git would add."""
    tmp = tmp_path_factory.mktemp("git")
    files = {f"{x}.d/{y}.d/{z}": "" for x in "ab" for y in "bc" for z in NAMES}
    files |= {"a.d/.gitignore": "\n".join(inner), ".gitignore": "\n".join(rules), "c": ""}
    folder = repos.write({path.replace(".d", ""): text for path, text in files.items()}, tmp / "x")
    proc.run(["git", "init", "-q", "."], cwd=folder)
    proc.run(["git", "add", "--all", "."], cwd=folder)
    added = proc.run(["git", "ls-files"], cwd=folder).text.split()
    assert sorted(sent(folder, tmp / "home")) == sorted(added)
    shutil.rmtree(tmp)


def test_links(tmp_path: Path) -> None:
    """A link to a file of the folder is a copy of it; others are refused, with the way out."""
    folder = repos.write({"env.py": "x", "a/b.txt": ""}, tmp_path / "env")
    (folder / "again.py").symlink_to("env.py")
    assert sent(folder, tmp_path / "home")["again.py"] == b"x"
    (folder / "folder").symlink_to("a")
    with pytest.raises(RefError, match="leads to a folder"):
        sent(folder, tmp_path / "home")
    (folder / "folder").unlink()
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(RefError, match="leaves the folder"):
        sent(folder, tmp_path / "home")
    (folder / "out").unlink()
    (folder / "nowhere").symlink_to("nothing")
    with pytest.raises(HubError, match="is no file"):
        sent(folder, tmp_path / "home")


def test_no_files(tmp_path: Path) -> None:
    """A pipe is no file, and may wait for ever: it is not opened."""
    folder = repos.write({"env.py": "x"}, tmp_path / "env")
    os.mkfifo(folder / "pipe")
    with pytest.raises(HubError, match=r"write pipe into \.gitignore"):
        sent(folder, tmp_path / "home")
    (folder / ".gitignore").write_text("pipe\n")
    assert "pipe" not in sent(folder, tmp_path / "home")


@pytest.mark.parametrize(("name", "words"), [("nothing", "does not exist"), ("file", "is a file")])
def test_no_folder(tmp_path: Path, name: str, words: str) -> None:
    """What is no folder is told to be none."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RepoNotFoundError, match=words):
        sent(tmp_path / name, tmp_path / "home")
