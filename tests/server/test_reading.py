"""What the hub reads of an env without running it, and the words that it can be filtered by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envhub.server.about import About, Check, Leaf, Suite, Task
from envhub.server.facets import engines, facets, is_image, kind_of, pythons
from envhub.server.reading import MOST_BYTES, read

FACTORY = "def make_env(n_envs=1, use_async_envs=False):\n    raise SystemExit('it was run')\n"
MANIFEST = """
requires-python = ">=3.10"
requirements = ["gymnasium[box2d]>=1.0", "MuJoCo==3.2"]
preview = "look.webp"
permissions = { network = true, writable = ["logs"] }
[parameters.gravity]
type = "float"
min = 0.0
[suites.walk]
description = "On two legs."
[suites.walk.tasks.flat]
description = "On a plain."
[suites.walk.tasks.hilly]
"""


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def about(root: Path, files: dict[str, str]) -> About:
    found, _, _ = read(put(root, files))
    assert found
    return found


def test_manifest(tmp_path: Path) -> None:
    """All that a manifest says is in the block; nothing of the repo was run."""
    found = about(tmp_path, {"env.py": FACTORY, "envhub.toml": MANIFEST})
    assert (found.state, found.entry, found.entries) == ("read", "env.py", ("env.py",))
    assert found.python == ">=3.10"
    assert found.requirements == ("gymnasium[box2d]>=1.0", "mujoco==3.2")
    assert found.permissions == ("network", "write:logs")
    assert found.parameters == {"gravity": {"type": "float", "min": 0.0}}
    assert found.engines == ("box2d", "mujoco")
    assert found.suites["walk"].description == "On two legs."
    assert found.suites["walk"].tasks["flat"].description == "On a plain."
    assert (found.n_tasks, found.preview) == (2, "look.webp")
    assert [(check.name, check.ok) for check in found.checks] == [
        ("manifest", True),
        ("entry", True),
    ]


ENTRIES: list[tuple[dict[str, str], str, tuple[str, ...]]] = [
    ({"env.py": FACTORY, "envs/pick.py": FACTORY}, "env.py", ("env.py", "envs/pick.py")),
    ({"envs/pick.py": FACTORY, "envs/help.py": "x = 1"}, "envs/pick.py", ("envs/pick.py",)),
    ({"env.py": "from envs import make_env", "envs.py": FACTORY}, "env.py", ("env.py", "envs.py")),
    ({"env.py": "from envs import *"}, "env.py", ()),
    ({"env.py": "make_env = print"}, "env.py", ("env.py",)),
    ({"env.py": "x = y = 1\nfrom a import b"}, "env.py", ()),
    ({"env.py": "def broken("}, "env.py", ()),
    ({"env.py": "#" * (MOST_BYTES + 1)}, "env.py", ()),
    ({"a.py": FACTORY, "b.py": FACTORY, "envhub.toml": 'entry = "b.py"'}, "b.py", ("a.py", "b.py")),
]


@pytest.mark.parametrize(("files", "entry", "entries"), ENTRIES)
def test_entries(
    tmp_path: Path, files: dict[str, str], entry: str, entries: tuple[str, ...]
) -> None:
    """The entry is the manifest's, else env.py, else the first file that defines make_env."""
    found = about(tmp_path, files)
    assert (found.entry, found.entries) == (entry, entries)


@pytest.mark.parametrize("files", [{"train.py": "import torch"}, {"model.py": ""}])
def test_no_env(tmp_path: Path, files: dict[str, str]) -> None:
    """A repo with Python files that load no env has no block."""
    assert read(put(tmp_path, files))[0] is None


WRONG = [
    ({"env.py": FACTORY, "envhub.toml": "no toml at all"}, "manifest", "envhub.toml is no TOML"),
    ({"env.py": FACTORY, "envhub.toml": "requirement = []"}, "manifest", "unknown field"),
    ({"envhub.toml": "version = 1"}, "entry", "env.py"),
    ({"env.py": FACTORY, "envhub.toml": 'entry = "gone.py"'}, "entry", "gone.py"),
]


@pytest.mark.parametrize(("files", "name", "text"), WRONG)
def test_what_is_wrong(tmp_path: Path, files: dict[str, str], name: str, text: str) -> None:
    """A manifest that makes no sense and an entry that is not there are checks that fail."""
    failed = [check for check in about(tmp_path, files).checks if check.ok is False]
    assert [check.name for check in failed] == [name]
    assert text in failed[0].text


def test_inspection(tmp_path: Path) -> None:
    """What the code could do is in the block, the worst first, and counted."""
    code = f"import subprocess, socket\nsubprocess.run(['ls'])\nsocket.socket()\n{FACTORY}"
    found = about(tmp_path, {"env.py": code})
    assert found.findings[0].kind == "subprocess"
    assert found.severities["high"] >= 1
    assert found.severities["medium"] >= 1


IMAGE = Leaf("camera", "Box", (64, 64, 3), "uint8", "0", "255")
STATE = Leaf("state", "Box", (7,), "float32")
LEAVES: list[tuple[Leaf, str]] = [
    (IMAGE, "pixels"),
    (Leaf("", "Box", (4, 3, 84, 84), "uint8"), "pixels"),
    (Leaf("", "Box", (84, 84), "uint8"), "pixels"),
    (Leaf("", "Box", (9, 9), "uint8"), "vector"),
    (Leaf("", "Box", (64, 64, 3), "float32"), "vector"),
    (Leaf("", "Box", (128,), "uint8"), "vector"),
    (STATE, "vector"),
    (Leaf("", "MultiBinary", (3,), "int8"), "discrete"),
    (Leaf("", "Text"), "text"),
    (Leaf("", "Graph"), "graph"),
    (Leaf("", "Whatever"), "other"),
]


@pytest.mark.parametrize(("leaf", "kind"), LEAVES)
def test_kinds(leaf: Leaf, kind: str) -> None:
    """A picture is bytes with a height and a width; every other array of numbers is a vector."""
    assert kind_of(leaf) == kind
    assert is_image(leaf) == (kind == "pixels")


def test_facets() -> None:
    """Facets come from what was run, what was declared and which checks passed; each once."""
    discrete = Leaf("", "Discrete", (), "int64", "0", "1")
    tasks = {
        "0": Task("", True, (IMAGE, STATE), (discrete,)),
        "1": Task("", True, (STATE,), (STATE,)),
        "2": Task(),
    }
    found = facets(
        About(
            "checked",
            python=">=3.10.4,<3.12",
            permissions=("network", "write:logs", "write:more"),
            engines=("mujoco",),
            suites={"a": Suite("", tasks)},
            n_tasks=3,
            checks=(Check("loads", True), Check("steps", False), Check("deterministic", None)),
        )
    )
    assert found == (
        *("action:discrete", "observation:pixels", "observation:vector", "action:continuous"),
        *("tasks:3", "suites:1"),
        *("engine:mujoco", "python:3.10", "python:3.11"),
        *("permission:network", "permission:write", "checked:loads"),
    )
    assert facets(About("read")) == ("permission:none",)


PYTHONS: list[tuple[str, Any]] = [
    ("", ()),
    ("nonsense", ()),
    ("==3.12.*", ("3.12",)),
    (">=3.13", ("3.13", "3.14")),
]


@pytest.mark.parametrize(("wanted", "versions"), PYTHONS)
def test_pythons(wanted: str, versions: tuple[str, ...]) -> None:
    """Which Pythons a repo runs under; nothing if it does not say so in a way that makes sense."""
    assert pythons(wanted) == versions


def test_engines() -> None:
    """Simulators are known by packages, modules and extras, however they are written."""
    assert engines(["ale-py", "numpy", "Box2D"], ["toy-text", "other"]) == (
        "atari",
        "box2d",
        "pygame",
    )
