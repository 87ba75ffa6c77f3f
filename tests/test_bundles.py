"""A bundle has all that its envs need, and nothing in it reaches beyond what it should."""

from __future__ import annotations

import json
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

import envhub
from envhub import bundles
from envhub.bundling import bundle
from envhub.cli import main
from envhub.client import Client
from envhub.errors import (
    ArgumentError,
    CorruptSourceError,
    HubError,
    InstallError,
    LockMismatchError,
    RefMovedWarning,
    RepoNotFoundError,
    UntrustedError,
)
from envhub.interpreters import own
from envhub.lockfile import Lock
from envhub.requirements import lock_requirements
from envhub.testing import ServedHub, repos
from envhub.testing.packages import lend, only, sdist, serve_index, wheel
from envhub.uvprogram import Uv
from envhub.wheels import _fetch, _File, download
from envhub.wishes import Wishes

CODE = str(repos.COUNTER["env.py"]).replace("limit=10", "limit=apple.seeds")
APPLE: repos.Repo = {
    "env.py": f"import apple\n{CODE}",
    "envs/other.py": f"import apple\n{CODE}",
    "requirements.txt": "apple\n",
}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An index on loopback with an apple, and with what every env needs."""
    folder = lend(tmp_path / "links")
    wheel(folder, "apple", files={"apple.py": "seeds = 3\n"})
    monkeypatch.setenv("ENVHUB_ISOLATION", "auto")
    monkeypatch.setenv("ENVHUB_SANDBOX", "off")  # what is lent lies outside of the venv
    monkeypatch.chdir(tmp_path)
    with serve_index(folder) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        yield folder


@pytest.fixture
def apple(hub: ServedHub) -> str:
    hub.add("you/apple", APPLE)
    return "you/apple"


@pytest.fixture
def packed(apple: str, tmp_path: Path) -> Path:
    """A bundle of one env."""
    path = tmp_path / "x.envhub"
    bundle(Client(), [apple], path, wishes=Wishes(exclude_newer="never"))
    return path


@pytest.fixture
def away(packed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another machine: an empty cache, no network at all, not even loopback."""
    monkeypatch.setenv("ENVHUB_HOME", str(tmp_path / "away"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)


def length(ref: str, **more: Any) -> int:
    """The number of steps that an episode has."""
    with envhub.make_env(ref, trust_remote_code=True, **more) as envs:
        env = envs.only
        env.reset(seed=0)
        count, over = 1, env.step([0])[2]
        while not over[0]:
            count, over = count + 1, env.step([0])[2]
        return count


def rewrite(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Change the members of a bundle."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a bundle says of itself."""

    def both(members: dict[str, bytes]) -> None:
        document = json.loads(members["envhub.json"])
        change(document)
        members["envhub.json"] = json.dumps(document).encode()

    rewrite(path, both)


@pytest.mark.usefixtures("away")
def test_round_trip(packed: Path) -> None:
    """On a machine without network a bundle runs, from an empty cache, and opens no socket."""
    assert length("./x.envhub") == 3
    assert length("./x.envhub", offline=True) == 3
    assert length(f"{packed}:envs/other.py", offline=True) == 3


def test_same_bytes(packed: Path, apple: str, tmp_path: Path) -> None:
    """The same refs give the same bundle."""
    again = tmp_path / "y.envhub"
    bundle(Client(), [apple], again, wishes=Wishes(exclude_newer="never"))
    assert packed.read_bytes() == again.read_bytes()


def test_several(hub: ServedHub, tmp_path: Path) -> None:
    """Repos in one bundle are told apart by their names, files that they share are there once."""
    hub.add("you/counter", repos.COUNTER)
    hub.add("you/again", repos.COUNTER)
    path = tmp_path / "two.envhub"
    bundle(Client(), ["you/counter", "you/again"], path)
    assert len(zipfile.ZipFile(path).namelist()) == 2
    assert length("./two.envhub:you/counter") == 10
    assert length("./two.envhub:you/again/env.py") == 10
    pins = {Client().resolve(f"{path}:you/{name}").commit for name in ("counter", "again")}
    assert len(pins) == 2
    with pytest.raises(RepoNotFoundError, match="has 2 repos") as caught:
        length("./two.envhub")
    assert caught.value.hint == f"{path}:you/again or {path}:you/counter"
    with pytest.raises(RepoNotFoundError, match="has no repo 'you/x'"):
        length("./two.envhub:you/x")


def test_folder(tmp_path: Path) -> None:
    """A folder can be bundled, too."""
    repos.write(repos.COUNTER, tmp_path / "counter")
    bundle(Client(), ["./counter"], tmp_path / "c.envhub")
    assert length("./c.envhub") == 10


def test_consent(packed: Path) -> None:
    """Consent is for one bundle with its contents, whatever it says that it is."""
    with pytest.raises(UntrustedError) as caught:
        envhub.make_env("./x.envhub")
    assert 'make_env("./x.envhub", trust_remote_code=True)' in caught.value.hint
    client = Client()
    client.grant("./x.envhub")
    client.make_env("./x.envhub").close()
    edit(packed, lambda document: document["repos"][0].update(origin="elsewhere"))
    with pytest.raises(UntrustedError):
        client.make_env("./x.envhub")


def test_other_contents(packed: Path, apple: str, hub: ServedHub) -> None:
    """Another bundle in the same place is announced, with what changed."""
    length("./x.envhub")
    hub.add("you/apple", {"new.py": "x = 1\n"})
    packed.unlink()
    bundle(Client(), [apple], packed, wishes=Wishes(exclude_newer="never"))
    with pytest.warns(RefMovedWarning, match=r"(?s)added new.py") as caught:
        length("./x.envhub")
    assert "to stay where you were" not in str(caught[0].message)


def test_lock(packed: Path) -> None:
    """A lock file can pin a bundle; where it lies is not written down."""
    Client().lock(["./x.envhub"])
    text = Path("envhub.lock").read_text()
    assert str(packed.parent) not in text
    (entry,) = Lock.read(Path("envhub.lock")).entries
    assert entry.worlds[0].requirements == ("apple",)
    assert length("./x.envhub") == 3
    edit(packed, lambda document: document["repos"][0].update(path="envs/other.py"))
    with pytest.raises(LockMismatchError):
        length("./x.envhub")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../evil.py", "leaves the repo"),
        ("/etc/evil.py", "leaves the repo"),
        ("a/../../evil.py", "leaves the repo"),
        (".git/config", "git's own"),
        ("a\\b.py", "character"),
    ],
)
def test_traversal(path: str, problem: str, packed: Path) -> None:
    """A path that leaves the repo is refused before anything is written."""
    file = {"path": path, "oid": "sha1:" + "0" * 40, "size": 1}
    edit(packed, lambda document: document["repos"][0]["files"].append(file))
    with pytest.raises(HubError, match=problem):
        length("./x.envhub")


@pytest.mark.parametrize("name", ["../x.whl", "/x.whl", "a/b.whl", "x.exe", ".whl", "a\n.whl"])
def test_wheel_names(name: str, packed: Path) -> None:
    """So is a wheel whose name could be a path."""
    edit(packed, lambda document: document["wheels"][0].update(name=name))
    with pytest.raises(HubError, match="no bundle that this envhub reads"):
        length("./x.envhub")


def bigger(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("files/"))
    members[name] += b"\0" * 10_000_000


def other(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("files/"))
    members[name] = b"#" * len(members[name])


def gone(members: dict[str, bytes]) -> None:
    del members[next(name for name in members if name.startswith("files/"))]


def other_wheel(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("wheels/apple"))
    members[name] = b"#" * len(members[name])


def short_wheel(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("wheels/apple"))
    members[name] = members[name][:-1]


@pytest.mark.parametrize("change", [bigger, other, gone, other_wheel, short_wheel])
@pytest.mark.usefixtures("away")
def test_other_bytes(change: Callable[[dict[str, bytes]], object], packed: Path) -> None:
    """Members that are larger, other or not there are refused, however much they unpack to."""
    rewrite(packed, change)
    with pytest.raises(CorruptSourceError):
        length("./x.envhub")


def test_links(packed: Path, tmp_path: Path) -> None:
    """A member that says it is a link becomes a file with its text, whose hash is wrong."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            if name.startswith("files/"):
                info.external_attr = 0o120777 << 16
                size = len(data)
                data = str(secret).encode()[:size].ljust(size)
            archive.writestr(info, data)
    with pytest.raises(CorruptSourceError):
        length("./x.envhub")


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\5\6" + b"\0" * 18])
def test_no_bundle(data: bytes, tmp_path: Path) -> None:
    """What is no bundle is said to be none."""
    (tmp_path / "x.envhub").write_bytes(data)
    with pytest.raises(HubError, match="is no bundle"):
        length("./x.envhub")


def test_huge_contents(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of what is in it is bounded, too."""
    monkeypatch.setattr(bundles, "_MOST", 10)
    with pytest.raises(HubError, match="is larger than 10 bytes"):
        length("./x.envhub")


def test_newer(packed: Path) -> None:
    """A bundle of a later envhub is refused."""
    edit(packed, lambda document: document.update(version=2))
    with pytest.raises(HubError, match="no bundle that this envhub reads"):
        length("./x.envhub")


def test_other_packages(packed: Path) -> None:
    """A lock in a bundle cannot smuggle options for the installer in."""
    edit(
        packed,
        lambda document: document["repos"][0]["worlds"][0]["packages"][0].update(
            marker="x\n--index-url evil"
        ),
    )
    with pytest.raises(HubError, match="line break"):
        length("./x.envhub")


def test_name(tmp_path: Path) -> None:
    """A bundle is called so, that it is known for one."""
    with pytest.raises(ArgumentError) as caught:
        bundle(Client(), ["./x"], tmp_path / "x.zip")
    assert caught.value.hint == f"-o {tmp_path}/x.envhub"


def test_source(index: Path, apple: str, tmp_path: Path) -> None:
    """What is built from source cannot be taken along."""
    sdist(index, "sour")
    repos.write({**repos.COUNTER, "requirements.txt": "sour"}, tmp_path / "sour")
    with pytest.raises(InstallError, match="sour is built from source"):
        bundle(Client(), ["./sour"], tmp_path / "x.envhub", wishes=Wishes(allow_build=["sour"]))
    assert not (tmp_path / "x.envhub").exists()


def test_download(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels come from an index or a folder; what has other bytes than it should is refused."""
    uv = Uv(tmp_path / "home")
    locked = lock_requirements(["apple"], own(), uv)
    (found,) = download(locked, uv, tmp_path)
    assert found.read_bytes() == (index / found.name).read_bytes()
    folder = only(monkeypatch, tmp_path / "folder")
    shutil.copy(found, folder)
    (again,) = download(locked, uv, tmp_path)
    assert again == found
    other = msgspec.structs.replace(
        locked,
        packages=(msgspec.structs.replace(locked.packages[0], hashes=("sha256:" + "0" * 64,)),),
    )
    with pytest.raises(InstallError):
        download(other, uv, tmp_path)


def test_download_fails(index: Path, tmp_path: Path) -> None:
    """An index that gives other bytes than it said is an error that names the wheel."""
    uv = Uv(tmp_path / "home")
    locked = lock_requirements(["apple"], own(), uv)
    path = next(index.glob("apple*"))
    file = _File({"sha256": "0" * 64}, path=str(path))
    with pytest.raises(InstallError, match="gave other bytes for apple"):
        _fetch(file, tmp_path / "home", Event())
    with pytest.raises(InstallError, match=r"apple.* could not be downloaded"):
        _fetch(_File({}, url=f"file://{path}x"), tmp_path / "home", Event())
    with pytest.raises(InstallError, match=r"x\.whl could not be downloaded"):
        _fetch(_File({}, url="http://127.0.0.1:1/x.whl"), tmp_path / "home", Event())
    path.unlink()
    with pytest.raises(InstallError, match="could not be found"):
        download(locked, Uv(tmp_path / "home2"), tmp_path)


def cli(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_command_line(apple: str, tmp_path: Path) -> None:
    """`envhub bundle` writes it, `envhub run` runs it, `envhub info` shows it."""
    out = tmp_path / "x.envhub"
    done = cli("bundle", apple, "-o", out)
    assert done.exit_code == 0, done.output
    assert "3 wheels" in done.stdout
    assert json.loads(cli("bundle", apple, "-o", out, "--json").stdout)["repos"][0]["repo"] == apple
    ran = cli("run", out, "--trust-remote-code", "--offline", "--episodes", "1", "--json")
    assert json.loads(ran.stdout)["tasks"][0]["episodes"][0]["length"] == 3
    assert "apple" in cli("info", out).stdout
