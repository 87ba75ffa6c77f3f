"""What Xet clients send: xorbs (packs of chunks) and shards (which file is made of what).

After the public specification of the Xet protocol (huggingface.co/docs/xet). Everything that comes
in is a stranger's: sizes are checked before anything is unpacked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import lz4.frame

from envhub.server.refusals import bad

MAX_XORB = 64 << 20
MAX_CHUNK = 128 << 10
MAX_CHUNKS = 8 << 10
MAX_SHARD = 64 << 20

_SLACK = 1 << 10  # what packing may add to bytes that cannot be packed

_CHUNK = struct.Struct("<B3sB3s")
_PLAIN, _LZ4, _GROUPED = range(3)
_FOOTER = b"XETBLOB"

_HEADER = struct.Struct("<32sQQ")
_RECORD = 48
_TAG = b"HFRepoMetaData\0"
_FILE = struct.Struct("<32sIIQ")
_SEGMENT = struct.Struct("<32sIIII")
_END = b"\xff" * 32
_VERIFIED, _WITH_SHA256 = 1 << 31, 1 << 30


@dataclass(frozen=True, slots=True)
class Segment:
    """The chunks `low` to `high` (not included) of a xorb, which are `size` bytes of a file."""

    xorb: str
    low: int
    high: int
    size: int


@dataclass(frozen=True, slots=True)
class XetFile:
    """A file of a shard: its SHA-256, and the segments that it is made of."""

    sha256: str
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(segment.size for segment in self.segments)


class Unpacker:
    """Takes a xorb apart while it comes in; what it holds is at most a chunk and a piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._count = self._total = 0
        self._over = False

    def feed(self, piece: bytes) -> Iterator[bytes | memoryview]:
        """The chunks that are complete now, unpacked.

        Raises:
            Refusal: 400, this is no xorb, or one that unpacks to more than a xorb may hold.
        """
        data = memoryview(self._rest + piece)
        position = 0
        while not self._over and len(data) - position >= _CHUNK.size:
            begin = position + _CHUNK.size
            if data[position:begin].tobytes().startswith(_FOOTER):
                self._over = True
                break
            scheme, length, wanted = self._head(data, position)
            if len(data) - begin < length:
                break
            yield _unpacked(data[begin : begin + length], scheme, wanted)
            position = begin + length
            self._count, self._total = self._count + 1, self._total + wanted
        self._rest = b"" if self._over else data[position:].tobytes()

    def end(self) -> None:
        """There are no more pieces.

        Raises:
            Refusal: 400, there should be.
        """
        if self._rest:
            raise bad("the xorb ends within a chunk")
        if not self._count:
            raise bad("the xorb is empty")

    def _head(self, data: memoryview, position: int) -> tuple[int, int, int]:
        """How a chunk is packed, its bytes, and those that it unpacks to."""
        version, packed, scheme, size = _CHUNK.unpack_from(data, position)
        length, wanted = (int.from_bytes(each, "little") for each in (packed, size))
        if version or wanted > MAX_CHUNK or length > wanted + _SLACK:
            raise bad(f"chunk {self._count} of the xorb is malformed")
        if self._count >= MAX_CHUNKS or self._total + wanted > MAX_XORB:
            raise bad("the xorb unpacks to more than a xorb may hold")
        return scheme, length, wanted


def files(shard: bytes) -> list[XetFile]:
    """The files of a shard.

    Raises:
        Refusal: 400, this is no shard, or one of its files has no SHA-256.
    """
    try:
        tag, version, _ = _HEADER.unpack_from(shard)
        if not tag.startswith(_TAG) or version != 2:
            raise bad("this is no shard of version 2")
        return list(_files(shard))
    except struct.error as error:
        raise bad(f"the shard is cut off: {error}") from error


def _files(shard: bytes) -> Iterator[XetFile]:
    position = _HEADER.size
    while True:
        name, flags, count, _ = _FILE.unpack_from(shard, position)
        position += _RECORD
        if name == _END:
            return
        if not flags & _WITH_SHA256:
            raise bad(f"the file {_hex(name)} of the shard has no SHA-256")
        if position + count * _RECORD > len(shard):
            raise bad("the shard is cut off")
        places = range(position, position + count * _RECORD, _RECORD)
        segments = tuple(_segment(shard, place) for place in places)
        position += count * _RECORD * (2 if flags & _VERIFIED else 1)
        (sha256,) = struct.unpack_from("<32s", shard, position)
        position += _RECORD
        yield XetFile(_hex(sha256), segments)


def _segment(shard: bytes, position: int) -> Segment:
    xorb, _, size, low, high = _SEGMENT.unpack_from(shard, position)
    return Segment(_hex(xorb), low, high, size)


def _hex(raw: bytes) -> str:
    """A hash as Xet writes it: four numbers of 64 bits, least significant byte first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def _unpacked(data: memoryview, scheme: int, size: int) -> bytes | memoryview:
    plain: bytes | memoryview
    if scheme == _PLAIN:
        plain = data
    elif scheme in {_LZ4, _GROUPED}:
        found = _decompressed(data, size)
        plain = _ungrouped(found) if scheme == _GROUPED else found
    else:
        raise bad(f"chunks are not packed by scheme {scheme}")
    if len(plain) != size:
        raise bad(f"a chunk has {len(plain)} bytes, not {size}")
    return plain


def _decompressed(data: memoryview, size: int) -> bytes:
    """Unpack no more than was announced, however much is in there."""
    try:
        plain = lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1)
    except RuntimeError as error:
        raise bad(f"a chunk cannot be unpacked: {error}") from error
    return bytes(plain)


def _ungrouped(data: bytes) -> bytes:
    """Bytes 0, 4, 8, … come first, then 1, 5, 9, …, and so on; put them back in order."""
    plain = bytearray(len(data))
    start = 0
    for offset in range(4):
        length = (len(data) - offset + 3) // 4
        plain[offset::4] = data[start : start + length]
        start += length
    return bytes(plain)
