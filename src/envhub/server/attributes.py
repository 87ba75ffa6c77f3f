"""`.gitattributes`: which files git-lfs is to fetch, as far as the hub writes and reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

LFS = "filter=lfs diff=lfs merge=lfs -text"

_KINDS = (
    "7z arrow avi bin bz2 ckpt ftz gif glb gz h5 hdf5 jpeg jpg joblib lz4 mcap mkv mov mp3 mp4"
    " msgpack npy npz obj onnx parquet pb pickle pkl png pt pth rar safetensors stl tar tflite tgz"
    " usd usdc usdz wasm wav webm webp whl xz zip zst"
)
_PNG_AND_FRIENDS = {"gif", "jpeg", "jpg", "obj", "png", "stl", "webp"}

DEFAULT = "".join(f"*.{kind} {LFS}\n" for kind in _KINDS.split() if kind not in _PNG_AND_FRIENDS)
"""What a new repo begins with. Small pictures and meshes stay in git."""


def with_lfs(text: str, paths: Sequence[str]) -> str:
    """The file with a line for each path that no line makes an LFS file yet."""
    missing = [path for path in paths if not is_lfs(text, path)]
    if not missing:
        return text
    begin = text if not text or text.endswith("\n") else f"{text}\n"
    return begin + "".join(f"{_pattern(path)} {LFS}\n" for path in dict.fromkeys(missing))


def is_lfs(text: str, path: str) -> bool:
    """Whether the file makes a path an LFS file; the last line that speaks of it counts."""
    verdict = False
    for pattern, words in _lines(text):
        if _matches(pattern, path):
            for word in words:
                if word == "filter=lfs":
                    verdict = True
                elif word in {"-filter", "!filter"} or word.startswith("filter="):
                    verdict = False
    return verdict


def is_ignored(text: str, path: str) -> bool:
    """Whether a `.gitignore` leaves a path, or a folder above it, out; the last word counts."""
    parts = path.split("/")
    above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    verdict = False
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        candidates = above[:-1] if pattern.endswith("/") else above
        if any(_matches(pattern.rstrip("/"), each) for each in candidates):
            verdict = not line.startswith("!")
    return verdict


def _lines(text: str) -> list[tuple[str, list[str]]]:
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [(words[0].replace("[[:space:]]", " "), words[1:]) for words in lines if words]


def _matches(pattern: str, path: str) -> bool:
    """As gitattributes(5): without a slash the name counts, else the path."""
    if "/" not in pattern:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    pattern = pattern.lstrip("/")
    if "**" in pattern:
        whole = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*")
        return re.fullmatch(whole.replace(r"\*", "[^/]*").replace(r"\?", "[^/]"), path) is not None
    parts, names = pattern.split("/"), path.split("/")
    return len(parts) == len(names) and all(map(fnmatchcase, names, parts))


def _pattern(path: str) -> str:
    """A pattern that means one path and nothing else."""
    plain = re.sub(r"[*?\[]", lambda special: f"[{special.group()}]", path)
    return "/" + plain.replace(" ", "[[:space:]]")
