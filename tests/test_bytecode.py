"""Compiled files are kept outside the tree, and used only for exactly the source they are from."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType

import pytest

import envhub
from envhub.testing import ServedHub
from envhub.testing.repos import COUNTER, write
from envhub.worker import bytecode, load, repos

make = partial(envhub.make_env, trust_remote_code=True)


@pytest.fixture(autouse=True)
def _may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def compiled(text: str) -> CodeType:
    return compile(text, "env.py", "exec")


def entry(root: Path, folder: Path, version: str) -> ModuleType:
    place = repos.Place(str(root), "env.py", "u/r", "model", "", version, str(folder))
    return load.entry(repos.open_repo(place))


def test_kept_and_found(tmp_path: Path) -> None:
    """What was written is read back; nothing else is in the folder."""
    folder, name = tmp_path / "new" / "bytecode", bytecode.name_of("env.py", b"x = 1")
    assert bytecode.read(str(folder), name) is None
    bytecode.write(str(folder), name, compiled("x = 1"))
    code = bytecode.read(str(folder), name)
    assert code == compiled("x = 1")
    assert [path.name for path in folder.iterdir()] == [name]


def test_name_is_of_everything_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another source, place, Python or optimisation is another name."""
    names = {bytecode.name_of("a.py", b"1"), bytecode.name_of("b.py", b"1")}
    names.add(bytecode.name_of("a.py", b"2"))
    monkeypatch.setattr(bytecode, "MAGIC_NUMBER", b"other")
    names.add(bytecode.name_of("a.py", b"1"))
    assert len(names) == 4


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_damaged_files_are_not_read(tmp_path: Path, damage: bytes | None) -> None:
    """A file that was cut or changed is as good as none."""
    bytecode.write(str(tmp_path), "x", compiled("x = 1"))
    file = tmp_path / "x"
    file.write_bytes(file.read_bytes()[:-1] if damage is None else damage)
    assert bytecode.read(str(tmp_path), "x") is None


def test_what_cannot_be_written_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be made, or a Python that may not write, only cost time."""
    (tmp_path / "file").write_text("")
    bytecode.write(str(tmp_path / "file"), "x", compiled("x = 1"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    bytecode.write(str(tmp_path / "folder"), "x", compiled("x = 1"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_loading_uses_it(tmp_path: Path) -> None:
    """A second load takes the kept code, an edited file is compiled again."""
    root, folder = write({"env.py": "X = 'env'", "h.py": ""}, tmp_path / "tree"), tmp_path / "code"
    assert entry(root, folder, "1").X == "env"
    (kept,) = folder.iterdir()
    bytecode.write(str(folder), kept.name, compiled("X = 'kept'"))
    assert entry(root, folder, "2").X == "kept"
    write({"env.py": "X = 'edited'"}, root)
    assert entry(root, folder, "3").X == "edited"


def test_cache_of_a_commit(hub: ServedHub, envhub_home: Path) -> None:
    """The code of a commit lies beside its tree, which stays as it was; a folder has none."""
    hub.add("u/r", COUNTER)
    with make("u/r") as envs:
        root = Path(sys.modules[type(envs.only.envs[0]).__module__].__file__ or "").parent
    assert root.is_relative_to(envhub_home)
    assert [path.name for path in root.iterdir()] == ["env.py"]
    assert len(list((root.parent / "bytecode").iterdir())) == 1
    before = sorted(envhub_home.parent.rglob("*"))
    folder = write(COUNTER, envhub_home.parent / "mine")
    with make(str(folder)) as envs:
        assert envs.only.num_envs == 1
    added = set(envhub_home.parent.rglob("*")) - set(before)
    assert {path.name for path in added} <= {"mine", "env.py", "history.json", "history.lock"}
