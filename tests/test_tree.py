"""A tree on disk is the commit, or every difference is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envhub import tree
from envhub.errors import HubError
from envhub.pins import File, blob_id
from envhub.settings import Limits


def file(path: str, data: bytes = b"x") -> File:
    return File(path, blob_id(data), len(data))


def write(root: Path, path: str, data: bytes = b"x") -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def faults(root: Path, *files: File, known: dict[str, tree.Stamp] | None = None) -> list[str]:
    return [str(fault) for fault in tree.compare(root, files, known or {}).faults]


@pytest.mark.parametrize(
    "path",
    [
        "env.py",
        "envs/pick place@2.py",
        ".gitignore",
        ".github/x",
        "a/.gitmodules",
        "ünï/çödé.py",
        "..hidden",
        "console/nullable.py",
        "com10.py",
        "a" * 255,
    ],
)
def test_good_paths(path: str) -> None:
    """Names that any file system holds are taken."""
    tree.check_listing([file(path)], "u/r")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "no name"),
        ("/etc/passwd", "leaves the repo"),
        ("../x.py", "leaves the repo"),
        ("a/../../x.py", "leaves the repo"),
        ("a//b", "empty part"),
        ("./a", "empty part"),
        ("a/", "empty part"),
        ("a\\b", "character"),
        ("a\0b", "character"),
        ("a\nb", "character"),
        ("a\udc80b", "character"),
        (".git/config", "git's own"),
        ("sub/.GIT/config", "git's own"),
        ("git~1/config", "git's own"),
        (".git. /config", "git's own"),
        (".g\u200cit/config", "git's own"),
        ("a" * 256, "too long"),
        ("/".join(["a" * 200] * 6), "too long"),
        ("nul", "Windows"),
        ("a/COM1.py", "Windows"),
        ("Aux/env.py", "Windows"),
        ("lpt³.tar.gz", "Windows"),
        ("env.py.", "Windows"),
        ("a /env.py", "Windows"),
    ],
)
def test_bad_paths(path: str, problem: str) -> None:
    """A path that would be written elsewhere, or nowhere, is refused before anything is."""
    with pytest.raises(HubError, match=problem) as caught:
        tree.check_listing([file(path)], "u/r")
    assert "u/r" in caught.value.what


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        ("Env.py", "env.py", "upper and lower case"),
        ("café.py", "cafe\u0301.py", "upper and lower case"),
        ("env.py", "env.py", "upper and lower case"),
        ("envs", "envs/pick.py", "both as a file and as a folder"),
        ("a/b/c/d", "A/B", "both as a file and as a folder"),
    ],
)
def test_names_that_meet(one: str, other: str, problem: str) -> None:
    """Two names that some file systems take for one are refused on all of them."""
    with pytest.raises(HubError, match=problem):
        tree.check_listing([file(one), file(other)], "u/r")


TOO_MUCH = {
    "files": (Limits(files=2), "has 3 files; the limit is 2"),
    "size": (Limits(size=2), "has 3 bytes"),
    "name": (Limits(name=5), "a name of 6 bytes"),
    "depth": (Limits(depth=1), "a file 2 folders deep"),
}


@pytest.mark.parametrize(("limits", "says"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_limits(limits: Limits, says: str) -> None:
    """What is more than a repo may bring is refused, with the line that lets it through."""
    files = [file("env.py"), file("a/b/c.py"), file("ñé")]
    with pytest.raises(HubError, match=says) as caught:
        tree.check_limits(files, limits, "u/r")
    line = caught.value.hint.split()[0]
    name, _, amount = line.partition("=")
    raised = Limits.from_environ({name: amount})
    tree.check_limits(files, raised, "u/r")
    tree.check_limits([], Limits(0, 0, 0, 0), "u/r")


@pytest.mark.parametrize("bad", [File("a", "md5:0", 1), File("a", blob_id(b""), -1)])
def test_hash_and_size(bad: File) -> None:
    """A file that could not be verified is refused."""
    with pytest.raises(HubError, match="hash and size"):
        tree.check_listing([bad], "u/r")


def test_same_tree(tmp_path: Path) -> None:
    """A folder with exactly the listed bytes has no faults, whatever the kind of their hash."""
    write(tmp_path, "env.py", b"print()\n")
    big = write(tmp_path, "assets/big.bin", bytes(3_000_000))
    listed = File("assets/big.bin", tree.hash_file(big, "sha256:"), 3_000_000)
    assert faults(tmp_path, file("env.py", b"print()\n"), listed) == []
    assert tree.hash_file(big) == blob_id(bytes(3_000_000))


def test_faults(tmp_path: Path) -> None:
    """Each way in which a listed file can be wrong is said in words, with its path."""
    write(tmp_path, "long.py", b"too long")
    write(tmp_path, "other.py", b"y")
    (tmp_path / "link.py").symlink_to("other.py")
    os.mkfifo(tmp_path / "pipe.py")
    names = ("gone.py", "long.py", "other.py", "link.py", "pipe.py")
    assert faults(tmp_path, *map(file, names)) == [
        "gone.py is missing",
        "long.py has 8 bytes instead of 1",
        "other.py has other bytes",
        "link.py is no regular file",
        "pipe.py is no regular file",
    ]


def test_strangers(tmp_path: Path) -> None:
    """What could be imported though the commit lacks it is a fault; notes and bytecode are not."""
    for name in ("notes.txt", "__pycache__/env.cpython-311.pyc", "a/__pycache__/x.py"):
        write(tmp_path, name)
    assert faults(tmp_path) == []
    for name in ("new.py", "fast.abi3.so", "a/old.pyc", "WIN.PYD"):
        write(tmp_path, name)
    (tmp_path / "package").symlink_to("/usr/lib")
    strangers = ["WIN.PYD", "a/old.pyc", "fast.abi3.so", "new.py", "package"]
    assert faults(tmp_path) == [f"{name} is not in the commit" for name in strangers]


def test_folder_that_vanishes(tmp_path: Path) -> None:
    """A tree that somebody removes meanwhile has every file missing; that is no crash."""
    assert faults(tmp_path / "gone", file("env.py")) == ["env.py is missing"]


def test_known_stamps(tmp_path: Path) -> None:
    """A file whose stamp is known is not read again; one that was touched is."""
    path = write(tmp_path, "env.py", b"bad")
    wrong = file("env.py", b"yes")
    stamps = tree.compare(tmp_path, [wrong], {}).stamps
    assert faults(tmp_path, wrong, known=stamps) == []
    os.utime(path, ns=(0, 0))
    assert faults(tmp_path, wrong, known=stamps) == ["env.py has other bytes"]


def test_same_size_and_time(tmp_path: Path) -> None:
    """A change that hides behind the old size and time is still noticed."""
    path = write(tmp_path, "env.py", b"yes")
    good = file("env.py", b"yes")
    before = path.stat()
    stamps = tree.compare(tmp_path, [good], {}).stamps
    path.write_bytes(b"bad")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert faults(tmp_path, good, known=stamps) == ["env.py has other bytes"]


def test_bytecode_is_not_wanted() -> None:
    """A repo's bytecode caches never reach the disk: they could hide other code."""
    files = [file("env.py"), file("a/__pycache__/env.pyc"), file("__pycache__")]
    assert [f.path for f in tree.wanted(files)] == ["env.py", "__pycache__"]


def test_drop_wrong(tmp_path: Path) -> None:
    """Right files stay, wrong ones go; one that was begun stays for who can go on with it."""
    write(tmp_path, "right", b"right")
    write(tmp_path, "wrong", b"wrong")
    write(tmp_path, "begun", b"be")
    write(tmp_path, "sealed", b"se").chmod(0o444)
    data = {"right": b"right", "wrong": b"other", "begun": b"begun", "sealed": b"sealed"}
    files = [file(name, content) for name, content in data.items()]
    wrong = tree.drop_wrong(tmp_path, files, keep_begun=True)
    assert [f.path for f in wrong] == ["wrong", "begun", "sealed"]
    assert sorted(tree.walk(tmp_path)) == ["begun", "right"]
    tree.drop_wrong(tmp_path, files)
    assert sorted(tree.walk(tmp_path)) == ["right"]


def test_prune(tmp_path: Path) -> None:
    """After pruning there are the listed files and their folders, nothing else."""
    for name in ("a/keep.py", "a/b/drop.py", ".cache/x", "drop.py"):
        write(tmp_path, name)
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    tree.prune(tmp_path, [file("a/keep.py")])
    below = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert below == ["a", "a/keep.py"]


def test_protect(tmp_path: Path) -> None:
    """Files become read-only, what was executable stays so, and the stamps are those of after."""
    plain, program = write(tmp_path, "a/env.py"), write(tmp_path, "run")
    program.chmod(0o755)
    stamps = tree.protect(tmp_path)
    assert [oct(path.stat().st_mode & 0o777) for path in (plain, program)] == ["0o444", "0o555"]
    assert stamps == tree.compare(tmp_path, [file("a/env.py"), file("run")], {}).stamps


def test_size(tmp_path: Path) -> None:
    """The size is that of all files below; what does not exist has none."""
    write(tmp_path, "a/b", b"12345")
    write(tmp_path, "c", b"1")
    assert (tree.size(tmp_path), tree.size(tmp_path / "none")) == (6, 0)


def test_folder_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder has one address, however it is typed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("./x", "x/", str(tmp_path / "x"), "~/x", "./y/../x")
    assert {tree.folder_address(name) for name in names} == {f"file://{tmp_path}/x"}
