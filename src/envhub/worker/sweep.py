"""Removes folders that a stranger has filled: however deep, and whatever they are closed with."""

from __future__ import annotations

import contextlib
import os
from typing import List


def clear(folder: str) -> None:
    """Remove a folder, however deep what lies in it is."""
    if not folder or not os.path.isdir(folder):
        return
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)
    serial = 0
    while True:
        children: "List[os.DirEntry[str]]" = []
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            children = list(entries)
        removed = False
        for entry in children:
            serial += 1
            removed = _flatten(folder, entry, serial) or removed
        if not removed:
            break
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _flatten(folder: str, entry: "os.DirEntry[str]", serial: int) -> bool:
    """Remove a file, or a folder after its contents were moved up; whether something changed."""
    try:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            return True
        os.chmod(entry.path, 0o700)
        for number, name in enumerate(os.listdir(entry.path)):
            inner = os.path.join(entry.path, name)
            if os.path.isdir(inner) and not os.path.islink(inner):
                os.chmod(inner, 0o700)  # a folder can only be moved by who may change its ".."
                os.rename(inner, os.path.join(folder, ".{}.{}".format(serial, number)))
            else:
                os.unlink(inner)
        os.rmdir(entry.path)
    except OSError:
        return False
    return True
