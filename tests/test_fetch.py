"""Pin → Source: real files, verified, and only what is needed is downloaded."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from envhub import proc
from envhub.errors import (
    CommandError,
    CorruptSourceError,
    DiskFullError,
    HubError,
    HubUnreachableError,
    LockMismatchError,
    OfflineError,
    ReadOnlyStoreError,
)
from envhub.fetch import Source, fetch
from envhub.hubs.base import Commit, Progress
from envhub.hubs.git import GitRepo
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.hubs.local import LocalFolder
from envhub.pins import File, tree_digest
from envhub.refs import Ref, parse
from envhub.resolve import resolve
from envhub.store import Store
from envhub.testing import ServedHub, serve_hub

FILES: dict[str, str | bytes | None] = {
    "env.py": "from helpers import build\n",
    "helpers.py": "build = 1\n",
    "assets/robot.bin": bytes(range(256)) * 400,
    "configs/task.yaml": "n: 1\n",
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHub]:
    with serve_hub(tmp_path / "hub", lfs_over=50_000) as hub:
        hub.add("u/r", FILES, tag="v1")
        yield hub


@pytest.fixture
def hub(served: ServedHub) -> HuggingFaceHub:
    return HuggingFaceHub(served.url)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def load(
    hub: HuggingFaceHub, store: Store, ref: str = "u/r@v1", *, offline: bool = False
) -> Source:
    pin = resolve(parse(ref), hub, store, offline=offline)
    return fetch(pin, hub, store, offline=offline)


def downloads(served: ServedHub) -> list[str]:
    """The files that were asked for, in the order of their names."""
    found = [re.search(r"/resolve/[0-9a-f]{40}/(.*)", r.path) for r in served.requests]
    return sorted(match.group(1) for match in found if match)


def test_all_files(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A source has every file of the commit, as a real file that cannot be written by accident."""
    source = load(hub, store)
    for path, content in FILES.items():
        data = content.encode() if isinstance(content, str) else content
        assert (source.root / path).read_bytes() == data
        assert (source.root / path).lstat().st_mode & 0o777 == 0o444
    assert source.entry == source.root / "env.py"
    assert tree_digest(source.files) == source.pin.digest
    assert not any(path.is_symlink() for path in source.root.rglob("*"))


def test_second_load(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """What the cache has costs one question for a tag, and none for a commit."""
    first = load(hub, store)
    served.requests.clear()
    assert load(hub, store) == first
    assert [r.path for r in served.requests] == ["/api/models/u/r/revision/v1"]
    served.requests.clear()
    assert load(hub, store, first.pin.pinned_ref).root == first.root
    assert served.requests == []


def test_next_commit(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """Of a new commit only the changed files are downloaded; both commits stay loadable."""
    old = load(hub, store)
    served.add("u/r", {"env.py": "changed\n", "new.py": "new\n"}, tag="v2")
    served.requests.clear()
    new = load(hub, store, "u/r@v2")
    assert downloads(served) == ["env.py", "new.py"]
    assert (new.root / "env.py").read_text() == "changed\n"
    assert (load(hub, store).root / "env.py").read_text() == FILES["env.py"]
    assert old.root != new.root


def test_bad_neighbour(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A file that went bad in another commit is not copied from there, but downloaded."""
    old = load(hub, store)
    damage(old.root / "helpers.py")
    served.add("u/r", {"env.py": "changed\n"}, tag="v2")
    served.requests.clear()
    new = load(hub, store, "u/r@v2")
    assert downloads(served) == ["env.py", "helpers.py"]
    assert (new.root / "helpers.py").read_text() == FILES["helpers.py"]


def damage(path: Path, data: bytes = b"evil = 1\n\n") -> None:
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("name", sorted(FILES))
def test_changed_file(name: str, served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A file that is not the commit's is never loaded; the error names it and what repairs it."""
    source = load(hub, store)
    data = (source.root / name).read_bytes()
    damage(source.root / name, data[:-1] + b"!")
    with pytest.raises(CorruptSourceError, match="other bytes") as caught:
        load(hub, store)
    assert name in caught.value.what
    assert caught.value.hint == f"envhub cache verify --fix {source.pin.pinned_ref}"


def test_missing_and_new_file(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A file that is gone, or one that is new and could be imported, is told."""
    source = load(hub, store)
    (source.root / "configs/task.yaml").unlink()
    (source.root / "gymnasium.py").write_text("evil")
    with pytest.raises(CorruptSourceError) as caught:
        load(hub, store)
    assert "configs/task.yaml is missing, and 1 more" in caught.value.what
    assert [str(fault) for fault in store.verify(store.entries()[0])] == [
        "configs/task.yaml is missing",
        "gymnasium.py is not in the commit",
    ]


def test_touched_file(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A file that was only touched is hashed once and known from then on."""
    source = load(hub, store)
    os.utime(source.root / "env.py", ns=(1, 1))
    load(hub, store)
    stamps = next(store.root.glob("sources/*/*/*/stat.json"))
    written = stamps.stat().st_mtime_ns
    load(hub, store)
    assert stamps.stat().st_mtime_ns == written


def test_notes_and_bytecode(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """What an env leaves beside its code, if it cannot be imported, harms nothing."""
    source = load(hub, store)
    (source.root / "__pycache__").mkdir()
    (source.root / "__pycache__" / "env.cpython-311.pyc").write_bytes(b"")
    (source.root / "log.txt").touch()
    assert load(hub, store) == source


def test_repair(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A commit that went bad is opened again; then only its bad files are downloaded."""
    source = load(hub, store)
    damage(source.root / "helpers.py")
    (source.root / "gymnasium.py").write_text("evil")
    (entry,) = store.entries()
    store.reopen(entry)
    served.requests.clear()
    assert load(hub, store) == source
    assert downloads(served) == ["helpers.py"]
    assert store.verify(entry) == ()
    assert not (source.root / "gymnasium.py").exists()


def test_offline(served: ServedHub, hub: HuggingFaceHub, store: Store, tmp_path: Path) -> None:
    """Offline the cache answers, or an error with the line that fills it."""
    pin = resolve(parse("u/r@v1"), hub, store)
    with pytest.raises(OfflineError, match="not all files") as caught:
        fetch(pin, hub, store, offline=True)
    assert caught.value.hint == f"envhub fetch {pin.pinned_ref}   # while online"
    with pytest.raises(OfflineError, match="does not know"):
        fetch(pin, hub, Store(tmp_path / "other"), offline=True)
    fetch(pin, hub, store)
    served.requests.clear()
    assert load(hub, store, offline=True).pin == pin
    assert served.requests == []


def test_mirror(served: ServedHub, hub: HuggingFaceHub, store: Store, tmp_path: Path) -> None:
    """A pin can be fetched from another hub: the digest decides, not the address."""
    pin = resolve(parse("u/r@v1"), hub, store)
    elsewhere = dataclasses.replace(pin, hub="https://huggingface.co")
    source = fetch(elsewhere, hub, Store(tmp_path / "other"))
    assert source.pin.hub == "https://huggingface.co"


def test_other_listing(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A hub that lists other files than the pin was made from gives nothing."""
    pin = resolve(parse("u/r@v1"), hub, store)
    other = dataclasses.replace(pin, digest="sha256:" + "0" * 64)
    with pytest.raises(LockMismatchError, match="lists other files") as caught:
        fetch(other, hub, store)
    assert pin.digest in caught.value.why


class FaultyHub(HuggingFaceHub):
    """A hub whose first downloads go wrong: each by one of the given faults."""

    def __init__(self, served: ServedHub, *faults: str) -> None:
        super().__init__(served.url)
        self.faults = list(faults)

    def download(
        self, ref: Ref, commit: Commit, files: Sequence[File], into: Path, progress: Progress
    ) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        files = files[: len(files) // 2] if fault == "breaks off" else files
        super().download(ref, commit, files, into, progress)
        if fault == "breaks off":
            raise HubUnreachableError("the hub went away")
        if fault == "lies":
            (into / "env.py").write_text("import evil               ")


def test_broken_connection(served: ServedHub, store: Store) -> None:
    """What arrived before a failure is kept: the next load asks for the rest."""
    hub = FaultyHub(served, "breaks off")
    pin = resolve(parse("u/r@v1"), hub, store)
    with pytest.raises(HubUnreachableError, match="went away"):
        fetch(pin, hub, store)
    first = downloads(served)
    assert store.usage().partial > 0
    served.requests.clear()
    fetch(pin, hub, store)
    assert sorted(first + downloads(served)) == sorted(FILES)
    assert store.usage().partial == 0


def test_lying_hub(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """Bytes that are not those listed never become a source, and the error names the file."""
    pin = resolve(parse("u/r@v1"), hub, store)
    with pytest.raises(CorruptSourceError, match=r"u/r@.*: env\.py has other bytes"):
        fetch(pin, FaultyHub(served, "lies", "lies"), store)
    with pytest.raises(OfflineError):
        fetch(pin, hub, store, offline=True)


def test_second_try(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """Bytes that were damaged on the way are asked for once more."""
    pin = resolve(parse("u/r@v1"), hub, store)
    source = fetch(pin, FaultyHub(served, "lies"), store)
    assert source.entry.read_text() == FILES["env.py"]


def test_evil_listing(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A listing that no folder can hold is refused before anything is downloaded."""
    pin = resolve(parse("u/r@v1"), hub, store)
    served.add("u/bad", {"env.py": "", "Env.py": ""})
    with pytest.raises(HubError, match="upper and lower case"):
        load(hub, store, "u/bad")
    assert downloads(served) == []
    assert pin.repo == "u/r"


def test_bytecode_of_the_repo(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """Bytecode that a repo ships is pinned by the digest and never downloaded."""
    served.add("u/pyc", {"env.py": "x = 1", "__pycache__/env.cpython-311.pyc": b"evil"})
    source = load(hub, store, "u/pyc")
    assert [file.path for file in source.files] == ["env.py"]
    assert downloads(served) == ["env.py"]
    assert tree_digest(source.files) != source.pin.digest


def test_progress(hub: HuggingFaceHub, store: Store) -> None:
    """The caller is told about every byte that arrives."""
    pin = resolve(parse("u/r@v1"), hub, store)
    seen: list[int] = []
    source = fetch(pin, hub, store, progress=seen.append)
    assert sum(seen) == sum(file.size for file in source.files)


def test_no_bar_off_the_terminal(
    hub: HuggingFaceHub, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where no human watches, no bar is drawn."""
    fetch(resolve(parse("u/r@v1"), hub, store), hub, store, progress=True)
    assert capfd.readouterr() == ("", "")


def test_only_fetch_makes_sources(hub: HuggingFaceHub, store: Store) -> None:
    """A source that nobody verified cannot be made."""
    pin = resolve(parse("u/r@v1"), hub, store)
    with pytest.raises(TypeError, match=r"envhub\.fetch"):
        Source(pin, Path(), ())
    source = fetch(pin, hub, store)
    with pytest.raises(TypeError, match=r"envhub\.fetch"):
        dataclasses.replace(source, root=Path("/"))


def test_folder(tmp_path: Path, store: Store) -> None:
    """A folder is used where it is, as long as it is what was pinned."""
    folder = tmp_path / "my-env"
    folder.mkdir()
    (folder / "env.py").write_text("x = 1\n")
    hub = LocalFolder(folder)
    pin = resolve(parse(str(folder)), hub, store)
    source = fetch(pin, hub, store, offline=True)
    assert (source.root, source.entry.read_text()) == (folder, "x = 1\n")
    assert not store.root.exists()
    (folder / "env.py").write_text("x = 2\n")
    with pytest.raises(CorruptSourceError, match="changed since it was pinned"):
        fetch(pin, hub, store)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 96 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        proc.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", disk])
    except CommandError as error:
        pytest.skip(f"a disk can only be mounted by root: {error}")
    yield disk
    proc.run(["umount", disk])


def test_disk_too_small(hub: HuggingFaceHub, small_disk: Path, tmp_path: Path) -> None:
    """A download that cannot fit is refused before it fills the disk of others."""
    store = Store(small_disk)
    pin = resolve(parse("u/r@v1"), hub, store)
    with pytest.raises(DiskFullError, match=r"needs 102,\d+ bytes") as caught:
        fetch(pin, hub, store)
    assert caught.value.hint.startswith("envhub cache rm ")


def test_disk_fills_up(
    served: ServedHub, hub: HuggingFaceHub, small_disk: Path, tmp_path: Path
) -> None:
    """A disk that fills up during a download harms nothing that was there, and nothing after."""
    store = Store(small_disk)
    served.add("u/small", {"env.py": "small", "a": bytes(20_000)})
    small = load(hub, store, "u/small")
    served.add("u/next", {"env.py": "next", "a": "new"})
    pin = resolve(parse("u/next"), hub, store)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(96_000))
    with pytest.raises(DiskFullError):
        fetch(pin, hub, store)
    assert load(hub, store, small.pin.pinned_ref).root == small.root
    ballast.unlink()
    assert fetch(pin, hub, store).pin == pin


def test_read_only_cache(
    served: ServedHub, hub: HuggingFaceHub, small_disk: Path, tmp_path: Path
) -> None:
    """A read-only cache loads what it has, and says so where it lacks something."""
    store = Store(small_disk)
    served.add("u/small", {"env.py": ""}, tag="v1")
    served.add("u/other", {"env.py": "other"})
    small = load(hub, store, "u/small@v1")
    os.utime(small.entry)
    proc.run(["mount", "-o", "remount,ro", small_disk])
    for ref in ("u/small@v1", "u/small", small.pin.pinned_ref):
        assert load(hub, store, ref).root == small.root
    pin = resolve(parse("u/other"), hub, store)
    with pytest.raises(ReadOnlyStoreError, match="cannot be written"):
        fetch(pin, hub, store)


def test_git_subdirectory(served: ServedHub, store: Store) -> None:
    """Of a git repo's folder exactly that folder's files are on disk, beside those of the whole."""
    served.add("u/big", {"env.py": "outer\n", "envs/env.py": "inner\n", "envs/data": "d"})
    repo = served.repo("model", "u/big")
    assert repo
    url = f"git+file://{repo.folder}"
    git = GitRepo(f"file://{repo.folder}", cache=store.git)
    roots = []
    for ref, text in ((url, "outer\n"), (f"{url}#subdirectory=envs", "inner\n")):
        source = fetch(resolve(parse(ref), git, store), git, store)
        assert source.entry.read_text() == text
        assert source == fetch(source.pin, git, store, offline=True)
        roots.append(sorted(file.path for file in source.files))
    assert roots == [["env.py", "envs/data", "envs/env.py"], ["data", "env.py"]]
