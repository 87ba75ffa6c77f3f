"""Pythons are found wherever people keep them; shims, venvs and other dialects are passed over."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from envhub import interpreters as module
from envhub import proc, settings
from envhub.errors import InterpreterError
from envhub.interpreters import Interpreter, choose, interpreters, own
from envhub.uvprogram import Uv

ANY = SpecifierSet("")
MINE = "{}.{}".format(*sys.version_info)


def python(
    program: Path,
    version: str,
    *,
    platform: str = "linux-x86_64",
    abi: str = "cpython-39-x86_64-linux-gnu",
    implementation: str = "cpython",
) -> Path:
    """A program that answers like a Python; what it is asked it notes beside it."""
    answer = " ".join(f"'{word}'" for word in (version, platform, abi, implementation, program))
    program.parent.mkdir(parents=True, exist_ok=True)
    note = program.with_name(f"{program.name}.asked")
    program.write_text(f"#!/bin/sh\necho \"$@\" >> '{note}'\nprintf '%s\\n' {answer}\n")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def home(envhub_isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with no Python but our own: an empty home folder, an empty `PATH`."""
    monkeypatch.setenv("PATH", str(envhub_isolated / "bin"))
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "_SYSTEM", ())
    module.ask.cache_clear()
    yield envhub_isolated
    module.ask.cache_clear()


def found() -> list[str]:
    """The versions that are found, without our own."""
    return [str(each.version) for each in interpreters() if each != own()]


def test_own() -> None:
    """Our own Python is found without asking it, and is never that of a venv."""
    mine = own()
    assert mine.version == Version("{}.{}.{}".format(*sys.version_info))
    assert mine.minor == MINE
    assert not (mine.path.parent.parent / "pyvenv.cfg").exists()
    assert module.ask(mine.path) == mine
    assert str(mine) == f"{mine.version} at {mine.path}"


PLACES = (
    "bin/python3.9",
    "bin/python",
    ".pyenv/versions/3.9.7/bin/python3.9",
    ".local/share/uv/python/cpython-3.9.7-linux/bin/python3.9",
    "data/uv/python/cpython-3.9.7-linux/bin/python3",
    "miniconda3/bin/python3.9",
    "miniforge3/envs/sim/bin/python3.9",
    ".conda/envs/sim/bin/python",
)


@pytest.mark.parametrize("place", PLACES)
def test_places(place: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH, pyenv, uv and conda: wherever a Python is, it is found."""
    if not place.startswith("data"):
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    program = python(home / place, "3.9.7")
    assert choose(SpecifierSet("==3.9.*")) == Interpreter(program, Version("3.9.7"), "linux-x86_64")


def test_registered(home: Path, tmp_path: Path) -> None:
    """Conda's own list of its envs is looked at, wherever they are."""
    python(tmp_path / "sim/bin/python3.9", "3.9.7")
    (home / ".conda").mkdir()
    (home / ".conda/environments.txt").write_text(f"/nowhere\n{tmp_path / 'sim'}\n")
    assert found() == ["3.9.7"]


@pytest.mark.parametrize("name", ["PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"])
def test_moved(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyenv and uv were told to keep Pythons, they are found."""
    python(tmp_path / "versions/3.9.7/bin/python3.9", "3.9.7")
    python(tmp_path / "cpython-3.9.8/bin/python3.9", "3.9.8")
    monkeypatch.setenv(name, str(tmp_path))
    assert found() == ["3.9.7" if name == "PYENV_ROOT" else "3.9.8"]


def test_newest_first(home: Path) -> None:
    """All are listed, the newest first, each once however many names it has."""
    for version in ("3.9.7", "3.12.1", "3.9.20"):
        minor = version.rpartition(".")[0]
        folder = home / ".pyenv/versions" / version / "bin"
        python(folder / f"python{minor}", version)
        (folder / "python3").symlink_to(f"python{minor}")
        (folder / "python").symlink_to("python3")
    (home / "bin").symlink_to(folder)
    assert found() == ["3.12.1", "3.9.20", "3.9.7"]


def test_passed_over(home: Path) -> None:
    """Venvs, shims that fail, other dialects, other builds and what is too old are no Pythons."""
    folder = home / "bin"
    python(folder / "python3.7", "3.7.9")
    python(folder / "python2.7", "2.7.18")
    python(folder / "python2", "2.7.18")
    python(folder / "python3.10", "3.10.1", implementation="pypy", abi="pypy310-pp73")
    python(folder / "python3.13", "3.13.0", abi="cpython-313t-x86_64-linux-gnu")
    python(folder / "python3.12-config", "3.12.1")
    python(folder / "python3.14", "3.14.0").chmod(0o644)
    (folder / "python3.8").write_text(
        "#!/bin/sh\necho 'pyenv: python3.8: not found' >&2\nexit 127\n"
    )
    (folder / "python3.11").write_bytes(b"\x7fELF no program at all")
    (folder / "python3.12").write_text("#!/bin/sh\necho nonsense\n")
    (folder / "python3").write_text("#!/nowhere\n")
    for name in ("python3.8", "python3.11", "python3.12", "python3"):
        (folder / name).chmod(0o755)
    venv = home / "miniconda3/envs/venv"
    python(venv / "bin/python3.9", "3.9.7")
    (venv / "pyvenv.cfg").touch()
    assert found() == []
    assert not (folder / "python2.7.asked").exists()


def test_shims_are_not_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyenv's shims are not started: what they would start is found itself."""
    shim = python(home / ".pyenv/shims/python3.9", "3.9.7")
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}relative{os.pathsep}")
    assert found() == []
    assert settings.search_path() == (shim.parent,)


def test_no_one_is_asked_in_vain(home: Path) -> None:
    """Where the own Python suits, none is started; where one version is wanted, only its own."""
    ten = python(home / "bin/python3.10", "3.10.1")
    twelve = python(home / "bin/python3.12", "3.12.1")
    asked = [path.with_name(f"{path.name}.asked") for path in (ten, twelve)]
    assert choose(ANY) == choose(ANY, locked=MINE) == own()
    assert [path.exists() for path in asked] == [False, False]
    assert choose(ANY, locked="3.10").path == ten
    assert [path.exists() for path in asked] == [True, False]
    assert "-I -S -c" in asked[0].read_text()


def test_choose(home: Path) -> None:
    """Our own if it suits, else the newest that does; a lock file's version has the last word."""
    for minor in (8, 9, 10):
        python(home / f"bin/python3.{minor}", f"3.{minor}.5")
    assert choose(SpecifierSet(">=3.9")) == own()
    assert str(choose(SpecifierSet("<=3.10")).version) == "3.9.5"
    assert str(choose(SpecifierSet("<3.11")).version) == "3.10.5"
    assert str(choose(SpecifierSet(">=3.8"), locked="3.8").version) == "3.8.5"
    with pytest.raises(InterpreterError, match=r"needs Python 3\.8"):
        choose(SpecifierSet(">=3.9"), locked="3.8")


@pytest.mark.parametrize(
    ("wanted", "command"),
    [
        ("<3.9", "uv python install 3.8 "),
        ("==3.9.2", "uv python install 3.9.2 "),
        ("==3.10.*", "uv python install 3.10 "),
        (">=3.99", "envs run under Python 3.8 or newer"),
        ("<3.8", "envs run under Python 3.8 or newer"),
        ("==3.7.9", "envs run under Python 3.8 or newer"),
    ],
)
def test_none_suits(wanted: str, command: str, home: Path) -> None:
    """What was found is listed, and the one command that helps is named."""
    python(home / "bin/python3.12", "3.12.1")
    with pytest.raises(InterpreterError) as caught:
        choose(SpecifierSet(wanted))
    assert "no such Python was found" in caught.value.what
    assert f"\n  3.12.1 at {home}/bin/python3.12" in caught.value.why
    assert f"\n  {own()}" in caught.value.why
    assert caught.value.hint.startswith(command)
    assert ("allow_python_download=True" in caught.value.hint) is command.startswith("uv")


def test_download_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python is downloaded only if that is allowed; a failure says what uv said."""
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    uv = Uv(tmp_path / "envhub")
    with pytest.raises(InterpreterError, match=r"Python 3\.8 could not be downloaded") as caught:
        choose(SpecifierSet("==3.8.*"), download=uv)
    assert "127.0.0.1:9" in caught.value.why
    assert not list(settings.uv_pythons().glob("cpython*"))


@pytest.mark.parametrize("arrives", [True, False])
def test_download(
    arrives: bool, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was downloaded is looked for like all others."""
    fresh = home / "data/uv/python/cpython-3.8.20/bin/python3.8"

    def install(self: Uv, *words: str, **more: object) -> proc.Completed:
        assert words == ("python", "install", "3.8")
        assert more["downloads"] == "manual"
        if arrives:
            python(fresh, "3.8.20")
        return proc.Completed(words, 0, b"", b"")

    monkeypatch.setattr(Uv, "run", install)  # no other machine is reached in tests
    if arrives:
        assert choose(SpecifierSet("<3.9"), download=Uv(tmp_path)).path == fresh
    else:
        with pytest.raises(InterpreterError, match="no such Python was found"):
            choose(SpecifierSet("<3.9"), download=Uv(tmp_path))


@pytest.mark.parametrize(
    ("platform", "abi", "said"),
    [
        ("linux-x86_64", "cpython-39-x86_64-linux-gnu", "linux-x86_64"),
        ("linux-x86_64", "cpython-39-x86_64-linux-musl", "linux-x86_64-musl"),
        ("macosx-11.0-arm64", "cpython-311-darwin", "macos-arm64"),
        ("win-amd64", "None", "win-amd64"),
        ("win-amd64", "cp313-win_amd64", "win-amd64"),
    ],
)
def test_platforms(platform: str, abi: str, said: str, home: Path) -> None:
    """A platform is what wheels are chosen by."""
    python(home / "bin/python3.9", "3.9.7", platform=platform, abi=abi)
    assert choose(SpecifierSet("==3.9.*")).platform == said


def test_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found on this very machine are Pythons that say so themselves."""
    monkeypatch.undo()
    for each in interpreters():
        words = (each.path, "-c", "import sys; print(sys.version)")
        assert proc.run(words).text.startswith(str(each.version))
