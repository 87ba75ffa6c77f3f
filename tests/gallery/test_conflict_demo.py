"""Envs that cannot be installed together step side by side in one program."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from envhub.client import Client
from envhub.interpreters import interpreters
from envhub.testing import repos
from envhub.testing.packages import lend, serve_index, wheel

DEMO = Path(__file__).parents[2] / "examples" / "conflict_demo.py"
CODE = str(repos.COUNTER["env.py"]).replace("limit=10", "limit=engine.limit")


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("conflict_demo", DEMO)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two versions of one engine, of which only one can be installed."""
    folder = lend(tmp_path / "links")
    for version in ("1.0", "2.0"):
        files = {"engine.py": f"version = {version!r}\nlimit = int({version})\n"}
        wheel(folder, "engine", version, files=files)
    monkeypatch.setenv("ENVHUB_ISOLATION", "auto")
    monkeypatch.setenv("ENVHUB_SANDBOX", "off")  # what is lent lies outside of the venv
    with serve_index(folder) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        yield


def repo(folder: Path, requirements: str, manifest: str = "") -> str:
    files = {"env.py": f"import engine\n{CODE}", "requirements.txt": requirements}
    return str(repos.write({**files, "envhub.toml": manifest}, folder))


def test_side_by_side(
    demo: ModuleType, index: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each env runs with its own version; one whose Python is nowhere is left out by name."""
    refs = [repo(tmp_path / f"needs{n}", f"engine=={n}\n") for n in (1, 2)]
    refs.append(repo(tmp_path / "ancient", "engine==1\n", 'requires-python = "<3"\n'))
    wanted = [demo.Simulator(ref, "engine") for ref in refs]
    running = demo.main(wanted, steps=5, client=Client(cache=tmp_path / "cache", lock=False))
    assert [each.versions["engine"] for each in running] == ["1.0", "2.0"]
    printed = capsys.readouterr().out
    assert "engine none" in printed
    assert "left out: ancient" in printed
    assert "2 envs, 5 steps each" in printed


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:infos .* stay behind:UserWarning")
def test_real_simulators(
    demo: ModuleType, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four versions of MuJoCo, and where there is a Python 3.10 Procgen, in one program."""
    running = demo.main(client=client)
    engines = [f"{each.engine} {each.versions[each.engine]}" for each in running]
    mujocos = ["mujoco 4.0.0", "mujoco 3.8.1", "mujoco 3.3.0", "mujoco 3.17.0"]
    assert engines == mujocos + ["procgen 0.10.7"] * bool(interpreters("3.10"))
    assert "200 steps each" in capsys.readouterr().out
