"""`install()` and `uninstall()`: LeRobot's names lead to envhub, and back."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envhub.adapters import lerobot as ours
from envhub.testing import ServedHub, repos
from envhub.worker import lerobot as stand_in

UPSTREAM = {
    "lerobot/__init__.py": "",
    "lerobot/envs/__init__.py": "from .factory import make_env\nfrom .utils import close_envs\n",
    "lerobot/envs/factory.py": "from .utils import _call_make_env, _download_hub_file\n"
    "from .utils import _import_hub_module, _normalize_hub_result\n\n\n"
    "def make_env(cfg):\n"
    "    repo, _, file, _ = _download_hub_file(cfg, True, None)\n"
    "    module = _import_hub_module(file, repo)\n"
    "    return _normalize_hub_result(_call_make_env(module, 1, False, None))\n",
    "lerobot/envs/utils.py": "".join(
        f"def {name}(*args): return 'upstream'\n"
        for name in (
            "_parse_hub_url",
            "_download_hub_file",
            "_load_module_from_path",
            "_import_hub_module",
            "_call_make_env",
            "_normalize_hub_result",
            "close_envs",
            "something_else",
        )
    ),
    "lerobot/script.py": "from lerobot.envs import close_envs, make_env as build\n"
    "from lerobot.envs.utils import something_else\n",
}
"""A package that has LeRobot's shape where `install` touches it."""


@pytest.fixture
def installed() -> Iterator[None]:
    """`install()` holds during the test, and nothing of it afterwards."""
    ours.install()
    yield
    ours.uninstall()
    assert loaded() == []


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package `lerobot` is installed; its script was imported already."""
    site = repos.write(UPSTREAM, tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    yield importlib.import_module("lerobot.script")
    ours.uninstall()
    for name in loaded():
        del sys.modules[name]


def loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "lerobot"]


def test_absent(installed: None) -> None:
    """Where LeRobot is not installed, the stand-in answers, with envhub's functions in it."""
    factory = importlib.import_module("lerobot.envs.factory")
    utils = importlib.import_module("lerobot.envs.utils")
    envs = importlib.import_module("lerobot.envs")
    assert factory.make_env is envs.make_env is ours.make_env
    assert factory._download_hub_file is utils._download_hub_file is ours._download_hub_file
    assert utils._parse_hub_url is ours._parse_hub_url
    assert utils.preprocess_observation is ours.preprocess_observation
    assert envs.EnvConfig is ours.EnvConfig
    assert envs.factory is factory
    assert importlib.import_module("lerobot").__version__.endswith("+envhub")


def test_twice_is_once(installed: None) -> None:
    """Installing again changes nothing, and one `uninstall` takes it all back."""
    before = dict(sys.modules)
    ours.install()
    assert dict(sys.modules) == before
    ours.uninstall()
    assert loaded() == []
    with pytest.raises(ModuleNotFoundError, match="lerobot"):
        importlib.import_module("lerobot")
    ours.uninstall()


def test_uninstall_restores_the_stand_in() -> None:
    """Afterwards the stand-in loads nothing from a hub, as before."""
    ours.install()
    ours.uninstall()
    with pytest.raises(RuntimeError, match="an env cannot load"):
        stand_in.modules()["lerobot.envs"].make_env("user/repo")
    assert stand_in.modules()["lerobot.envs.factory"] is not sys.modules[ours.__name__]


def test_missing_parts(installed: None) -> None:
    """What nothing stands in for is missing under its own name."""
    with pytest.raises(ModuleNotFoundError, match=r"lerobot\.policies"):
        importlib.import_module("lerobot.policies")


def test_monkeypatch_by_name(
    installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A test replaces `lerobot.envs.factory._download_hub_file`, and `make_env` calls that."""
    file = str(repos.write(repos.CARTPOLE, tmp_path) / "env.py")
    factory = importlib.import_module("lerobot.envs.factory")
    monkeypatch.setattr(factory, "_download_hub_file", lambda *_: ("u/r", "env.py", file, "c"))
    envs = factory.make_env("u/r", n_envs=2)
    assert envs["hub_env"][0].num_envs == 2
    ours.close_envs(envs)


def test_folder_is_not_lerobot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder called `lerobot`, such as a clone, does not count as installed."""
    (tmp_path / "lerobot").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    ours.install()
    assert importlib.import_module("lerobot.envs").make_env is ours.make_env
    ours.uninstall()


def test_present(upstream: Any) -> None:
    """Where LeRobot is installed its hub functions are replaced, and only those."""
    ours.install()
    utils: Any = importlib.import_module("lerobot.envs.utils")
    assert importlib.import_module("lerobot.envs.factory").make_env is ours.make_env
    assert utils._call_make_env is ours._call_make_env
    assert utils.something_else() == "upstream"
    assert upstream.something_else() == "upstream"
    assert upstream.build is ours.make_env
    assert upstream.close_envs is ours.close_envs
    ours.uninstall()
    assert utils.close_envs is upstream.close_envs is not ours.close_envs
    assert utils._call_make_env is not ours._call_make_env
    assert upstream.build is importlib.import_module("lerobot.envs").make_env is not ours.make_env


def test_old_reference(upstream: Any, hub: ServedHub) -> None:
    """LeRobot's own `make_env`, imported before by somebody else, goes through envhub too."""
    hub.add("u/asset", repos.ASSET)
    make_env = upstream.build
    ours.install()
    envs = make_env("u/asset")
    assert envs["hub_env"][0].call("limit") == (7,)
    ours.close_envs(envs)


def test_repo_gets_ours(installed: None, hub: ServedHub) -> None:
    """A repo that loads another repo does so through envhub, and needs consent for it."""
    hub.add("u/base", repos.COUNTER)
    hub.add(
        "u/on-top",
        {
            "env.py": "from lerobot.envs.factory import make_env as load\n\n\n"
            "def make_env(n_envs=1, use_async_envs=False):\n"
            "    return load('u/base', n_envs, use_async_envs)\n"
        },
    )
    with pytest.raises(RuntimeError, match="Refusing to execute remote code from 'u/base@"):
        ours.make_env("u/on-top", trust_remote_code=True)
