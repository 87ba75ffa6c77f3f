"""The files of a commit in a folder, as plain files: no links, nothing outside of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from envhub.server.blobs import BlobStore
from envhub.server.gitrepo import Entry, GitRepo

MOST_FILES = 20_000
MOST_BYTES = 500_000_000
"""Of the files that git keeps."""


def check_out(
    git: GitRepo, commit: str, folder: Path, blobs: BlobStore, *, most: int
) -> str | None:
    """Write the files of a commit into a folder.

    Args:
        git: the repo.
        commit: its commit.
        folder: where they go.
        blobs: the LFS files.
        most: bytes of LFS files; if there are more, or none are wanted, only their pointers are
            written.

    Returns:
        What is missing, in words; nothing, if all is there; `None`, if there is no Python in it,
        and nothing was written.

    Raises:
        OSError: a file cannot be written.
    """
    files = [entry for entry in git.entries(commit) if entry.kind == "file"]
    if not any(entry.path.endswith(".py") or entry.path == "envhub.toml" for entry in files):
        return None
    folder.mkdir(parents=True)
    plain = [entry for entry in files if not entry.lfs]
    if len(files) > MOST_FILES or sum(entry.size for entry in plain) > MOST_BYTES:
        raise OSError(f"they are more than {MOST_FILES} files or {MOST_BYTES} bytes")
    large = [entry for entry in files if entry.lfs]
    total = sum(entry.size for entry in large)
    for entry in files:
        _write(git, entry, folder / entry.path, blobs if total <= most else None)
    if total <= most:
        return ""
    return f"its large files have {total:,} bytes, and the hub takes {most:,}"


def _write(git: GitRepo, entry: Entry, path: Path, blobs: BlobStore | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.lfs and blobs and blobs.size(entry.lfs.oid) is not None:
        with blobs.open(entry.lfs.oid) as source, path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    else:
        path.write_bytes(bytes(entry.lfs) if entry.lfs else git.data(entry.oid))
