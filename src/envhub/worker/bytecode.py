"""Compiled files of a repo, kept outside its tree and found again by the hash of their source.

Compiling costs about 20 ms per thousand lines. Bytecode that lies in the tree is never used: it is
in no digest, and need not be that of the source beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import tempfile
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Optional

_HASH = 32


def name_of(path: str, source: bytes) -> str:
    """The name of the kept code of a file: another one for another text, place or Python."""
    parts = (MAGIC_NUMBER, b"%d" % sys.flags.optimize, os.fsencode(path), source)
    return hashlib.sha256(b"\0".join(parts)).hexdigest() + ".bin"


def read(folder: str, name: str) -> Optional[CodeType]:
    """The kept code, if there is any and it is whole."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
    except OSError:
        return None
    if hashlib.sha256(data[_HASH:]).digest() != data[:_HASH]:
        return None
    code = marshal.loads(data[_HASH:])  # noqa: S302 - whole, and from a folder of our own
    return code if isinstance(code, CodeType) else None


def write(folder: str, name: str, code: CodeType) -> None:
    """Keep code, if Python may and the folder can be written."""
    if sys.dont_write_bytecode:
        return
    data = marshal.dumps(code)
    with contextlib.suppress(OSError):  # read-only, full: the next load compiles again
        os.makedirs(folder, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(aside, os.path.join(folder, name))
