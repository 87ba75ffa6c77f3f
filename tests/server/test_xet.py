"""Xet uploads: the formats, files from chunks, chunks kept once, and everything that is wrong."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.conftest import Running
from tests.server.xetdata import chunk, raw, shard

from envhub.server import xetformat
from envhub.server.refusals import Refusal
from envhub.server.xetformat import Unpacker

X, Y, Z = "a" * 64, "b" * 64, "c" * 64


class Cas:
    """A client of one repo's store."""

    def __init__(self, running: Running, repo: str, user: str = "ada") -> None:
        self.running = running
        self.repo = repo
        answer = running.get(f"/api/models/{repo}/xet-write-token/main", user)
        assert answer.status_code == 200, answer.text
        self.url = answer.json()["casUrl"]
        self.token = answer.json()["accessToken"]

    def xorb(self, name: str, body: bytes, token: str | None = None) -> httpx2.Response:
        path = f"{self.url}/v1/xorbs/default/{name}"
        return self.running.ask("POST", path, token=token or self.token, content=body)

    def shard(self, body: bytes) -> httpx2.Response:
        return self.running.ask("POST", f"{self.url}/v1/shards", token=self.token, content=body)

    def file(self, data: bytes, *segments: tuple[str, int, int, int]) -> httpx2.Response:
        return self.shard(shard([(hashlib.sha256(data).hexdigest(), list(segments))]))

    def held(self, data: bytes) -> int | None:
        repo = self.running.hub.repos.find("model", self.repo)
        assert repo
        return self.running.hub.holdings.size(repo, hashlib.sha256(data).hexdigest())

    def unpacked(self) -> list[str]:
        """The xorbs that are still kept beside the files."""
        folder = self.running.hub.folder / "xet" / self.url.rpartition("/")[2]
        return sorted(path.name for path in folder.glob("*"))


def unpacked(body: bytes, cuts: list[int]) -> list[bytes]:
    """The chunks of a xorb that comes in pieces which end at `cuts`."""
    unpacker = Unpacker()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[low:high] for low, high in pairwise(edges)]
    found = [bytes(data) for piece in pieces for data in unpacker.feed(piece)]
    unpacker.end()
    return found


cuts = st.lists(st.integers(0, 5000), max_size=6)


@given(
    st.lists(st.tuples(st.binary(max_size=2000), st.integers(0, 2)), min_size=1, max_size=8), cuts
)
def test_xorb_round_trip(given_chunks: list[tuple[bytes, int]], cuts: list[int]) -> None:
    """Chunks come out as they went in, however they were packed and however they arrive."""
    body = b"".join(chunk(data, scheme) for data, scheme in given_chunks)
    wanted = [data for data, _ in given_chunks]
    assert unpacked(body, cuts) == wanted
    assert unpacked(body + b"XETBLOB and more", cuts) == wanted


@given(st.binary(max_size=300), cuts)
def test_no_xorb(data: bytes, cuts: list[int]) -> None:
    """Whatever comes in is a xorb or is refused."""
    with suppress(Refusal):
        unpacked(data, cuts)


@given(st.binary(max_size=300))
def test_no_shard(data: bytes) -> None:
    """So is a shard, also one that is cut off or goes on with anything."""
    whole = shard([("0" * 64, [(X, 0, 1, 5)])])
    for body in (data, whole[:96] + data, whole[: len(data)]):
        with suppress(Refusal):
            xetformat.files(body)


hexes = st.text("0123456789abcdef", min_size=64, max_size=64)
numbers = st.integers(0, 2**32 - 1)
segments = st.lists(st.tuples(hexes, numbers, numbers, numbers), max_size=4)


@given(st.lists(st.tuples(hexes, segments), max_size=4), st.booleans())
def test_shard_round_trip(files: list[Any], verified: bool) -> None:
    """Files and segments of a shard are read as they were written."""
    flags = 1 << 30 | (1 << 31 if verified else 0)
    found = xetformat.files(shard(files, flags=flags))
    assert [
        (each.sha256, [(s.xorb, s.low, s.high, s.size) for s in each.segments]) for each in found
    ] == files


BAD_XORBS = {
    "not packed by any scheme": chunk(b"a")[:4] + b"\x07" + chunk(b"a")[5:],
    "of another version": chunk(b"a", version=1),
    "cut off in a head": chunk(b"a") + b"\0\0\0",
    "cut off in a chunk": chunk(b"abc")[:-1],
    "longer than it claims": chunk(b"abc", 1, size=2),
    "shorter than it claims": chunk(b"abc", 1, size=4),
    "packed longer than it can be": chunk(bytes(5000), 0, size=1),
    "no lz4": chunk(b"abc")[:4] + b"\x01" + chunk(b"abc")[5:],
    "a bomb": chunk(bytes(5_000_000), 1, size=1000),
    "a large chunk": chunk(bytes(200_000), 1),
    "too many bytes": chunk(bytes(128 << 10), 1) * 513,
    "too many chunks": chunk(b"a") * 8193,
    "empty": b"",
}


@pytest.mark.parametrize("what", BAD_XORBS)
def test_bad_xorbs(running: Running, what: str) -> None:
    """A xorb that is no xorb, or unpacks to more than it says, is refused and leaves nothing."""
    cas = Cas(running, running.new())
    assert cas.xorb(X, BAD_XORBS[what]).status_code in {400, 413}
    assert cas.unpacked() == []
    assert list((running.hub.folder / "tmp").iterdir()) == []


def test_files_from_chunks(running: Running) -> None:
    """A file is put together from chunks of several xorbs, and can be committed and loaded."""
    repo = running.new()
    cas = Cas(running, repo)
    assert cas.xorb(X, chunk(b"one") + chunk(b"two", 1) + chunk(b"three", 2)).json() == {
        "was_inserted": True
    }
    assert cas.xorb(X, chunk(b"other")).json() == {"was_inserted": False}
    cas.xorb(Y, chunk(b"four"))
    data = b"twothreefourone"
    answer = cas.file(data, (X, 1, 3, 8), (Y, 0, 1, 4), (X, 0, 1, 3))
    assert answer.json() == {"result": 1}
    oid = hashlib.sha256(data).hexdigest()
    line = {"key": "lfsFile", "value": {"path": "f", "algo": "sha256", "oid": oid, "size": 15}}
    assert running.commit(repo, {}, lines=[line]).status_code == 200
    assert running.get(f"/{repo}/resolve/main/f").content == data


def test_chunks_are_kept_once(running: Running) -> None:
    """When files have all chunks of a xorb, the xorb goes; the chunks can still be used."""
    cas = Cas(running, running.new())
    cas.xorb(X, b"".join(chunk(bytes([65 + n]) * 1000) for n in range(6)))
    first, second = b"A" * 1000 + b"B" * 1000, b"C" * 1000 + b"D" * 1000
    cas.file(first, (X, 0, 2, 2000))
    assert cas.unpacked() == [X]
    cas.file(second + b"E" * 1000 + b"F" * 1000, (X, 2, 6, 4000))
    assert cas.unpacked() == []
    middle = b"B" * 1000 + second
    assert cas.file(middle, (X, 1, 4, 3000)).status_code == 200
    assert cas.held(middle) == 3000


def test_known_file(running: Running) -> None:
    """A file that the repo has is not put together again; one that it lost, is."""
    repo = running.new()
    cas = Cas(running, repo)
    cas.xorb(X, chunk(b"abc") + chunk(b"def"))
    assert cas.file(b"abcdef", (X, 0, 2, 6)).status_code == 200
    assert cas.unpacked() == []
    blobs = running.hub.blobs
    sha256 = hashlib.sha256(b"abcdef").hexdigest()
    before = blobs.since(sha256)
    assert cas.file(b"abcdef", (X, 0, 2, 6)).status_code == 200
    assert blobs.since(sha256) == before
    cas.xorb(Y, chunk(b"abcdef"))
    assert cas.file(b"abcdef", (Y, 0, 1, 6)).status_code == 200
    assert cas.unpacked() == []


def test_missing_chunks_are_sent_again(running: Running) -> None:
    """A client that believes the wrong things is refused once, then told of a new store."""
    repo = running.new()
    cas = Cas(running, repo)
    assert cas.file(b"abc", (Z, 0, 1, 3)).status_code == 400
    renewed = Cas(running, repo)
    assert renewed.url != cas.url
    assert cas.xorb(X, chunk(b"abc")).status_code == 403
    renewed.xorb(X, chunk(b"abc"))
    assert renewed.file(b"abc", (X, 0, 1, 3)).status_code == 200


WRONG_SEGMENTS = [(X, 0, 3, 6), (X, 1, 1, 0), (X, 2, 1, 3), (X, 0, 1, 4), (X, 0, 2, 3)]


@pytest.mark.parametrize("segment", WRONG_SEGMENTS)
def test_wrong_segments(running: Running, segment: tuple[str, int, int, int]) -> None:
    """Chunks that there are not, and sizes that are not theirs, make no file."""
    cas = Cas(running, running.new())
    cas.xorb(X, chunk(b"abc") + chunk(b"def"))
    assert cas.file(b"abc", segment).status_code == 400
    assert cas.held(b"abc") is None


def test_forged_hash(running: Running) -> None:
    """A file is what its SHA-256 says, or it is nothing: no name is given to other bytes."""
    victim = running.new(private=True)
    secret = os.urandom(1000)
    oid = running.send_lfs(victim, secret)
    attacker = Cas(running, running.new("eve"), "eve")
    attacker.xorb(X, chunk(b"forged"))
    assert attacker.shard(shard([(oid, [(X, 0, 1, 6)])])).status_code == 400
    assert attacker.held(secret) is None
    again = Cas(running, attacker.repo, "eve")
    assert again.shard(shard([(oid, [])])).status_code == 400
    assert running.hub.blobs.size(oid) == 1000


def test_chunks_of_others(running: Running) -> None:
    """Knowing the hashes of another repo's chunks does not give its bytes."""
    victim = Cas(running, running.new(private=True))
    victim.xorb(X, chunk(b"very secret"))
    victim.file(b"very secret", (X, 0, 1, 11))
    attacker = Cas(running, running.new("eve"), "eve")
    assert attacker.file(b"very secret", (X, 0, 1, 11)).status_code == 400
    assert attacker.held(b"very secret") is None
    path = f"{victim.url}/v1/xorbs/default/{Y}"
    answer = running.ask("POST", path, token=attacker.token, content=chunk(b"x"))
    assert answer.status_code == 403


def test_passes(running: Running) -> None:
    """Sending needs the repo's own pass; a user's token, another pass or a changed one is none."""
    repo = running.new()
    cas = Cas(running, repo)
    lfs = running.hub.signer.sign("lfs upload", 60, repo="x", oid=X, size=1)
    late = running.hub.signer.sign("xet", -1, repo="x", cas="y")
    body, _, mac = cas.token.partition(".")
    for token in (running.tokens["ada"], lfs, late, f"{body}.{mac[::-1]}", f"{body}x.{mac}", body):
        assert cas.xorb(X, chunk(b"a"), token).status_code == 403
    path = f"{cas.url}/v1/xorbs/default/{X}"
    assert running.ask("POST", path, content=chunk(b"a")).status_code == 401
    assert cas.xorb("nothing", chunk(b"a")).status_code == 400
    assert running.get(f"/api/models/{repo}/xet-write-token/main", "bob").status_code == 403
    body = {"name": repo.partition("/")[2]}
    running.ask("DELETE", "/api/repos/delete", user="ada", json=body)
    assert cas.xorb(X, chunk(b"a")).status_code == 403


def test_bad_shards(running: Running) -> None:
    """A shard of another kind, without hashes, or larger than allowed is refused."""
    cas = Cas(running, running.new())
    assert cas.shard(shard([(X, [])], tag=b"something else")).status_code == 400
    assert Cas(running, cas.repo).shard(shard([(X, [])], flags=0)).status_code == 400
    assert Cas(running, cas.repo).shard(bytes((64 << 20) + 1)).status_code == 413


def test_newer_calls_are_unknown(running: Running) -> None:
    """What this hub does not speak is 404, so that a client falls back to what it does."""
    cas = Cas(running, running.new())
    for method, path in (
        ("GET", f"/v1/chunks/default/{X}"),
        ("POST", f"/v1/xorb-grants/default/{X}"),
        ("POST", "/v2/shards"),
    ):
        assert running.ask(method, cas.url + path, token=cas.token).status_code == 404


def test_hash_as_xet_writes_it() -> None:
    """The hex form has each eight bytes reversed (from the specification)."""
    name = "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"
    assert raw(name) == bytes(range(32))
