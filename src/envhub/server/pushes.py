"""What a push wants to do to which refs, read before git does it (gitprotocol-pack(5))."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from envhub.server.names import check_ref
from envhub.server.refusals import Refusal, bad

MOST = 10_000
NOTHING = "0" * 40
_HEAD_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Command:
    """Move a ref from one commit to another; `NOTHING` is before its birth and after its end."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True)
class Push:
    """The commands of a push, and how the client wants to be answered."""

    commands: tuple[Command, ...]
    capabilities: frozenset[str]

    @classmethod
    def read(cls, path: Path, *, gzipped: bool) -> Push:
        """Read the beginning of a push.

        Raises:
            Refusal: 400, this is no push.
        """
        with path.open("rb") as file:
            data = file.read(_HEAD_BYTES)
        if gzipped:
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _HEAD_BYTES)
        commands: list[Command] = []
        capabilities: frozenset[str] = frozenset()
        for line in _packets(data):
            text, _, rest = line.rstrip(b"\n").partition(b"\0")
            capabilities |= frozenset(rest.decode(errors="replace").split())
            if not text.startswith(b"shallow "):
                commands.append(_command(text))
        return cls(tuple(commands), capabilities)

    def report(self, refused: dict[str, str]) -> bytes:
        """Git's own way of saying that a push failed: all of it, since none of it is done."""
        lines = [b"unpack ok\n"]
        for each in self.commands:
            why = refused.get(each.ref, "another ref of this push was refused")
            lines.append(f"ng {each.ref} {why}\n".encode())
        body = b"".join(map(_packet, lines)) + b"0000"
        if "side-band-64k" in self.capabilities:
            pieces = [body[start : start + 60_000] for start in range(0, len(body), 60_000)]
            body = b"".join(_packet(b"\x01" + piece) for piece in pieces) + b"0000"
        return body


def refusals(push: Push, *, immutable_tags: bool) -> dict[str, str]:
    """Which refs of a push must not be touched like that, and why."""
    found = {each.ref: _objection(each, immutable_tags=immutable_tags) for each in push.commands}
    return {ref: why for ref, why in found.items() if why}


def _objection(command: Command, *, immutable_tags: bool) -> str:
    kind, _, name = command.ref.removeprefix("refs/").partition("/")
    if kind not in {"heads", "tags"} or not command.ref.startswith("refs/"):
        return "only branches and tags can be pushed"
    if command.ref == "refs/heads/main" and command.new == NOTHING:
        return "main is the branch that others load; it cannot be deleted"
    if kind == "tags" and immutable_tags and command.old != NOTHING:
        return "tags of this hub stay where they are"
    if command.new == NOTHING:
        return ""
    try:
        check_ref(name, "branch" if kind == "heads" else "tag")
    except Refusal as refusal:
        return refusal.message
    return ""


def _packets(data: bytes) -> list[bytes]:
    """The lines up to the first flush."""
    position, found = 0, list[bytes]()
    while len(found) <= MOST:
        try:
            length = int(data[position : position + 4], 16)
        except ValueError as error:
            raise bad("this is no push") from error
        if not length:
            return found
        if length < 4 or position + length > len(data):
            raise bad("this is no push")
        found.append(data[position + 4 : position + length])
        position += length
    raise bad(f"a push changes at most {MOST} refs")


def _packet(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line


def _command(text: bytes) -> Command:
    try:
        old, new, ref = text.decode().split(" ", 2)
    except ValueError as error:
        raise bad("this is no push") from error
    if len(old) != 40 or len(new) != 40:
        raise bad("this hub knows SHA-1 commits only")
    return Command(old, new, ref)
