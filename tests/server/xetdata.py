"""Makes xorbs and shards, right and wrong ones, as a Xet client would."""

from __future__ import annotations

import hashlib
import struct

import lz4.frame

END = b"\xff" * 32


def raw(name: str) -> bytes:
    """A hash as it stands in a shard: each eight bytes the other way round."""
    return struct.pack("<4Q", *(int(name[n : n + 16], 16) for n in range(0, 64, 16)))


def grouped(data: bytes) -> bytes:
    """Every fourth byte together, as Xet does before it packs numbers."""
    return b"".join(data[offset::4] for offset in range(4))


def chunk(data: bytes, scheme: int = 0, size: int | None = None, version: int = 0) -> bytes:
    """A chunk, packed; `size` is what its head claims."""
    packed = data
    if scheme:
        packed = lz4.frame.compress(grouped(data) if scheme == 2 else data)
    claimed = len(data) if size is None else size
    head = struct.pack(
        "<B3sB3s",
        version,
        len(packed).to_bytes(3, "little"),
        scheme,
        claimed.to_bytes(3, "little"),
    )
    return head + packed


def shard(
    files: list[tuple[str, list[tuple[str, int, int, int]]]],
    *,
    flags: int = 1 << 30,
    tag: bytes = b"HFRepoMetaData\0",
) -> bytes:
    """A shard: per file its SHA-256, and segments of (xorb, first chunk, end, bytes)."""
    parts = [struct.pack("<32sQQ", tag, 2, 0)]
    for sha256, segments in files:
        parts.append(
            struct.pack("<32sIIQ", hashlib.sha256(b"name").digest(), flags, len(segments), 0)
        )
        for xorb, low, high, size in segments:
            parts.append(struct.pack("<32sIIII", raw(xorb), 0, size, low, high))
        if flags & 1 << 31:
            parts.append(bytes(48 * len(segments)))
        if flags & 1 << 30:
            parts.append(struct.pack("<32sQQ", raw(sha256), 0, 0))
    parts.append(struct.pack("<32sIIQ", END, 0, 0, 0))
    return b"".join(parts)
