"""What an env declares is there before its code is started, and nothing else decides about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envhub.errors import (
    ArgumentError,
    ArgumentTypeError,
    InstallError,
    InterpreterError,
    LockError,
    LockMismatchError,
    OfflineError,
    RequirementError,
    UntrustedError,
)
from envhub.fetch import Source, fetch
from envhub.hubs.local import LocalFolder
from envhub.interpreters import interpreters, own
from envhub.isolation.world import callers
from envhub.manifest import read_manifest
from envhub.refs import parse
from envhub.requirements import LockedRequirements
from envhub.resolve import resolve
from envhub.store import Store
from envhub.testing import repos
from envhub.testing.packages import sdist, serve_index, wheel
from envhub.uvprogram import Uv
from envhub.wishes import Wishes
from envhub.worlds import Preparer, package_of, packages

DAY = datetime(2024, 6, 1, 15, tzinfo=UTC)
LATER = "2024-06-02T20:00:00Z"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """Packages: what the host needs, an apple in two versions, and one only as source."""
    folder = tmp_path / "links"
    wheel(folder, "gymnasium", "1.0", requires=["numpy"])
    wheel(folder, "numpy", "1.26")
    wheel(folder, "gym", "0.26", requires=["numpy"])
    wheel(folder, "apple", "1.0")
    wheel(folder, "apple", "2.0")
    sdist(folder, "sour", "1.0")
    return folder


@pytest.fixture
def index(links: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index that has them; apple 2.0 came later than the rest."""
    with serve_index(links, {"apple-2.0-py3-none-any.whl": LATER}) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        yield url


@pytest.fixture
def uv(tmp_path: Path, index: str) -> Uv:
    return Uv(tmp_path / "home")


def source(tmp_path: Path, **files: str) -> Source:
    """A repo in a folder; names of files with `_` for `.`."""
    named = {name.replace("_", "."): text for name, text in files.items()}
    folder = repos.write({**repos.COUNTER, **named}, tmp_path / "repo")
    ref, hub, store = parse(str(folder)), LocalFolder(folder), Store(tmp_path / "home")
    return fetch(resolve(ref, hub, store), hub, store)


def test_nothing_declared(tmp_path: Path, uv: Uv) -> None:
    """An env that declares nothing gets the caller's packages, and nothing is installed."""
    world = Preparer(uv).prepare(source(tmp_path))
    assert world == callers()
    assert world.level == "process"
    assert not (uv.home / "venvs").exists()


def test_declared(tmp_path: Path, uv: Uv) -> None:
    """An env that declares packages gets a venv with them, and with what the host needs."""
    world = Preparer(uv).prepare(source(tmp_path, requirements_txt="apple\n"))
    assert world.level == "venv"
    assert world.python == own().path
    assert sorted(packages(world)) == ["apple==2.0", "gymnasium==1.0", "numpy==1.26"]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [("gym", ["gym==0.26", "numpy==1.26"]), ("gymnasium", ["gymnasium==1.0", "numpy==1.26"])],
)
def test_host(declared: str, expected: list[str], tmp_path: Path, uv: Uv) -> None:
    """Old gym will do for the host; nothing is added to it."""
    world = Preparer(uv).prepare(source(tmp_path, requirements_txt=declared))
    assert sorted(packages(world)) == expected


def test_host_needs_numpy(tmp_path: Path, links: Path, uv: Uv) -> None:
    """Where gymnasium comes without numpy, numpy is added."""
    wheel(links, "gymnasium", "2.0")
    world = Preparer(uv).prepare(source(tmp_path, requirements_txt="gymnasium"))
    assert sorted(packages(world)) == ["gymnasium==2.0", "numpy==1.26"]


@pytest.mark.parametrize(
    ("asked", "declared", "expected"),
    [
        ("auto", "", "process"),
        ("auto", "apple", "venv"),
        ("process", "apple", "process"),
        ("venv", "", "venv"),
    ],
)
def test_level(asked: str, declared: str, expected: str, tmp_path: Path, uv: Uv) -> None:
    """The user's word goes before what the env declares."""
    world = Preparer(uv).prepare(source(tmp_path, requirements_txt=declared), level=asked)
    assert world.level == expected


def test_another_python(tmp_path: Path, uv: Uv) -> None:
    """An env that does not run under the caller's Python gets another, and a venv."""
    others = [each for each in interpreters() if each.minor != own().minor]
    if not others:
        pytest.skip("there is only one Python here")
    toml = f'requires-python = "=={others[0].minor}.*"\n'
    world = Preparer(uv).prepare(source(tmp_path, envhub_toml=toml))
    assert world.level == "venv"
    assert world.python == others[0].path
    assert sorted(packages(world)) == ["gymnasium==1.0", "numpy==1.26"]


def test_a_python_that_packages_suit(tmp_path: Path, uv: Uv, links: Path) -> None:
    """Where nobody says which Python, one for which all packages can be had is found."""
    tags = {each.minor.replace(".", "") for each in interpreters()} - {own().minor.replace(".", "")}
    if not tags:
        pytest.skip("there is one Python only")
    wheel(links, "pear", tag=f"cp{min(tags, key=int)}-none-any")
    made = source(tmp_path, requirements_txt="pear\n")
    world = Preparer(uv).prepare(made)
    assert "pear==1.0" in packages(world)
    assert world.python != own().path
    assert Preparer(replace(uv, offline=True)).prepare(made) == world
    wheel(links, "plum", tag="cp27-none-any")
    with pytest.raises(InstallError, match="plum cannot be had"):
        Preparer(uv).prepare(source(tmp_path, requirements_txt="plum\n"))


def test_no_python(tmp_path: Path, uv: Uv) -> None:
    """If no Python suits, the error says which are here."""
    with pytest.raises(InterpreterError, match="found:"):
        Preparer(uv).prepare(source(tmp_path, envhub_toml='requires-python = "==3.99.*"\n'))


def test_rules(tmp_path: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the manifest says about the process is in the world."""
    monkeypatch.setenv("SUMO_HOME", "/sumo")
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("EULA", "YES")
    toml = """
startup-timeout = 7
fork-safe = false
one-per-process = true
step = "wait"
[env]
MUJOCO_GL = "egl"
ASSETS = "{repo}/assets"
DATA = "{packages}/data"
[accept]
EULA = "YES"
[permissions]
gpu = true
env = ["SUMO_HOME", "HF_TOKEN", "NOT_SET"]
"""
    repo = source(tmp_path, envhub_toml=toml)
    granted = read_manifest(repo.root).permissions
    world = Preparer(uv).prepare(repo, permissions=granted)
    assert (world.startup_timeout, world.fork_safe, world.one_per_process) == (7, False, True)
    assert world.step == "wait"
    assert world.permissions.gpu
    assert world.variables == {
        "MUJOCO_GL": "egl",
        "ASSETS": f"{repo.root}/assets",
        "DATA": f"{world.packages[0]}/data",
        "EULA": "YES",
        "SUMO_HOME": "/sumo",
    }
    refused = Preparer(uv).prepare(repo)
    assert not refused.permissions.gpu
    assert "SUMO_HOME" not in refused.variables


@pytest.mark.parametrize("mine", [None, "NO"])
def test_agreement(
    mine: str | None, tmp_path: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands for an agreement is not set unless the user has; nothing is installed before."""
    if mine:
        monkeypatch.setenv("EULA", mine)
    toml = 'requirements = ["apple"]\n[accept]\nEULA = "YES"\n'
    with pytest.raises(UntrustedError) as caught:
        Preparer(uv).prepare(source(tmp_path, envhub_toml=toml))
    assert caught.value.hint == "export EULA=YES   # if you do"
    assert not uv.home.joinpath("uv").exists()


def test_extra(tmp_path: Path, uv: Uv) -> None:
    """What the user adds is installed, also where the env declares nothing."""
    world = Preparer(uv, Wishes(["apple<2"])).prepare(source(tmp_path))
    assert "apple==1.0" in packages(world)


def test_extra_without_venv(tmp_path: Path, uv: Uv) -> None:
    """Nothing is ever added to the caller's packages."""
    with pytest.raises(ArgumentError, match="venv of the env's own"):
        Preparer(uv, Wishes(["apple"])).prepare(source(tmp_path), level="process")


def test_build(tmp_path: Path, uv: Uv) -> None:
    """A package is built from source only if the user names it, lock file or not."""
    repo = source(tmp_path, requirements_txt="sour")
    with pytest.raises(InstallError) as caught:
        Preparer(uv).prepare(repo)
    assert caught.value.hint.startswith('allow_build=["sour"]')
    allowed = Preparer(uv, Wishes(allow_build=["sour"]))
    locked = allowed.lock(repo)
    assert locked is not None
    with pytest.raises(RequirementError) as refused:
        Preparer(uv).prepare(repo, locked=[locked])
    assert refused.value.hint == 'allow_build=["sour"]'
    assert "sour==1.0" in packages(allowed.prepare(repo, locked=[locked]))
    assert "sour==1.0" in packages(Preparer(uv).prepare(repo, locked=[locked]))  # it is built


@pytest.mark.parametrize(
    ("wish", "version"),
    [("commit", "1.0"), ("never", "2.0"), ("2024-06-03", "2.0"), ("2024-06-02T19:00", "1.0")],
)
def test_day(wish: str, version: str, tmp_path: Path, uv: Uv) -> None:
    """Packages are those of the commit's day, unless the user wants those of another."""
    preparer = Preparer(uv, Wishes(exclude_newer=wish))
    locked = preparer.lock(source(tmp_path, requirements_txt="apple"), lambda: DAY)
    assert locked is not None
    assert {each.name: each.version for each in locked.packages}["apple"] == version


def test_whole_day() -> None:
    """A package that came an hour after the commit is taken, too."""
    assert Wishes().day(lambda: DAY) == datetime(2024, 6, 2, tzinfo=UTC)
    assert Wishes().day(lambda: None) is None


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        ({"extra_requirements": "apple"}, ArgumentTypeError),
        ({"allow_build": "apple"}, ArgumentTypeError),
        ({"exclude_newer": "soon"}, ArgumentError),
        ({"exclude_newer": None}, ArgumentError),
    ],
)
def test_bad_wishes(wishes: dict[str, Any], error: type[Exception]) -> None:
    """What cannot be meant is refused at once."""
    with pytest.raises(error) as caught:
        Wishes(**wishes)
    assert next(iter(wishes)) in str(caught.value)


def test_remembered(tmp_path: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second load asks no index and runs no uv; `lock` asks anew."""
    repo = source(tmp_path, requirements_txt="apple<2")
    world = Preparer(uv).prepare(repo)
    wheel(tmp_path / "links", "apple", "1.5")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert Preparer(uv).prepare(repo) == world
    with pytest.raises(InstallError):
        Preparer(uv).lock(repo)
    note = next((uv.home / "worlds").iterdir())
    note.write_text("{")
    with pytest.raises(InstallError):
        Preparer(uv).prepare(repo)


def test_cache_cannot_be_written(tmp_path: Path, uv: Uv) -> None:
    """What cannot be remembered is found all the same."""
    (uv.home).mkdir()
    (uv.home / "worlds").write_text("in the way")
    assert Preparer(uv).lock(source(tmp_path, requirements_txt="apple")) is not None


def test_offline(tmp_path: Path, uv: Uv) -> None:
    """Offline, what is not known is an error that says so."""
    offline = Uv(uv.home, offline=True)
    with pytest.raises(OfflineError):
        Preparer(offline).prepare(source(tmp_path, requirements_txt="apple"))


def lock_of(repo: Source, uv: Uv, **changes: Any) -> LockedRequirements:
    locked = Preparer(uv).lock(repo)
    assert locked is not None
    return msgspec.structs.replace(locked, **changes)


def test_locked(tmp_path: Path, uv: Uv) -> None:
    """What the lock file has is installed, whatever the index has by now."""
    repo = source(tmp_path, requirements_txt="apple")
    old = lock_of(repo, uv)
    wheel(tmp_path / "links", "apple", "3.0")
    new = lock_of(repo, uv)
    assert old != new
    elsewhere = msgspec.structs.replace(new, platform="win-amd64")
    without = msgspec.structs.replace(new, python="3.99")
    world = Preparer(uv).prepare(repo, locked=[without, elsewhere, old])
    assert "apple==2.0" in packages(world)


def test_locked_elsewhere(tmp_path: Path, uv: Uv) -> None:
    """A lock file for other machines only says so, and how to add this one."""
    repo = source(tmp_path, requirements_txt="apple")
    locked = lock_of(repo, uv, platform="win-amd64")
    with pytest.raises(LockMismatchError, match="locked for win-amd64, not for") as caught:
        Preparer(uv).prepare(repo, locked=[locked])
    assert caught.value.hint.startswith(f"envhub lock {repo.pin.ref}")


def test_locked_for_a_python_that_is_not_here(tmp_path: Path, uv: Uv) -> None:
    """The Python that the lock file names must be here."""
    repo = source(tmp_path, requirements_txt="apple")
    with pytest.raises(InterpreterError, match=r"3\.99"):
        Preparer(uv).prepare(repo, locked=[lock_of(repo, uv, python="3.99")])


def test_locked_for_less(tmp_path: Path, uv: Uv) -> None:
    """What the user adds must be in the lock file, too; what it has beside that is installed."""
    repo = source(tmp_path)
    more = Preparer(uv, Wishes(["apple"]))
    locked = more.lock(repo)
    assert locked is not None
    assert locked.requirements == ("apple",)
    assert "apple==2.0" in packages(Preparer(uv).prepare(repo, level="venv", locked=[locked]))
    with pytest.raises(LockMismatchError, match=r"apple<2 of repo@.* is not in the lock") as caught:
        Preparer(uv, Wishes(["apple<2"])).prepare(repo, locked=[locked])
    assert caught.value.hint == f"envhub lock {repo.pin.ref} --extra-requirement 'apple<2'"


def test_strict(tmp_path: Path, uv: Uv) -> None:
    """Where only locked packages may be installed, others are not even looked for."""
    repo = source(tmp_path, requirements_txt="apple")
    strict = Preparer(uv, strict=True)
    with pytest.raises(LockError, match="has no packages for") as caught:
        strict.prepare(repo)
    assert caught.value.hint == f"envhub lock {repo.pin.ref}"
    assert strict.prepare(repo, locked=[lock_of(repo, uv)]).level == "venv"


def test_lock_nothing(tmp_path: Path, uv: Uv) -> None:
    """An env that declares nothing has no packages to lock."""
    assert Preparer(uv).lock(source(tmp_path)) is None


def test_another_hub_is_another_note(tmp_path: Path, uv: Uv) -> None:
    """Nothing that decides about the packages is left out of what is remembered."""
    repo = source(tmp_path, requirements_txt="apple")
    manifest = read_manifest(repo.root)
    wishes = [
        Wishes(),
        Wishes(["apple<2"]),
        Wishes(allow_build=["x"]),
        Wishes(exclude_newer="never"),
    ]
    notes = {Preparer(uv, each)._note(repo, manifest, own()) for each in wishes}
    notes.add(Preparer(Uv(uv.home, torch="cu128"))._note(repo, manifest, own()))
    assert len(notes) == 5


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("cv2", "opencv-python-headless"),
        ("PIL.Image", "pillow"),
        ("packaging.version", "packaging"),
    ],
)
def test_package_of(module: str, package: str) -> None:
    """The package of a module, also where it has another name."""
    assert package_of(module) == package
