"""Requirements become exact packages with hashes; uv does it, and is told no address by anybody."""

from __future__ import annotations

import logging
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from envhub.errors import InstallError, OfflineError, RequirementError
from envhub.interpreters import own
from envhub.requirements import LockedPackage, LockedRequirements, lock_requirements
from envhub.testing.packages import only, sdist, serve_index, wheel
from envhub.uvprogram import Uv

HASH = "sha256:" + "0123456789abcdef" * 4
NOTE = "import os, pathlib; pathlib.Path({canary!r}).write_text(os.environ['HOME'])\n"


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Uv:
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)
    return Uv(tmp_path / "home")


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that all packages come from: an apple, and a pear that needs one."""
    folder = only(monkeypatch, tmp_path / "links")
    for version in ("1.0", "2.0"):
        wheel(folder, "apple", version)
    wheel(folder, "sweet-pear", requires=["apple<2"])
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index with an apple of January and one of June."""
    folder = tmp_path / "packages"
    wheel(folder, "apple", "1.0")
    late = wheel(folder, "apple", "2.0")
    with serve_index(folder, {late.name: "2024-06-01T12:00:00Z"}) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        yield url


def names(locked: LockedRequirements) -> list[str]:
    return [each.requirement for each in locked.packages]


def test_lock(uv: Uv, links: Path) -> None:
    """All packages that are needed, each in one version, with hashes and without addresses."""
    locked = lock_requirements(["Sweet_Pear>=1"], own(), uv)
    assert names(locked) == ["apple==1.0", "sweet-pear==1.0"]
    assert locked.python == own().minor
    assert locked.platform == own().platform
    assert locked.text.count("--hash=sha256:") == 2
    assert str(links) not in str(locked)
    assert "://" not in str(locked)
    assert locked.requirements == ("sweet-pear>=1",)
    assert lock_requirements(["sweet-pear"], own(), uv).packages == locked.packages


def test_nothing(uv: Uv) -> None:
    """Who needs nothing gets an empty lock, and uv is not started."""
    locked = lock_requirements([], own(), uv)
    assert locked.packages == ()
    assert locked.text == ""
    assert not uv.cache.exists()


def test_marker(uv: Uv, links: Path) -> None:
    """What is not needed on this Python is not locked for it."""
    lines = ['apple ; python_version < "3"', 'sweet-pear ; python_version >= "3"']
    assert "sweet-pear==1.0" in names(lock_requirements(lines, own(), uv))
    assert names(lock_requirements(lines[:1], own(), uv)) == []


def test_extra(uv: Uv, links: Path) -> None:
    """The user may add requirements, which are met as well."""
    assert names(lock_requirements(["apple"], own(), uv)) == ["apple==2.0"]
    assert names(lock_requirements(["apple"], own(), uv, extra=["apple<2"])) == ["apple==1.0"]


@pytest.mark.parametrize(
    ("day", "version"),
    [
        (None, "2.0"),
        (datetime(2024, 6, 2, tzinfo=UTC), "2.0"),
        (datetime(2024, 5, 31, tzinfo=UTC), "1.0"),
        (datetime(2024, 6, 1, 12, 0, 1), "2.0"),
        (datetime(2024, 6, 1, 12, 0, 0), "1.0"),
    ],
)
def test_exclude_newer(day: datetime | None, version: str, uv: Uv, index: str) -> None:
    """An old repo gets the packages of its day."""
    locked = lock_requirements(["apple"], own(), uv, exclude_newer=day)
    assert names(locked) == [f"apple=={version}"]
    assert locked.exclude_newer == (day and day.replace(tzinfo=UTC))
    assert index not in str(locked)


def test_too_old(uv: Uv, index: str) -> None:
    """Where the day leaves nothing, the switch for it is named."""
    with pytest.raises(InstallError, match="apple==2") as caught:
        lock_requirements(["apple==2"], own(), uv, exclude_newer=datetime(2024, 2, 1, tzinfo=UTC))
    assert caught.value.hint.startswith('exclude_newer="never"')


UNSOLVABLE = {
    ("plum", "apple"): (["plum"], "change one of the requirements"),
    ("apple==9", "sweet-pear"): (["apple==9"], "change one of the requirements"),
    ("sweet-pear", "apple>=2"): (["sweet-pear", "apple>=2"], "change one of the requirements"),
    ("old-tree", "apple"): (["old-tree"], "requires-python"),
    ("new-tree",): (["new-tree"], "requires-python"),
    ("win-tree", "apple"): (["win-tree"], "wheel for this machine"),
    ("url-tree",): (["url-tree"], "change one of the requirements"),
    ("deep-tree", "apple"): (["deep-tree"], 'allow_build=["raw-nut"]'),
    ("raw-nut",): (["raw-nut"], 'allow_build=["raw-nut"]   # runs the code that builds it'),
}


@pytest.mark.parametrize(("lines", "said"), UNSOLVABLE.items())
def test_unsolvable(
    lines: tuple[str, ...], said: tuple[list[str], str], uv: Uv, links: Path, tmp_path: Path
) -> None:
    """The error names the requirement that cannot be met, says what uv said, and what helps."""
    canary = tmp_path / "canary"
    address = (links / "apple-1.0-py3-none-any.whl").as_uri()
    wheel(links, "old-tree", tag="cp27-cp27m-any")
    wheel(links, "new-tree", python=">=3.99")
    wheel(links, "win-tree", tag="py3-none-win_arm64")
    wheel(links, "url-tree", requires=[f"apple @ {address}"])
    wheel(links, "deep-tree", requires=["raw-nut"])
    sdist(links, "raw-nut", setup=NOTE.format(canary=str(canary)))
    with pytest.raises(InstallError) as caught:
        lock_requirements(list(lines), own(), uv)
    guilty, hint = said
    assert caught.value.what.startswith(f"{' and '.join(guilty)} cannot be had for Python 3.")
    assert hint in caught.value.hint
    assert caught.value.why
    assert not canary.exists()


def test_build(uv: Uv, links: Path, tmp_path: Path) -> None:
    """A package that is only there as source is built if it is named, without the user's home."""
    canary = tmp_path / "canary"
    sdist(links, "raw-nut", setup=NOTE.format(canary=str(canary)))
    locked = lock_requirements(["raw-nut", "apple"], own(), uv, allow_build=["Raw_Nut"])
    assert names(locked) == ["apple==2.0", "raw-nut==1.0"]
    assert locked.allow_build == ("raw-nut",)
    assert "--exclude-newer" not in locked.options
    dated = msgspec.structs.replace(locked, exclude_newer=datetime(2024, 1, 2, tzinfo=UTC))
    assert dated.options[-2:] == ("--exclude-newer", "2024-01-02T00:00:00+00:00")
    assert canary.read_text() not in {str(Path.home()), ""}


def test_build_fails(uv: Uv, links: Path) -> None:
    """A build that fails says what it said."""
    sdist(links, "raw-nut", setup="raise SystemExit('no compiler here')")
    with pytest.raises(InstallError, match="raw-nut") as caught:
        lock_requirements(["apple", "raw-nut"], own(), uv, allow_build=["raw-nut"])
    assert "no compiler here" in caught.value.why
    assert caught.value.what.startswith("raw-nut cannot be had")


@pytest.mark.parametrize("line", ["-e .", "apple @ file:///apple", "--index-url=elsewhere"])
def test_refused(line: str, uv: Uv) -> None:
    """A line that is no package by name never reaches uv, whoever wrote it."""
    for lines, extra in (([line], []), ([], [line])):
        with pytest.raises(RequirementError):
            lock_requirements(lines, own(), uv, extra=extra)
    assert not uv.cache.exists()


def test_unknown_index(uv: Uv) -> None:
    """An index that the env names and the user does not know is refused."""
    with pytest.raises(RequirementError, match="'lab'"):
        lock_requirements(["apple"], own(), uv, indexes=["lab"])


def test_named_index(uv: Uv, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of the user's is locked by its name, not by its address."""
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("UV_INDEX", f"lab={index}")
    locked = lock_requirements(["apple"], own(), uv, indexes=["lab"])
    assert locked.indexes == ("lab",)
    assert index not in str(locked)


def test_unreachable(uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that does not answer is an error that says which settings name another one."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(InstallError, match="apple cannot be had") as caught:
        lock_requirements(["apple"], own(), uv)
    assert "UV_DEFAULT_INDEX" in caught.value.hint


def test_offline(uv: Uv, index: str) -> None:
    """Offline, the cache answers what it was asked before, and nothing else."""
    offline = Uv(uv.home, offline=True)
    with pytest.raises(OfflineError, match="the cache lacks apple"):
        lock_requirements(["apple"], own(), offline)
    online = lock_requirements(["apple"], own(), uv)
    assert lock_requirements(["apple"], own(), offline) == online


def test_warnings(uv: Uv, links: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What uv warns of is logged."""
    with caplog.at_level(logging.WARNING, "envhub"):
        lock_requirements(["apple[juice]"], own(), uv)
    assert "does not have an extra named `juice`" in caplog.text


@pytest.fixture
def torch(links: Path) -> Path:
    """A PyTorch that brings CUDA, and one for CPUs."""
    wheel(links, "torch", "2.0", requires=["nvidia-cublas", "nvidia-ml-py"])
    wheel(links, "torch", "2.0+cpu")
    wheel(links, "nvidia-cublas")
    wheel(links, "nvidia-ml-py")
    return links


def test_torch(uv: Uv, torch: Path) -> None:
    """PyTorch is the build for CPUs unless the env or the user says otherwise."""
    locked = lock_requirements(["torch"], own(), uv)
    assert names(locked) == ["torch==2.0+cpu"]
    assert locked.options[-2:] == ("--torch-backend", "cpu")
    assert lock_requirements(["torch"], own(), uv, gpu=True).torch == "auto"
    mine = Uv(uv.home, torch="index")
    assert "--torch-backend" not in lock_requirements(["torch"], own(), mine).options
    assert (
        lock_requirements(["torch"], own(), Uv(uv.home, torch="cu128"), gpu=True).torch == "cu128"
    )


@pytest.mark.parametrize("torch_", ["", "cpu", "index"])
def test_cuda_is_refused(torch_: str, uv: Uv, torch: Path) -> None:
    """Gigabytes of CUDA come only if the env says that it needs a GPU; small helpers may."""
    with pytest.raises(RequirementError, match=r"would install CUDA: nvidia-cublas\n") as caught:
        lock_requirements(["nvidia-cublas", "nvidia-ml-py"], own(), Uv(uv.home, torch=torch_))
    assert "gpu = true" in caught.value.hint
    assert names(lock_requirements(["nvidia-ml-py"], own(), uv)) == ["nvidia-ml-py==1.0"]


@pytest.mark.parametrize(("torch_", "gpu"), [("", True), ("cu128", False), ("auto", False)])
def test_cuda_is_wanted(torch_: str, gpu: bool, uv: Uv, torch: Path) -> None:
    """Who asks for it gets it: the env by its manifest, the user by a setting."""
    mine = Uv(uv.home, torch=torch_)
    locked = lock_requirements(["nvidia-cublas"], own(), mine, gpu=gpu)
    assert names(locked) == ["nvidia-cublas==1.0"]


def test_no_hashes(uv: Uv, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What uv answers must be packages with hashes; anything else is an error."""
    monkeypatch.setattr("envhub.requirements._PACKAGE", __import__("re").compile("never"))
    with pytest.raises(InstallError, match="no package with hashes"):
        lock_requirements(["apple"], own(), uv)


GOOD = {"name": "apple", "version": "1.0", "hashes": [HASH]}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Apple"},
        {"name": "apple\n-e ."},
        {"name": "-e"},
        {"version": "1.0\n-e ."},
        {"version": "1.0 ; x"},
        {"version": "latest"},
        {"hashes": []},
        {"hashes": ["md5:00"]},
        {"hashes": [HASH + "\n--index-url elsewhere"]},
        {"marker": "python_version > '3\n-e .'"},
        {"marker": "nonsense"},
        {"url": "http://index.example"},
    ],
)
def test_hostile_lock(change: dict[str, object]) -> None:
    """A lock from somebody else cannot put anything into uv's input but packages and hashes."""
    msgspec.convert(GOOD, LockedPackage)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**GOOD, **change}, LockedPackage)


@pytest.mark.parametrize(
    "change", [{"python": "3.11 --x"}, {"torch": "--x"}, {"allow_build": [":all:"]}, {"index": 1}]
)
def test_hostile_options(change: dict[str, object]) -> None:
    """Nor can it give uv options that it does not have."""
    whole = {"python": "3.11", "platform": "linux-x86_64", "packages": [GOOD]}
    msgspec.convert(whole, LockedRequirements)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**whole, **change}, LockedRequirements)


HASHES = st.integers(0, 2**256 - 1).map(lambda number: f"sha256:{number:064x}")
PACKAGES = st.builds(
    LockedPackage,
    name=st.sampled_from(["a", "0x", "gym-aloha", "ruamel-yaml-clib"]),
    version=st.sampled_from(["1", "1.0.post1", "2!3.4rc5", "2.3.0+cpu", "2024.1.2.dev3"]),
    hashes=st.lists(HASHES, min_size=1, max_size=3).map(tuple),
    marker=st.sampled_from(["", 'python_version < "3.9"', 'sys_platform == "linux"']),
)


@given(st.lists(PACKAGES, max_size=4).map(tuple), st.datetimes(timezones=st.just(UTC)))
def test_round_trip(packages: tuple[LockedPackage, ...], day: datetime) -> None:
    """A lock written as TOML and read again is the same, and so is its text for uv."""
    locked = LockedRequirements("3.11", "linux-x86_64", packages, day.replace(microsecond=0))
    text = tomli_w.dumps(msgspec.to_builtins(locked, builtin_types=(datetime,)))
    again = msgspec.convert(tomllib.loads(text), LockedRequirements)
    assert again == locked
    assert again.text == locked.text
    assert len(again.text.splitlines()) == sum(1 + len(each.hashes) for each in packages)


def test_registry(uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real packages of the public registry are locked, as on a day in the past."""
    day = datetime(2024, 12, 1, tzinfo=UTC)
    try:
        locked = lock_requirements(["six", "packaging"], own(), uv, exclude_newer=day)
    except InstallError as error:
        if "error sending request" in error.why:
            pytest.skip("the package registry cannot be reached")
        raise
    assert names(locked) == ["packaging==24.2", "six==1.16.0"]
    assert sys.version_info[:2] == tuple(map(int, locked.python.split(".")))
