"""`envhub.lock`: read, written, compared, and never with a secret in it."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub.errors import LockError, StoreError
from envhub.lockfile import Entry, Fingerprint, Lock, explain, find_lock
from envhub.pins import Pin
from envhub.refs import Ref, parse
from envhub.requirements import LockedPackage, LockedRequirements
from envhub.tree import folder_address

COMMIT, OTHER = "a" * 40, "b" * 40
DIGEST = "sha256:" + "0" * 64


def pin(ref: str = "u/r@v1", **changes: Any) -> Pin:
    plain = Pin(parse(ref), "https://hub.example", "u/r", "model", COMMIT, "env.py", DIGEST)
    return replace(plain, **changes)


TEXT = """\
# Written by envhub. Commit it: whoever has this file loads the same files.

version = 1

[[env]]
ref = "./local"
repo = "local"
repo_type = "local"
path = "env.py"
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

[[env]]
ref = "u/r@v1"
hub = "https://hub.example"
repo = "u/r"
repo_type = "model"
commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
path = "env.py"
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
"""


def local_pin(location: str = "./local") -> Pin:
    ref = Ref("local", location)
    return Pin(ref, folder_address(location), "local", "local", None, "env.py", DIGEST)


def test_text(tmp_path: Path) -> None:
    """The file has one table per ref, in the order of the refs, each field on its own line."""
    path = tmp_path / "new" / "envhub.lock"
    Lock().with_pins([pin(), local_pin()]).write(path)
    assert path.read_text() == TEXT
    assert Lock.read(path).pins == (local_pin(), pin())


def world(**changes: Any) -> LockedRequirements:
    package = LockedPackage("apple", "1.0", (DIGEST,), "python_version < '4'")
    day = datetime(2025, 1, 31, tzinfo=UTC)
    plain = LockedRequirements("3.11", "linux-x86_64", (package,), day, requirements=("apple",))
    return msgspec.structs.replace(plain, **changes)


def fingerprint(**changes: Any) -> Fingerprint:
    place = ("3.11.7", "linux-x86_64", ("apple==1.0", "numpy==2.0"))
    return msgspec.structs.replace(
        Fingerprint(DIGEST, DIGEST, "exact", 3, 100, DIGEST, *place), **changes
    )


WORLD = """\

[[env.world]]
python = "3.11"
platform = "linux-x86_64"
exclude_newer = 2025-01-31 00:00:00+00:00
requirements = [
    "apple",
]

[[env.world.packages]]
name = "apple"
version = "1.0"
hashes = [
    "sha256:0000000000000000000000000000000000000000000000000000000000000000",
]
marker = "python_version < '4'"

[[env.fingerprint]]
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
actions = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
determinism = "exact"
seeds = 3
steps = 100
code = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
python = "3.11.7"
platform = "linux-x86_64"
packages = [
    "apple==1.0",
    "numpy==2.0",
]
"""


def test_world(tmp_path: Path) -> None:
    """Packages and fingerprints are lines of their own, so that changes are small."""
    path = tmp_path / "envhub.lock"
    entry = Entry.of(pin()).with_world(world()).with_fingerprint(fingerprint())
    Lock((Entry.of(local_pin()),)).with_entries([entry]).write(path)
    assert path.read_text() == TEXT + WORLD
    assert Lock.read(path).entry(pin().ref) == entry


def test_worlds_side_by_side() -> None:
    """Locking on one machine leaves what was locked on others, as long as it is for the same."""
    windows, mac = world(platform="win-amd64"), world(platform="macos-arm64")
    entry = Entry.of(pin()).with_world(windows).with_world(mac).with_world(world())
    assert [each.platform for each in entry.worlds] == ["linux-x86_64", "macos-arm64", "win-amd64"]
    newer = world(packages=())
    assert entry.with_world(newer).worlds == (newer, mac, windows)
    other = world(requirements=("apple>=2",))
    assert entry.with_world(other).worlds == (other,)
    assert entry.with_world(None).worlds == ()


def test_fingerprints_side_by_side() -> None:
    """There is one per Python and platform, and none of another commit."""
    mac = fingerprint(platform="macos-arm64")
    entry = Entry.of(pin()).with_fingerprint(mac).with_fingerprint(fingerprint())
    entry = entry.with_fingerprint(fingerprint(python="3.11.9"))
    assert [each.python for each in entry.fingerprints] == ["3.11.9", "3.11.7"]
    lock = Lock((entry.with_world(world()),))
    assert lock.with_pins([pin()]) == lock
    moved = lock.with_pins([pin(commit=OTHER)]).entry(pin().ref)
    assert moved is not None
    assert (moved.worlds, moved.fingerprints) == ((world(),), ())


def test_differences() -> None:
    """What differs between two runs is said part by part."""
    now = fingerprint(
        digest="sha256:" + "1" * 64,
        code="sha256:" + "2" * 64,
        python="3.12.1",
        packages=("numpy==2.1", "pear==1.0"),
    )
    assert fingerprint().differences(fingerprint()) == []
    assert fingerprint().differences(now) == [
        f"code: {DIGEST} then, sha256:{'2' * 64} now",
        "python: 3.11.7 then, 3.12.1 now",
        "package apple: 1.0 then, none now",
        "package numpy: 2.0 then, 2.1 now",
        "package pear: none then, 1.0 now",
    ]


def test_order() -> None:
    """The same pins give the same text, in whatever order they came."""
    pins = [pin("u/r@v1"), pin("u/r@v2"), local_pin(), pin("a/b")]
    assert Lock().with_pins(pins).dumps() == Lock().with_pins(pins[::-1]).dumps()


def test_find() -> None:
    """A ref is found as it was typed, in any of its spellings, and nothing else is."""
    lock = Lock().with_pins([pin("u/r@v1:envs/a.py")])
    assert lock.find(parse("u/r@v1:./envs/a.py")) == pin("u/r@v1:envs/a.py")
    assert [lock.find(parse(text)) for text in ("u/r@v1", "u/r", "u/r@v1:envs/b.py")] == [None] * 3


def test_replace_and_remove() -> None:
    """A ref that is locked again means the new pin; one that is removed means nothing."""
    lock = Lock().with_pins([pin(), pin("u/x")]).with_pins([pin(commit=OTHER)])
    found = lock.find(parse("u/r@v1"))
    assert found
    assert found.commit == OTHER
    assert [p.ref for p in lock.without(parse("u/r@v1")).pins] == [parse("u/x")]


_name = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
_path = st.lists(st.from_regex(r"[\w@ é-]{1,9}", fullmatch=True).map(str.strip), max_size=3).map(
    lambda parts: "/".join([part for part in parts if part] + ["env.py"])
)
_hex = st.text("0123456789abcdef", min_size=40, max_size=40)
_digest = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:".__add__)


@st.composite
def pins(draw: st.DrawFn) -> Pin:
    owner, name, revision = draw(_name), draw(_name), draw(st.none() | _name | _hex)
    hub = draw(st.sampled_from(["https://hub.example", "http://127.0.0.1:8000"]))
    repo_type = draw(st.sampled_from(["model", "space", "dataset", "git", "local"]))
    if repo_type == "local":
        return replace(local_pin(f"./{name}"), repo=name, digest=draw(_digest))
    ref = Ref("hub", f"{owner}/{name}", revision=revision)
    if repo_type == "git":
        ref = Ref("git", f"{hub}/{owner}/{name}", revision=revision, subdirectory=draw(_name))
    return Pin(ref, hub, f"{owner}/{name}", repo_type, draw(_hex), draw(_path), draw(_digest))


@given(st.lists(pins(), max_size=5, unique_by=lambda pin: str(pin.ref)))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, some: list[Pin]) -> None:
    """What was written is what is read, and what is read is written the same."""
    path = tmp_path_factory.mktemp("lock") / "envhub.lock"
    lock = Lock().with_pins(some)
    lock.write(path)
    assert Lock.read(path) == lock
    assert set(lock.pins) == set(some)
    assert all(lock.find(one.ref) == one for one in some)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('path = "env.py"\n', 'path = "env.py"\nindex = "https://x"\n', "index.*env"),
        ("version = 1", "version = 1\nmirror = 2", "unknown field `mirror`"),
        ("version = 1", "version = 2", "version 2"),
        ("version = 1\n", "", "version None"),
        ('path = "env.py"\n', "path = 1\n", r"Expected `str`, got `int`.*env\[0\]\.path|env"),
        ('path = "env.py"\n', "", "missing required field `path`"),
        ("sha256:", "md5:", "the digest of"),
        ("aaaa", "main", "the commit of"),
        ('hub = "https://hub.example"\n', "", "has no hub"),
        ('ref = "u/r@v1"', 'ref = "u/r@"', "is empty"),
        ("[[env]]", "[env", "cannot be read"),
    ],
)
def test_refused(old: str, new: str, why: str, tmp_path: Path) -> None:
    """What envhub does not understand is refused, with the path to it."""
    path = tmp_path / "envhub.lock"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(LockError, match=f"(?s){why}") as caught:
        Lock.read(path)
    assert str(path) in caught.value.what


def test_no_file(tmp_path: Path) -> None:
    """A lock file that is not there, or is no text, is an error of ours."""
    with pytest.raises(LockError, match="there is no") as caught:
        Lock.read(tmp_path / "envhub.lock")
    assert caught.value.hint == "envhub lock owner/name"
    (tmp_path / "envhub.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(LockError, match="cannot be read"):
        Lock.read(tmp_path / "envhub.lock")
    with pytest.raises(LockError, match="cannot be read"):
        Lock.read(tmp_path)


@pytest.mark.parametrize(
    "url", ["git+https://me:secret@host/u/r", "git+https://secret@host/u/r@v1"]
)
def test_no_password(url: str) -> None:
    """A parsed ref keeps its password to itself; one made by hand is refused, and not shown."""
    plain = pin(url, hub="https://host/u/r", repo_type="git")
    assert "secret" not in Lock().with_pins([plain]).dumps()
    made_by_hand = replace(plain, ref=Ref("git", url.removeprefix("git+").removesuffix("@v1")))
    with pytest.raises(LockError, match="has a password") as caught:
        Lock().with_pins([made_by_hand])
    assert "secret" not in str(caught.value)
    Lock().with_pins([pin("git+ssh://git@host/u/r", hub="ssh://git@host/u/r", repo_type="git")])


def test_not_writable(tmp_path: Path) -> None:
    """A write that fails leaves the old lock file as it was."""
    path = tmp_path / "envhub.lock"
    Lock().with_pins([pin()]).write(path)
    with pytest.raises(StoreError):
        Lock().write(path / "envhub.lock")
    assert Lock.read(path).pins == (pin(),)


def test_find_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file is looked for here and above, but not above a repo or the home folder."""
    deep = tmp_path / "home" / "project" / "src" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "envhub.lock").touch()
    assert find_lock(deep) == tmp_path / "envhub.lock"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find_lock(deep) is None
    (tmp_path / "home" / "envhub.lock").touch()
    assert find_lock(deep) == tmp_path / "home" / "envhub.lock"
    (deep.parents[1] / ".git").mkdir()
    assert find_lock(deep) is None
    (deep.parents[1] / "envhub.lock").touch()
    monkeypatch.chdir(deep)
    assert find_lock(Path()) == deep.parents[1] / "envhub.lock"


def test_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search ends at the root of the disk."""
    monkeypatch.setenv("HOME", "/nonexistent")
    assert find_lock(Path("/proc")) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"commit": OTHER}, f"commit: {COMMIT} in the lock, {OTHER} now"),
        ({"hub": "https://x"}, "hub: https://hub.example in the lock, https://x now"),
        ({"path": "a.py"}, "path: env.py in the lock, a.py now"),
        ({"repo_type": "space"}, "repo type: model in the lock, space now"),
        ({"commit": None}, f"commit: {COMMIT} in the lock, none now"),
    ],
)
def test_explain(change: dict[str, Any], words: str) -> None:
    """The difference of two pins is said field by field."""
    assert explain(pin(), pin(**change)) == words


def test_explain_digest() -> None:
    """The same commit with other files is called what it is."""
    text = explain(pin(), pin(digest="sha256:" + "1" * 64))
    assert text.splitlines() == [
        f"tree digest: {DIGEST} in the lock, sha256:{'1' * 64} now",
        "the same commit with other files: the hub or the network is not to be trusted",
    ]
    both = explain(pin(), pin(commit=OTHER, digest="sha256:" + "1" * 64))
    assert "trusted" not in both
    folder = explain(local_pin(), replace(local_pin(), digest="sha256:" + "1" * 64))
    assert "trusted" not in folder


def test_entry_of_a_pin() -> None:
    """An entry and its pin say the same."""
    for one in (pin(), local_pin()):
        assert Entry.of(one).pin == one
