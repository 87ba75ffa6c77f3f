"""A venv is built once, whole or not at all, out of exactly what was locked, and runs nothing."""

from __future__ import annotations

import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from benchmarks import venv as venv_benchmark

from envhub import proc, venvs
from envhub.errors import DiskFullError, EnvHubError, InstallError, OfflineError
from envhub.interpreters import interpreters, own
from envhub.requirements import LockedRequirements, lock_requirements
from envhub.testing.packages import only, sdist, wheel
from envhub.uvprogram import Uv
from envhub.venvs import build, changes, find, health, keys, remove

HEAVY = pytest.mark.heavy


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    return Uv(tmp_path / "home")


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that all packages come from: an apple, and a pear that needs one."""
    folder = only(monkeypatch, tmp_path / "links")
    wheel(folder, "apple", "1.0")
    wheel(folder, "apple", "2.0")
    wheel(folder, "sweet-pear", requires=["apple"], files={"pear/__init__.py": "import apple\n"})
    return folder


@pytest.fixture
def locked(uv: Uv, links: Path) -> LockedRequirements:
    return lock_requirements(["sweet-pear"], own(), uv)


def import_in(venv: venvs.Venv, name: str) -> str:
    """Import a module as the host will: by the base Python, with the venv's packages added."""
    code = f"import sys; sys.path.append({str(venv.site_packages)!r}); import {name}; print({name})"
    return proc.run([venv.python, "-I", "-S", "-c", code]).text


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.rglob("*.py")}


def test_build(locked: LockedRequirements, uv: Uv) -> None:
    """A venv has the locked packages, compiled, and says that it is ready."""
    venv = find(locked, own(), uv.home)
    assert health(venv) == "it is not there, or was never finished"
    assert build(locked, own(), uv) == venv
    assert health(venv) == ""
    assert str(venv.site_packages) in import_in(venv, "pear")
    assert venv.python == own().path
    assert proc.run([venv.program, "-c", "import pear, sys; print(sys.prefix)"]).text == str(
        venv.path
    )
    ready = venv.ready()
    assert ready is not None
    assert ready.packages == ("apple-2.0", "sweet_pear-1.0")
    assert [path.name for path in (venv.site_packages / "pear/__pycache__").iterdir()] == [
        f"__init__.{sys.implementation.cache_tag}.pyc"
    ]
    assert keys(uv.home) == (venv.key,)


def test_once(locked: LockedRequirements, uv: Uv) -> None:
    """A venv that is there is used as it is, without uv, a lock or a write."""
    venv = build(locked, own(), uv)
    shutil.rmtree(uv.home / "locks")
    before = inodes(venv.path)
    assert build(locked, own(), replace(uv, home=uv.home)) == venv
    assert inodes(venv.path) == before
    assert not (uv.home / "locks").exists()


def test_empty(uv: Uv, links: Path) -> None:
    """An env that needs nothing has an empty venv."""
    venv = build(lock_requirements([], own(), uv), own(), uv)
    assert health(venv) == ""
    ready = venv.ready()
    assert ready is not None
    assert ready.packages == ()


def test_key(locked: LockedRequirements, uv: Uv) -> None:
    """Another lock, another Python or another way to build is another venv; the rest is not."""
    change = msgspec.structs.replace
    mine = own()
    others = [
        find(change(locked, packages=locked.packages[:1]), mine, uv.home),
        find(change(locked, torch="cu128"), mine, uv.home),
        find(change(locked, allow_build=("apple",)), mine, uv.home),
        find(locked, replace(mine, version=type(mine.version)(f"{mine.minor}.99")), uv.home),
        find(change(locked, platform="linux-arm"), replace(mine, platform="linux-arm"), uv.home),
    ]
    here = find(locked, mine, uv.home)
    assert len({here.key, *(each.key for each in others)}) == 6
    assert find(change(locked, exclude_newer=None), mine, uv.home) == here
    assert find(locked, replace(mine, path=Path("/elsewhere/python")), uv.home).key == here.key


@pytest.mark.parametrize("change", [{"python": "3.5"}, {"platform": "win-amd64"}])
def test_locked_for_another(change: dict[str, str], locked: LockedRequirements, uv: Uv) -> None:
    """What was locked for another Python or platform is refused before anything is installed."""
    with pytest.raises(InstallError, match="locked for Python"):
        build(msgspec.structs.replace(locked, **change), own(), uv)
    assert keys(uv.home) == ()


def test_read_only(locked: LockedRequirements, uv: Uv) -> None:
    """Nothing in a venv can be changed by accident."""
    venv = build(locked, own(), uv)
    modes = [path.lstat().st_mode for path in (venv.path, *venv.path.rglob("*"))]
    assert not [mode for mode in modes if not stat.S_ISLNK(mode) and mode & 0o222]
    assert changes(venv) == ()


def test_nothing_is_shared(locked: LockedRequirements, uv: Uv) -> None:
    """What an env writes into its venv reaches no other one: nothing is linked to uv's cache."""
    first = build(locked, own(), uv)
    files = [path for path in first.path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {path.stat().st_nlink for path in files} == {1}
    poisoned = first.site_packages / "apple.py"
    poisoned.chmod(0o644)
    poisoned.write_text("poison = 1")
    second = build(lock_requirements(["apple"], own(), uv), own(), uv)
    assert (second.site_packages / "apple.py").read_text() == "version = '2.0'\n"
    assert [fault.path for fault in changes(first)] == [poisoned.relative_to(first.path).as_posix()]


@pytest.mark.parametrize("name", ["x.pth", "sitecustomize.py", "usercustomize.py", "encodings.py"])
def test_nothing_runs(name: str, uv: Uv, links: Path, tmp_path: Path) -> None:
    """No code of a package runs while it is locked, installed and compiled."""
    canary = tmp_path / "canary"
    wheel(links, "evil", files={name: f"import os; os.mkdir({str(canary)!r})\n"})
    venv = build(lock_requirements(["evil"], own(), uv), own(), uv)
    assert health(venv) == ""
    assert not canary.exists()
    proc.run([venv.program, "-c", "import sitecustomize"], check=False)
    assert canary.exists() is (name in {"x.pth", "sitecustomize.py"})  # it would have run


def test_odd_syntax(uv: Uv, links: Path) -> None:
    """A file that is written for another Python is no reason to refuse a package."""
    wheel(links, "old", files={"old.py": "print 'old'\n", "new.py": "x = 1\n"})
    venv = build(lock_requirements(["old"], own(), uv), own(), uv)
    assert {path.name.partition(".")[0] for path in venv.site_packages.rglob("*.pyc")} >= {"new"}


def test_script(uv: Uv, links: Path) -> None:
    """A package's own commands work, though the venv was moved into place."""
    about = "tool-1.0.dist-info/entry_points.txt"
    files = {
        "tool.py": "def main():\n    print('works')\n",
        about: "[console_scripts]\ntool=tool:main\n",
    }
    wheel(links, "tool", files=files)
    venv = build(lock_requirements(["tool"], own(), uv), own(), uv)
    assert proc.run([venv.program.with_name("tool")]).text == "works"


def test_other_bytes(locked: LockedRequirements, uv: Uv, links: Path, tmp_path: Path) -> None:
    """A package with other bytes than it was locked with is refused by its name."""
    wheel(links, "apple", "2.0", files={"apple.py": "evil = 1\n"})
    with pytest.raises(InstallError, match=r"apple==2\.0 could not be installed") as caught:
        build(locked, own(), Uv(tmp_path / "another"))
    assert "Hash mismatch" in caught.value.why
    assert health(find(locked, own(), tmp_path / "another"))


def test_vanished(locked: LockedRequirements, links: Path, tmp_path: Path) -> None:
    """A package that the index no longer has is named."""
    (links / "sweet_pear-1.0-py3-none-any.whl").unlink()
    with pytest.raises(InstallError, match=r"sweet-pear==1\.0 could not be installed") as caught:
        build(locked, own(), Uv(tmp_path / "another"))
    assert "sweet-pear" in caught.value.why


def test_unnamed(uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where uv does not say which package it is about, neither do we."""
    locked = LockedRequirements(own().minor, own().platform, ())
    gone = replace(own(), path=tmp_path / "python")
    with pytest.raises(InstallError, match="the env's packages could not be installed"):
        build(locked, gone, uv)


def test_offline(locked: LockedRequirements, uv: Uv, links: Path) -> None:
    """Offline, what uv's cache has is installed, and what it lacks is named."""
    away = links.rename(links.with_name("away"))
    links.mkdir()
    with pytest.raises((OfflineError, InstallError), match=r"could not be installed|lacks"):
        build(locked, own(), Uv(uv.home.with_name("another"), offline=True))
    shutil.rmtree(links)
    away.rename(links)
    assert health(build(locked, own(), Uv(uv.home, offline=True))) == ""


def test_source(uv: Uv, links: Path, tmp_path: Path) -> None:
    """A package without a wheel is built if the lock allows it, and only then."""
    sdist(links, "nut")
    locked = lock_requirements(["nut"], own(), uv, allow_build=["nut"])
    forbidden = msgspec.structs.replace(locked, allow_build=())
    with pytest.raises(InstallError, match=r"nut==1\.0") as caught:
        build(forbidden, own(), Uv(tmp_path / "another"))
    assert caught.value.hint.startswith('allow_build=["nut"]')
    assert "nut" in import_in(build(locked, own(), uv), "nut")


def test_sick(locked: LockedRequirements, uv: Uv) -> None:
    """A venv that lacks a package, or whose Python is gone, says so and is built again."""
    venv = build(locked, own(), uv)
    for damage, words in (
        (venv.site_packages / "apple-2.0.dist-info", "it lacks apple-2.0"),
        (venv.program.parent, f"its Python, {own().path}, is gone"),
        (venv.path.parent / "ready.json", "never finished"),
        (venv.path, f"its Python, {own().path}, is gone"),
    ):
        for folder in (damage.parent, damage):
            folder.chmod(0o755)
        damage.rename(venv.path.parent / "damaged")
        assert words in health(venv)
        assert health(build(locked, own(), uv)) == ""
        venvs._discard(venv.path.parent / "damaged")
        (venv.path.parent / "damaged").unlink(missing_ok=True)


def test_changes(locked: LockedRequirements, uv: Uv) -> None:
    """Every file that came, went or was touched since a venv was built is told."""
    venv = build(locked, own(), uv)
    venv.site_packages.chmod(0o755)
    (venv.site_packages / "new.py").touch()
    (venv.site_packages / "apple.py").unlink()
    bytecode = next((venv.site_packages / "pear").rglob("*.pyc"))
    bytecode.chmod(0o644)
    said = {Path(fault.path).name: fault.what for fault in changes(venv)}
    assert said == {"new.py": "was added", "apple.py": "is missing", bytecode.name: "was changed"}


def test_remove(locked: LockedRequirements, uv: Uv) -> None:
    """A venv can be removed, also one that is half built, and is built again when it is wanted."""
    venv = build(locked, own(), uv)
    (venv.path.parent / "partial-1" / "lib").mkdir(parents=True)
    remove(venv.key, uv.home)
    assert keys(uv.home) == ()
    assert not venv.path.parent.exists()
    remove(venv.key, uv.home)
    assert build(locked, own(), uv) == venv


def test_nothing_is_left_of_a_failure(locked: LockedRequirements, uv: Uv, links: Path) -> None:
    """A build that fails leaves nothing that another one could stumble over."""
    (links / "apple-2.0-py3-none-any.whl").unlink()
    another = Uv(uv.home.with_name("another"))
    with pytest.raises(EnvHubError):
        build(locked, own(), another)
    (key,) = keys(another.home)
    assert list((another.home / "venvs" / key).iterdir()) == []


def test_disk_full(uv: Uv) -> None:
    """A full disk is told as such, though it is uv that meets it."""
    said = b"error: Failed to install: apple\n  cause: No space left on device (os error 28)\n"
    done = proc.Completed(("uv",), 2, b"", said)
    error = venvs._not_installed(done, LockedRequirements("3.11", "linux-x86_64", ()))
    assert isinstance(error, DiskFullError)
    assert "No space left" in error.why


@pytest.mark.parametrize("minor", [f"3.{minor}" for minor in range(8, 15)])
def test_other_pythons(minor: str, links: Path, uv: Uv) -> None:
    """A venv is for the Python that it is built for, whichever is found on this machine."""
    found = interpreters(minor)
    if not found:
        pytest.skip(f"Python {minor} is not on this machine")
    locked = lock_requirements(["sweet-pear"], found[0], uv)
    venv = build(locked, found[0], uv)
    tag = minor.replace(".", "")
    assert list(venv.site_packages.glob(f"pear/__pycache__/*cpython-{tag}.pyc"))
    assert str(venv.site_packages) in import_in(venv, "pear")


def program(locked: LockedRequirements, what: str, home: Path, *more: str) -> list[str]:
    """Run a part of building.py; the lines that it printed."""
    lock = home.parent / "lock.json"
    lock.write_bytes(msgspec.json.encode(locked))
    path = Path(__file__).with_name("building.py")
    done = proc.run([sys.executable, path, what, home, lock, *more], timeout=170)
    return done.text.splitlines()


def test_at_once(locked: LockedRequirements, uv: Uv) -> None:
    """Processes that want a new venv at once build it once, and all use it."""
    venv = find(locked, own(), uv.home)
    lines = program(locked, "together", uv.home, "4")
    assert lines.count(f"venv {venv.path} ") == 4
    assert lines[-1] == "ended [0, 0, 0, 0]"
    assert len([line for line in lines if line.startswith("building")]) == 1


def test_killed(uv: Uv, links: Path, tmp_path: Path) -> None:
    """Whenever a builder is killed, nobody sees half a venv, and the next one builds it whole."""
    wheel(links, "many", files={f"many/m{n}.py": f"x = {n}\n" for n in range(60)})
    locked = lock_requirements(["many", "sweet-pear"], own(), uv)
    assert program(locked, "killed", tmp_path / "killed", "30", "1") == ["killed 30"]


def test_benchmark(links: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark builds the same venv in each of its ways."""
    venv_benchmark.main(["--repetitions", "1", "sweet-pear"])
    assert "building a venv, times as long" in capsys.readouterr().out


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Uv:
    """A cache for all that comes from the public registry, so that it comes once."""
    return Uv(tmp_path_factory.mktemp("registry"))


REAL = [
    pytest.param("3.11", ["packaging", "six"], [], "packaging.version", id="small"),
    pytest.param("3.11", ["minigrid==3.2.0"], [], "minigrid", id="minigrid", marks=HEAVY),
    pytest.param("3.11", ["crafter==1.8.3"], ["crafter"], "crafter", id="crafter", marks=HEAVY),
    pytest.param("3.10", ["procgen==0.10.7"], ["gym"], "procgen", id="procgen", marks=HEAVY),
]


@pytest.mark.parametrize(("minor", "requirements", "allow_build", "module"), REAL)
def test_registry(
    minor: str, requirements: list[str], allow_build: list[str], module: str, shared: Uv
) -> None:
    """Real packages of the public registry are installed and work."""
    found = interpreters(minor)
    if not found:
        pytest.skip(f"Python {minor} is not on this machine")
    try:
        locked = lock_requirements(requirements, found[0], shared, allow_build=allow_build)
    except InstallError as error:
        if "error sending request" in error.why:
            pytest.skip("the package registry cannot be reached")
        raise
    venv = build(locked, found[0], shared)
    assert str(venv.site_packages) in import_in(venv, module)
