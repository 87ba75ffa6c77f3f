"""What changed between two commits: all of it if there is little, and never more than a page."""

from __future__ import annotations

import os
from pathlib import Path

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pygit2.enums import FileMode

from envhub.server import diff
from envhub.server.diff import Changes, between
from envhub.server.gitrepo import GitRepo

BY = pygit2.Signature("ada", "ada@example.org", 1, 0)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 5\n"


@pytest.fixture
def git(tmp_path: Path) -> GitRepo:
    return GitRepo.create(tmp_path / "x.git")


def commit(git: GitRepo, files: dict[str, bytes]) -> str:
    """A commit that has these files and no others."""
    tree = git.git.TreeBuilder()
    for name, data in files.items():
        tree.insert(name, git.git.create_blob(data), FileMode.BLOB)
    return str(git.git.create_commit(None, BY, BY, "x", tree.write(), []))


def changed(git: GitRepo, old: dict[str, bytes], new: dict[str, bytes]) -> Changes:
    return between(git, commit(git, old), commit(git, new))


def test_kinds(git: GitRepo) -> None:
    """Files are added, deleted, changed and renamed, each with its lines."""
    long = b"".join(b"line %d\n" % number for number in range(30))
    old = {"same": b"s\n", "gone": b"g\n", "other": b"1\n2\n3\n", "before": long}
    new = {"same": b"s\n", "new": b"n", "other": b"1\n<b>\r\n3\n", "then": long + b"more\n"}
    found = changed(git, old, new)
    assert {each.path: each.kind for each in found.files} == {
        "gone": "deleted",
        "new": "added",
        "other": "changed",
        "then": "renamed",
    }
    by_path = {each.path: each for each in found.files}
    assert by_path["then"].before == "before"
    lines = [(each.kind, each.old, each.new, each.text) for each in by_path["other"].lines]
    assert lines == [
        ("@", None, None, "@@ -1,3 +1,3 @@"),
        (" ", 1, 1, "1"),
        ("-", 2, None, "2"),
        ("+", None, 2, "<b>"),
        (" ", 3, 3, "3"),
    ]
    assert (by_path["other"].added, by_path["other"].removed) == (1, 1)
    assert by_path["new"].lines[-1].text.startswith("\\ No newline")
    assert found.more == 0


def test_first_commit(git: GitRepo) -> None:
    """Without a commit before, all files are new."""
    found = between(git, "", commit(git, {"a": b"1\n", "b": b"2\n"}))
    assert [(each.path, each.kind, each.added) for each in found.files] == [
        ("a", "added", 1),
        ("b", "added", 1),
    ]


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b"\0\1", b"\0\2", "no text"),
        (b"a\n", b"x\n" * diff.MAX_SIZE, "too large"),
        (POINTER % 1, POINTER % 2, "outside git"),
        (b"a\n", POINTER % 2, "outside git"),
    ],
)
def test_what_is_not_compared(git: GitRepo, old: bytes, new: bytes, word: str) -> None:
    """Of binaries, large files and those outside git there is a word instead of lines."""
    found = changed(git, {"f": old}, {"f": new}).files[0]
    assert word in found.note
    assert found.lines == []


def test_no_more_than_a_page(git: GitRepo) -> None:
    """Neither many files, nor many lines, nor long lines make a page that nobody can load."""
    many = changed(git, {}, {f"f{number:04}": b"x\n" for number in range(diff.FILES + 50)})
    assert (len(many.files), many.more) == (diff.FILES, 50)
    lines = b"x\n" * (diff.LINES // 2)
    long = changed(git, {}, dict.fromkeys("abcd", lines))
    assert sum(len(each.lines) for each in long.files) == diff.LINES
    assert [bool(each.note) for each in long.files] == [False, True, True, True]
    wide = changed(git, {}, {"w": b"x" * 10_000})
    assert max(len(line.text) for line in wide.files[0].lines) < diff.WIDTH + 10


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    old=st.dictionaries(st.sampled_from("abc"), st.binary(max_size=200)),
    new=st.dictionaries(st.sampled_from("abc"), st.binary(max_size=200)),
)
def test_any_bytes(git: GitRepo, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Whatever bytes there are, each file that differs is listed once, and no other."""
    found = changed(git, old, new).files
    listed = {each.path for each in found} | {each.before for each in found if each.before}
    differing = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    assert listed == differing
    for each in found:
        assert all("\n" not in line.text for line in each.lines)


def test_random_bytes_are_no_text(git: GitRepo) -> None:
    """Bytes that happen to be no UTF-8 are shown as well as they can be."""
    found = changed(git, {"f": b"\xff\xfe a\n"}, {"f": b"\xff b\n" + os.urandom(0)})
    assert [line.kind for line in found.files[0].lines] == ["@", "-", "+"]
