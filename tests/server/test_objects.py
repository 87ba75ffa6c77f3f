"""Large files in an object store: as in a folder, and fetched from there by signed addresses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import huggingface_hub
import obstore
import pytest
from obstore.store import LocalStore, MemoryStore, S3Store
from tests.server.conftest import Running, populated, run_hub

from envhub.errors import MissingExtraError
from envhub.proc import run
from envhub.server.backup import back_up, restore
from envhub.server.blobs import BlobStore, FolderBlobs, Intake
from envhub.server.checking import check
from envhub.server.cleaning import clean
from envhub.server.config import Bucket
from envhub.server.hub import Hub
from envhub.server.objects import PART, ObjectBlobs, connect
from envhub.server.refusals import Refusal

DATA = bytes(range(256)) * 40_000
OID = sha256(DATA).hexdigest()


def folder_store(path: Path) -> BlobStore:
    return FolderBlobs(path / "blobs")


def memory_store(_: Path) -> BlobStore:
    return ObjectBlobs(MemoryStore())


def local_store(path: Path) -> BlobStore:
    return ObjectBlobs(LocalStore(path / "objects", mkdir=True))


@pytest.mark.parametrize("make", [folder_store, memory_store, local_store])
def test_every_store(tmp_path: Path, make: Callable[[Path], BlobStore]) -> None:
    """What was put into a store is there whole, from any offset, until it is deleted."""
    store = make(tmp_path)
    assert store.size(OID) is None
    assert list(store) == []
    with Intake(tmp_path, limit=len(DATA), durable=True) as intake:
        intake.write(DATA)
        intake.keep(store, OID)
    assert store.size(OID) == len(DATA)
    assert store.since(OID) == pytest.approx(store.since("0" * 64), abs=60)
    assert list(store) == [OID]
    assert store.address(OID) is None
    with store.open(OID) as file:
        assert file.read() == DATA
        for offset in (0, 5, PART - 1, PART + 3, len(DATA) - 1, len(DATA)):
            file.seek(offset)
            assert file.read(1000) == DATA[offset : offset + 1000]
        assert file.seek(-3, os.SEEK_END) == len(DATA) - 3
        assert file.read() == DATA[-3:]
    for _ in range(2):
        store.delete(OID)
    assert store.size(OID) is None
    with pytest.raises(FileNotFoundError):
        store.open(OID)
    with pytest.raises(Refusal, match="no SHA-256"):
        store.size("../../x")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_names_that_are_none(tmp_path: Path) -> None:
    """What else lies in a bucket is no blob."""
    store = MemoryStore()
    obstore.put(store, "notes.txt", b"x")
    obstore.put(store, f"12/34/{'1' * 64}", b"x")
    assert list(ObjectBlobs(store)) == ["1" * 64]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def test_addresses(keys: None) -> None:
    """An address is signed for one object and a while, and names the key, never the secret."""
    bucket = Bucket("envs", endpoint="https://s3.lab.example", prefix="large")
    address = connect(bucket).address(OID)
    assert address
    parts = urlsplit(address)
    fields = parse_qs(parts.query)
    assert (parts.netloc, parts.path) == (
        "s3.lab.example",
        f"/envs/large/{OID[:2]}/{OID[2:4]}/{OID}",
    )
    assert fields["X-Amz-Expires"] == ["21600"]
    assert "testing" in fields["X-Amz-Credential"][0]
    assert "secret" not in address
    assert address != connect(bucket).address("1" * 64)
    assert connect(Bucket("envs", redirect=False)).address(OID) is None


def test_no_answer() -> None:
    """A store that does not answer is said in words, and by a status that means: later."""
    retries = {"max_retries": 0}
    store = S3Store(
        "envs",
        endpoint="http://127.0.0.1:9",
        access_key_id="a",
        secret_access_key="b",
        client_options={"allow_http": True},
        retry_config=retries,  # type: ignore[arg-type]  # the rest has defaults
    )
    with pytest.raises(Refusal, match="does not answer") as caught:
        ObjectBlobs(store).size(OID)
    assert caught.value.status == 503


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: None) -> None:
    """A bucket needs an extra, and the error says which; nothing else does."""
    monkeypatch.setitem(sys.modules, "envhub.server.objects", None)
    with pytest.raises(MissingExtraError, match="bucket"):
        populated(tmp_path / "one", bucket=Bucket("envs"))
    populated(tmp_path / "two")[0].close()


SERVER = """
import boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="envs")
print(url, flush=True)
input()
"""


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """A server that speaks S3, in a venv of its own; yields its address."""
    run(["uv", "venv", "-q", "-p", sys.executable, folder / "venv"], timeout=120)
    python = folder / "venv" / "bin" / "python"
    run(["uv", "pip", "install", "-q", "-p", python, "moto[server,s3]>=5"], timeout=300)
    process = subprocess.Popen(
        [python, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize("redirect", [True, False])
def test_in_a_bucket(tmp_path: Path, keys: None, redirect: bool) -> None:
    """A hub with a bucket: the unmodified client uploads, and downloads from the bucket itself."""
    with s3(tmp_path) as endpoint:
        bucket = Bucket("envs", endpoint=endpoint, prefix="large", redirect=redirect)
        for running in run_hub(tmp_path / "hub", bucket=bucket, lfs_over=100_000):
            journey(running, endpoint, redirect=redirect)
            look_after(running.hub, tmp_path)


def journey(running: Running, endpoint: str, *, redirect: bool) -> None:
    """Upload by each way, and fetch by each."""
    repo = running.new()
    api = huggingface_hub.HfApi(endpoint=running.url, token=running.tokens["ada"])
    api.upload_file(path_or_fileobj=DATA, path_in_repo="a.bin", repo_id=repo)
    oid = running.send_lfs(repo, DATA[7:])
    value = {"path": "b.bin", "algo": "sha256", "oid": oid}
    assert running.commit(repo, {}, lines=[{"key": "lfsFile", "value": value}]).status_code == 200
    assert set(running.hub.blobs) == {OID, oid}
    found = api.hf_hub_download(repo, "a.bin", cache_dir=running.hub.folder.parent / "cache")
    assert Path(found).read_bytes() == DATA
    answer = running.get(f"/{repo}/resolve/main/b.bin")
    assert (answer.status_code == 302) == redirect
    if redirect:
        assert answer.headers["location"].startswith(f"{endpoint}/envs/large/")
        assert "ETag" in answer.headers
        assert running.client.get(answer.headers["location"]).content == DATA[7:]
    else:
        part = running.get(f"/{repo}/resolve/main/b.bin", headers={"Range": "bytes=10-19"})
        assert part.content == DATA[17:27]
    head = running.ask("HEAD", f"/{repo}/resolve/main/b.bin")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(DATA) - 7))
    private = running.new(private=True)
    running.send_lfs(private, DATA[9:])
    assert running.get(f"/{private}/resolve/main/b.bin", "eve").status_code == 404


def look_after(hub: Hub, folder: Path) -> None:
    """Check, clean, back up and restore: the bytes stay in the bucket."""
    assert list(check(hub, deep=True)) == []
    loose = len(set(hub.blobs))
    clean(hub, grace=0)
    assert len(set(hub.blobs)) == loose - 1  # what was never committed
    back_up(hub, folder / "backup")
    assert list((folder / "backup" / "blobs").iterdir()) == []
    (folder / "backup" / "hub.toml").write_text(TOML.format(hub.config.bucket))
    assert list(restore(folder / "backup", folder / "again")) == []


TOML = '[bucket]\nname = "{0.name}"\nendpoint = "{0.endpoint}"\nprefix = "{0.prefix}"\n'
