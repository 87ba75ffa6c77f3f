"""What lies beside the code: programs, pickles and archives, by their names and first bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from envhub.inspection.findings import Finding
from envhub.pins import File

_SUFFIXES: Final = {
    "binary": ".so .dll .pyd .dylib .exe .o .a .pyc",
    "pickled-file": ".pkl .pickle .joblib .dill .pt .pth .ckpt",
    "archive": ".zip .tar .tgz .gz .xz .bz2 .7z .whl .egg",
    "script": ".sh .bash .bat .cmd .ps1 .js .lua .jar",
}
_BY_SUFFIX: Final = {
    suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}
_BY_MAGIC: Final = (
    (b"\x7fELF", "binary", "a Linux program or library"),
    (b"MZ", "binary", "a Windows program or library"),
    (b"\xcf\xfa\xed\xfe", "binary", "a macOS program or library"),
    (b"\xca\xfe\xba\xbe", "binary", "a macOS program or Java class"),
    (b"\0asm", "binary", "WebAssembly"),
    (b"#!", "script", "begins with #!"),
)
_FIRST: Final = 256
_READABLE: Final = (".py", ".md", ".txt", ".toml", ".yaml", ".yml", ".json", ".xml", ".urdf")


def read_assets(root: Path, files: Iterable[File]) -> list[Finding]:
    """What cannot be read, or would run if it were opened.

    Args:
        root: the folder with the files.
        files: those that are in it.
    """
    return [found for file in files if (found := _finding(root, file))]


def _finding(root: Path, file: File) -> Finding | None:
    suffix = PurePosixPath(file.path).suffix.lower()
    if kind := _BY_SUFFIX.get(suffix):
        return Finding.of(kind, file.path, 0, f"a {suffix} file of {file.size:,} bytes")
    if suffix in _READABLE:
        return None
    with (root / file.path).open("rb") as opened:
        first = opened.read(_FIRST)
    for magic, kind, what in _BY_MAGIC:
        if first.startswith(magic):
            return Finding.of(kind, file.path, 0, what)
    return (
        Finding.of("pickled-file", file.path, 0, pickled) if (pickled := _pickled(first)) else None
    )


def _pickled(first: bytes) -> str:
    """What makes a file one that pickle opens, or nothing."""
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return f"a pickle of protocol {first[1]}"
    if first.startswith(b"\x93NUMPY") and b"|O" in first:
        return "an array of Python objects, which are pickled"
    return ""
