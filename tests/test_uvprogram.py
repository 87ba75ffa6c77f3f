"""uv runs away from the user's cache, settings and secrets; only package indexes pass."""

from __future__ import annotations

import io
import sys
import tomllib
from pathlib import Path
from threading import Event

import pytest

from envhub import proc, settings, uvprogram
from envhub.errors import CommandError, InstallError, RequirementError, StoreError
from envhub.settings import Settings
from envhub.testing.packages import only, wheel
from envhub.uvprogram import Uv, index_names, last_words

CONFIG = """
index-url = "http://index.example/simple"
link-mode = "hardlink"
exclude-newer = "2020-01-01"
[[index]]
name = "lab"
url = "http://lab.example/simple"
explicit = true
[[index]]
name = "other"
url = "http://other.example/simple"
explicit = true
[sources]
six = { path = "/somewhere" }
[pip]
find-links = ["/wheels"]
no-build-isolation = true
"""


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    return Uv(tmp_path / "home")


@pytest.fixture(autouse=True)
def no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's own settings for uv."""
    path = tmp_path / "config" / "uv" / "uv.toml"
    path.parent.mkdir(parents=True)
    path.write_text(CONFIG)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return path


def resolved(uv: Uv, text: str, indexes: tuple[str, ...] = ()) -> proc.Completed:
    words = ("pip", "compile", "-", "--no-header", "--no-annotate", "--python", sys.executable)
    return uv.run(*words, stdin=text.encode(), indexes=indexes)


def test_own_cache(uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What uv keeps lies in envhub's cache folder, whatever the user says about uv's own."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "theirs"))
    wheel(only(monkeypatch, tmp_path / "wheels"), "apple")
    assert resolved(uv, "apple").text == "apple==1.0"
    assert uv.cache.is_dir()
    assert uv.cache == tmp_path / "home" / "uv"
    assert not (tmp_path / "theirs").exists()


def test_no_cache(tmp_path: Path) -> None:
    """A cache that cannot be written is told in our words, before uv is started."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        Uv(tmp_path / "file").run("--version")


def test_from_settings(tmp_path: Path) -> None:
    """Cache folder, offline mode, progress and PyTorch come from the settings."""
    environ = {"ENVHUB_HOME": str(tmp_path), "ENVHUB_OFFLINE": "1", "ENVHUB_TORCH": " CU128 "}
    uv = Uv.from_settings(Settings.from_environ(environ))
    assert uv == Uv(tmp_path, offline=True, progress=True, torch="cu128")


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and everything else that uv does not need are taken out; its indexes stay."""
    for name in ("HF_TOKEN", "PYTHONPATH", "VIRTUAL_ENV", "UV_PYTHON", "UV_OVERRIDE", "SECRET"):
        monkeypatch.setenv(name, "x")
    kept = ("PATH", "UV_INDEX", "UV_FIND_LINKS", "UV_INDEX_LAB_PASSWORD", "https_proxy", "LC_ALL")
    for name in kept:
        monkeypatch.setenv(name, "x")
    left = settings.child_environ(settings.uv_environ())
    assert {
        "HF_TOKEN",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "UV_PYTHON",
        "UV_OVERRIDE",
        "SECRET",
    }.isdisjoint(left)
    assert set(kept) <= set(left)


def test_projects_are_not_read(uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings in the working folder, or above it, or in a project there, have no effect."""
    links = only(monkeypatch, tmp_path / "wheels")
    wheel(links, "apple")
    (tmp_path / "uv.toml").write_text("this is no TOML")
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\nconstraint-dependencies = ["apple>9"]')
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "below"))
    assert resolved(uv, "apple").text == "apple==1.0"


def test_user_indexes(config: Path) -> None:
    """Of the user's settings only those of indexes are taken, also from the table for pip."""
    taken = uvprogram._config(())
    assert taken == {
        "index": tomllib.loads(CONFIG)["index"],
        "index-url": "http://index.example/simple",
        "find-links": ["/wheels"],
    }


def test_named_index(config: Path) -> None:
    """An index that the env names is used for all its packages; the others stay as they are."""
    lab, other = uvprogram._config(("lab",))["index"]
    assert "explicit" not in lab
    assert other["explicit"] is True


def test_unknown_index(uv: Uv, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that the user has not configured is refused, with the line that configures it."""
    monkeypatch.setenv("UV_INDEX", "mine=http://mine.example/simple http://plain.example/?a=b")
    assert index_names() == {"lab", "other", "mine"}
    with pytest.raises(RequirementError, match="an index called 'secret'") as caught:
        resolved(uv, "six", indexes=("lab", "secret"))
    assert "lab, mine, other" in caught.value.why
    assert "UV_INDEX=secret=" in caught.value.hint


def test_named_file(uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """UV_CONFIG_FILE names another file; one that is no TOML is an error that names it."""
    path = tmp_path / "mine.toml"
    path.write_text('index = [{ name = "mine", url = "http://mine.example/simple" }, 3]')
    monkeypatch.setenv("UV_CONFIG_FILE", str(path))
    assert index_names() == {"mine"}
    path.write_text("nonsense")
    with pytest.raises(InstallError, match=r"mine\.toml cannot be read"):
        resolved(uv, "six")


def test_building_has_no_home(uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What may run code of packages is told of another home folder than the user's."""
    home = tmp_path / "uv"
    home.write_text("#!/bin/sh\necho $HOME $UV_PYTHON_DOWNLOADS; pwd\n")
    home.chmod(0o755)
    monkeypatch.setattr(uvprogram, "_program", lambda: str(home))
    told, folder = uv.run("--version", building=[Path(sys.executable)]).text.splitlines()
    assert told == f"{folder} never"
    told, folder = uv.run("--version", downloads="manual").text.splitlines()
    assert told == f"{Path.home()} manual"
    assert not Path(folder).exists()


def test_words(uv: Uv) -> None:
    """A failure leaves its last lines and a command that one can read."""
    done = uv.run("pip", "nonsense")
    assert done.returncode
    assert done.argv == ("uv", "pip", "nonsense")
    assert "unrecognized subcommand" in last_words(done)
    assert "\n\n" not in last_words(done)


def test_missing(uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the program is told how to get it."""

    def nowhere() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(uvprogram, "find_uv_bin", nowhere)
    uvprogram._program.cache_clear()
    with pytest.raises(CommandError, match="uv") as caught:
        uv.run("--version")
    assert caught.value.hint == "pip install uv"


class Terminal(io.StringIO):
    """A standard error that is a terminal, and tells when a word was written to it."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word
        self.seen = Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.word in text:
            self.seen.set()
        return super().write(text)


SAY = "import sys; sys.stderr.write('Resolving\\n  Downloading apple (3 GiB)\\n'); sys.stdin.read()"
SAID = b"Resolving\n  Downloading apple (3 GiB)\n"


def on_terminal(patch: pytest.MonkeyPatch) -> Terminal:
    # Not a fixture: pytest sets standard error anew between a test's fixtures and the test.
    stderr = Terminal("packages: Downloading apple (3 GiB) [")
    patch.setattr(sys, "stderr", stderr)
    return stderr


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than a second says what it is doing."""
    terminal = on_terminal(monkeypatch)
    with uvprogram._shown("packages", True) as heard:
        done = proc.run([sys.executable, "-c", SAY], heard=heard)
        assert terminal.seen.wait(60)
    assert done.stderr == SAID


def test_progress_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no terminal one line says what takes so long, and no bar is drawn."""
    log = on_terminal(monkeypatch)
    monkeypatch.setattr(log, "isatty", lambda: False)
    log.word = "packages …"
    with uvprogram._shown("packages", True) as heard:
        proc.run([sys.executable, "-c", SAY], heard=heard)
        assert log.seen.wait(60)
    assert log.getvalue().strip() == "packages …"


@pytest.mark.parametrize("title", ["packages", ""])
def test_no_progress(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants none gets none, nor does what has no title; the lines are kept all the same."""
    terminal = on_terminal(monkeypatch)
    with uvprogram._shown(title, not title) as heard:
        done = proc.run([sys.executable, "-c", SAY], heard=heard)
    assert heard is None
    assert done.stderr == SAID
    assert terminal.getvalue() == ""


def test_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over at once says nothing."""
    terminal = on_terminal(monkeypatch)
    with uvprogram._shown("packages", True) as heard:
        assert heard is not None
        heard("Downloading apple (3 GiB)")
    assert terminal.getvalue() == ""
