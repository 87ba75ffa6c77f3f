"""Our files are written whole or not at all, and a disk that refuses is told in our words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from envhub import disk
from envhub.errors import DiskFullError, HubUnreachableError, ReadOnlyStoreError, StoreError


def test_write(tmp_path: Path) -> None:
    """A file appears with its folder, replaces the old one, and leaves nothing beside it."""
    path = tmp_path / "a" / "b.json"
    disk.write(path, b"one")
    disk.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_write_fails(tmp_path: Path) -> None:
    """A write that fails leaves the old state and no litter."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "x").touch()
    with pytest.raises(OSError, match="folder"):
        disk.write(path, b"data")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EROFS, ReadOnlyStoreError),
        (errno.EACCES, ReadOnlyStoreError),
        (errno.EIO, StoreError),
        (errno.ENOTDIR, StoreError),
    ],
)
def test_words(number: int, kind: type[StoreError], tmp_path: Path) -> None:
    """Each refusal of the disk is an error that names the folder and says why."""
    with pytest.raises(kind) as caught, disk.guarded(tmp_path):
        raise OSError(number, os.strerror(number), "some/file")
    assert str(tmp_path) in caught.value.what
    assert caught.value.why == f"{os.strerror(number)}: some/file"
    assert caught.value.hint


def test_no_file_name(tmp_path: Path) -> None:
    """A refusal without a file's name is told as well."""
    with pytest.raises(DiskFullError, match="No space"), disk.guarded(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "error", [HubUnreachableError("no answer"), ConnectionResetError(errno.ECONNRESET, "reset")]
)
def test_not_the_disk(error: OSError, tmp_path: Path) -> None:
    """Errors that are not the disk's come through as they are."""
    with pytest.raises(type(error)) as caught, disk.guarded(tmp_path):
        raise error
    assert caught.value is error


def test_file_in_the_way(tmp_path: Path) -> None:
    """A file where the folder should be is an error of ours."""
    (tmp_path / "cache").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        disk.write(tmp_path / "cache" / "x", b"")
