"""The cache folder: built once, read without a lock, listed, checked and cleaned up."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from envhub import disk
from envhub import store as store_module
from envhub.errors import CorruptSourceError, DiskFullError, HubError, StoreError
from envhub.pins import File, blob_id
from envhub.refs import parse
from envhub.store import Listing, Store
from envhub.tree import stamp

DATA = {"env.py": b"x = 1\n", "a/b.bin": bytes(5000), "__pycache__/env.pyc": b"evil"}
COMMIT = "0123456789abcdef" * 2 + "01234567"


def listing(**more: str) -> Listing:
    files = tuple(File(path, blob_id(data), len(data)) for path, data in DATA.items())
    whole = Listing("https://hub.example", "u/r", "model", COMMIT, "", files)
    return msgspec.structs.replace(whole, **more)


def fill(missing: Sequence[File], into: Path) -> None:
    for file in missing:
        (into / file.path).parent.mkdir(parents=True, exist_ok=True)
        (into / file.path).write_bytes(DATA[file.path])


def never(missing: Sequence[File], into: Path) -> None:
    raise AssertionError(f"{missing} is downloaded again")


def build(store: Store, what: Listing) -> store_module.Slot:
    slot = store.slot(what)
    store.build(slot, what, fill)
    return slot


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_making_one(store: Store) -> None:
    """A store that is only looked at leaves no trace."""
    assert (store.entries(), store.usage().total) == ([], 0)
    assert store.recall("https://hub.example", parse("u/r")) is None
    assert not store.root.exists()


def test_build(store: Store) -> None:
    """A built commit has its wanted files, in a folder that appeared all at once."""
    slot = build(store, listing())
    assert slot.is_full
    assert not slot.partial.exists()
    assert (slot.tree / "a/b.bin").read_bytes() == DATA["a/b.bin"]
    assert not (slot.tree / "__pycache__").exists()
    store.build(slot, listing(), never)


@pytest.mark.parametrize(
    "change",
    [
        {"hub": "https://other.example"},
        {"hub": "http://hub.example"},
        {"repo": "u/R"},
        {"repo": "u-r/x"},
        {"repo_type": "space"},
        {"commit": "f" * 40},
        {"subdirectory": "envs"},
    ],
)
def test_slots(change: dict[str, str], store: Store) -> None:
    """Whatever tells two commits apart gives them two slots, on any file system."""
    one, other = store.slot(listing()), store.slot(listing(**change))
    assert str(one.folder).casefold() != str(other.folder).casefold()
    assert other.folder.is_relative_to(store.root)


def test_slug_of_evil_names(store: Store) -> None:
    """A repo's name cannot lead out of the cache, however it is written."""
    for repo in ("../../etc", "..", "/", "a\\..\\b", "x" * 4000, "ü/\n"):
        folder = store.slot(listing(repo=repo)).folder
        assert folder.parent.parent.parent == store.root / "sources"
        assert len(folder.parent.name) < 100
    with pytest.raises(HubError):
        store.slot(listing(commit="../../../etc"))


def test_continue(store: Store) -> None:
    """A killed download goes on: what is right stays, what is wrong or strange goes."""
    slot = store.slot(listing())
    slot.partial.mkdir(parents=True)
    (slot.partial / "env.py").write_bytes(DATA["env.py"])
    (slot.partial / "stranger.py").touch()
    asked: list[str] = []

    def rest(missing: Sequence[File], into: Path) -> None:
        asked.extend(file.path for file in missing)
        fill(missing, into)

    store.build(slot, listing(), rest)
    assert asked == ["a/b.bin"]
    assert not (slot.tree / "stranger.py").exists()


def test_begun_with_other_bytes(store: Store) -> None:
    """A file that goes on from wrong bytes is begun anew, once."""
    slot = store.slot(listing())
    slot.partial.mkdir(parents=True)
    (slot.partial / "env.py").write_bytes(b"??")

    def going_on(missing: Sequence[File], into: Path) -> None:
        for file in missing:
            (into / file.path).parent.mkdir(parents=True, exist_ok=True)
            with (into / file.path).open("ab") as target:
                target.write(DATA[file.path][target.tell() :])

    store.build(slot, listing(), going_on)
    assert (slot.tree / "env.py").read_bytes() == DATA["env.py"]


def test_space_counts_what_is_begun(store: Store) -> None:
    """A download that is nearly done is not refused for its full size."""
    huge = File("huge.bin", "sha256:" + "0" * 64, 10**15)
    what = msgspec.structs.replace(listing(), files=(huge,))
    slot = store.slot(what)
    with pytest.raises(DiskFullError, match="needs 1,000,000,000,000,000 bytes"):
        store.build(slot, what, never)
    with (slot.partial / "huge.bin").open("wb") as file:
        file.truncate(10**12)  # takes no room: a sparse file
    with pytest.raises(DiskFullError, match="needs 999,000,000,000,000 bytes"):
        store.build(slot, what, never)


def test_what_arrived_is_wrong(store: Store) -> None:
    """Wrong bytes never become a commit; the first wrong file is named, the others counted."""

    def lie(missing: Sequence[File], into: Path) -> None:
        fill(missing, into)
        for file in missing:
            (into / file.path).write_bytes(b"lie")

    with pytest.raises(CorruptSourceError, match=r"env\.py has 3 bytes instead of 6, and 1 more"):
        store.build(store.slot(listing()), listing(), lie)
    build(store, listing())


def test_two_threads(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Who comes second waits, says so, and downloads nothing."""
    caplog.set_level("INFO", "envhub")
    slot = store.slot(listing())
    name = "--".join(slot.folder.parts[-3:])
    lock = store.root / "locks" / f"{name}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        second = threading.Thread(target=store.build, args=(slot, listing(), never))
        second.start()
        second.join(disk.PATIENCE * 1.5)
        assert second.is_alive()
        slot.tree.mkdir(parents=True)
    second.join()
    assert "waiting for another process" in caplog.text


def test_remember(store: Store) -> None:
    """A ref is remembered as typed and as pinned; what is known already is not written again."""
    ref = parse("u/r@v1:envs/a.py")
    store.remember(ref, listing())
    for known in ("u/r@v1", "u/r@v1:b.py", f"u/r@{COMMIT}"):
        assert store.recall("https://hub.example", parse(known)) == listing()
    for unknown in ("u/r", "u/r@v2", "spaces/u/r@v1", "u/x@v1"):
        assert store.recall("https://hub.example", parse(unknown)) is None
    before = {path: path.stat().st_ino for path in store.root.rglob("*.json")}
    store.remember(ref, listing())
    assert {path: path.stat().st_ino for path in store.root.rglob("*.json")} == before


def test_false_memory(store: Store) -> None:
    """Notes about one commit that lie in the place of another one say nothing."""
    other = listing(commit="f" * 40)
    for known in (listing(), other):
        store.remember(parse("u/r"), known)
        store.remember(parse(f"u/r@{known.commit}"), known)
    one, two = (store._meaning(other.hub, parse(f"u/r@{c}")) for c in (COMMIT, other.commit))
    one.write_bytes(two.read_bytes())
    assert store.recall(other.hub, parse(f"u/r@{COMMIT}")) is None
    slots = [store.slot(known).folder / "files.json" for known in (listing(), other)]
    slots[1].write_bytes(slots[0].read_bytes())
    assert store.recall(other.hub, parse("u/r")) is None


def test_entries(store: Store) -> None:
    """The list says what each commit is, how large, and whether it can be loaded."""
    build(store, listing())
    other = listing(commit="f" * 40, subdirectory="envs")
    store.slot(other).write_listing(other)
    partial, full = store.entries()
    assert (full.name, full.size, full.complete) == (f"u/r@{COMMIT[:12]}", 5006, True)
    assert (partial.name, partial.size, partial.complete) == ("u/r#envs@ffffffffffff", 0, False)
    assert full.fetched > partial.fetched == 0
    assert "3 files" in repr(full)


def test_usage(store: Store) -> None:
    """Bytes are counted by what they are for."""
    build(store, listing())
    half = store.slot(listing(commit="f" * 40))
    half.partial.mkdir(parents=True)
    (half.partial / "env.py").write_bytes(b"123")
    store.git.mkdir()
    (store.git / "pack").write_bytes(b"12")
    usage = store.usage()
    assert (usage.sources, usage.partial, usage.git, usage.total) == (5006, 3, 2, 5011)


def test_remove(store: Store) -> None:
    """A removed commit is gone with all that it had, and can be built again."""
    slot = build(store, listing())
    build(store, listing(commit="f" * 40))
    entry = next(entry for entry in store.entries() if entry.slot == slot)
    store.remove(entry)
    assert not slot.folder.exists()
    assert [e.name for e in store.entries()] == ["u/r@ffffffffffff"]
    assert list(store.root.glob("trash*")) == []
    store.remove(entry)
    build(store, listing())


def test_verify(store: Store) -> None:
    """Verifying hashes every file, whatever the stamps say."""
    slot = build(store, listing())
    (entry,) = store.entries()
    assert store.verify(entry) == ()
    (slot.tree / "env.py").chmod(0o644)
    (slot.tree / "env.py").write_bytes(b"x = 2\n")
    slot.write_stamps({**slot.stamps(), "env.py": stamp((slot.tree / "env.py").stat())})
    assert store.check(slot, listing().files[:2]) == ()
    assert [str(fault) for fault in store.verify(entry)] == ["env.py has other bytes"]


def test_unreadable_listing(store: Store) -> None:
    """A commit whose listing is damaged is told, can be removed, and is no neighbour."""
    slot = build(store, listing())
    (slot.folder / "files.json").write_text("[]")
    (entry,) = store.entries()
    assert (entry.name, entry.listing) == (COMMIT[:12], None)
    assert [str(fault) for fault in store.verify(entry)] == ["files.json cannot be read"]
    build(store, listing(commit="f" * 40))
    store.remove(entry)
    assert len(store.entries()) == 1


def test_reopen(store: Store) -> None:
    """A reopened commit is a partial download; one that is not there stays as it is."""
    slot = build(store, listing())
    (entry,) = store.entries()
    store.reopen(entry)
    store.reopen(entry)
    assert (slot.is_full, slot.partial.is_dir()) == (False, True)
    assert store.verify(store.entries()[0]) == ()
    store.build(slot, listing(), never)


def test_root_is_a_file(tmp_path: Path) -> None:
    """A cache folder that is a file is told in words."""
    (tmp_path / "cache").touch()
    store = Store(tmp_path / "cache")
    with pytest.raises(StoreError, match="cannot be used"):
        store.build(store.slot(listing()), listing(), never)
    assert store.entries() == []


def test_lost_stamps(store: Store) -> None:
    """Without stamps every file is hashed, and the stamps are known again after that."""
    slot = build(store, listing())
    stamps = slot.stamps()
    (slot.folder / "stat.json").write_text("{")
    assert store.check(slot, listing().files[:2]) == ()
    assert slot.stamps() == stamps
