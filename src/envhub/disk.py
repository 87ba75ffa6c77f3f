"""Our files on disk: written whole or not at all; the disk's refusals are said in our words."""

from __future__ import annotations

import errno
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from envhub.errors import DiskFullError, EnvHubError, ReadOnlyStoreError, StoreError

logger = logging.getLogger("envhub")

PATIENCE = 1.0
"""Seconds to wait for another process before saying so."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_WRONG_PLACE = {errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO, errno.ENOLCK}
_ELSEWHERE = "ENVHUB_HOME=<a folder that you can write>   # for another cache"


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Work below `folder`; what the disk refuses becomes an error with a way out.

    Raises:
        DiskFullError: no space, or the quota is used up.
        ReadOnlyStoreError: `folder` cannot be written.
        StoreError: the disk is broken, or something else is where a folder should be.
    """
    try:
        yield
    except EnvHubError:
        raise
    except OSError as error:
        raise _in_our_words(error, folder) from error


def _in_our_words(error: OSError, folder: Path) -> OSError:
    why = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    if error.errno in _FULL:
        hint = "envhub cache rm <repo>   # envhub cache ls lists them"
        return DiskFullError(f"the disk of {folder} is full", why=why, hint=hint)
    if error.errno in _READ_ONLY:
        return ReadOnlyStoreError(f"{folder} cannot be written", why=why, hint=_ELSEWHERE)
    if error.errno in _WRONG_PLACE:
        return StoreError(f"{folder} cannot be used", why=why, hint=_ELSEWHERE)
    return error


@contextmanager
def alone(root: Path, name: str) -> Iterator[None]:
    """Work on `name` in the cache folder `root`, one process at a time.

    Raises:
        DiskFullError, ReadOnlyStoreError, StoreError: see `guarded`.
    """
    with guarded(root):
        (root / "locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "locks" / f"{name}.lock")
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            logger.info("waiting for another process that works on %s", name)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; its folder is made if need be.

    Raises:
        DiskFullError, ReadOnlyStoreError, StoreError: see `guarded`; what was there is untouched.
    """
    with guarded(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}")
        try:
            with aside.open("xb") as file:
                file.write(data)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
