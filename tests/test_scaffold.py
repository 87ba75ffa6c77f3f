"""A new env repo loads as it is, and says of itself what it should."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import envhub
from envhub import card, proc
from envhub.errors import AlreadyThereError, ArgumentError, RepoNotFoundError
from envhub.manifest import read_manifest
from envhub.scaffold import init
from envhub.testing.packages import only, wheel

FILES = [".gitignore", "README.md", "env.py", "envhub.toml", "test_env.py"]
VERSION = gymnasium.__version__


def test_new(tmp_path: Path) -> None:
    """The env of the template is made, filmed and solved, and its parameter is known."""
    files = init(tmp_path / "my-pick")
    assert [file.name for file in files] == FILES
    ref = str(tmp_path / "my-pick")
    with envhub.make_env(ref, n_envs=2, trust_remote_code=True, radius=0.5) as envs:
        env = envs.only
        observation, info = env.reset(seed=0)
        for _ in range(60):
            observation, *_, info = env.step(observation[:, 2:] - observation[:, :2])
            if "final_info" in info or any(info.get("is_success", [])):
                break
        assert any(info["is_success"])
        assert env.render()[0].shape == (128, 128, 3)
    with pytest.raises(ArgumentError, match="radius"):
        envhub.make_env(ref, trust_remote_code=True, radius=7)
    manifest = read_manifest(tmp_path / "my-pick")
    assert manifest.requirements == (f"gymnasium=={VERSION}", "numpy>=1.26")
    text = card.read(tmp_path / "my-pick")
    assert "# My pick\n" in text
    assert card.front_matter(text)["library_name"] == "envhub"
    assert card.BEGIN in text


def test_its_test_passes(tmp_path: Path) -> None:
    """The test that comes along passes."""
    init(tmp_path / "pick")
    words = (sys.executable, "-m", "pytest", "-q", "-c", "none.ini", "--rootdir", ".", "pick")
    (tmp_path / "none.ini").write_text("")
    done = proc.run(words, cwd=tmp_path, check=False, timeout=100)
    assert done.returncode == 0, done.text
    assert "1 passed" in done.text


@pytest.mark.parametrize(
    ("env_id", "requirement"),
    [
        ("CartPole-v1", "gymnasium[classic-control]"),
        ("LunarLander-v3", "gymnasium[box2d]"),
        ("Hopper-v5", "gymnasium[mujoco]"),
        ("FrozenLake-v1", "gymnasium[toy-text]"),
        ("GymV21Environment-v0", "gymnasium"),
    ],
)
def test_gymnasium(tmp_path: Path, env_id: str, requirement: str) -> None:
    """Around an id of Gymnasium's: with the extra that it needs, at the version that is here."""
    init(tmp_path / "env", f"gymnasium:{env_id}")
    manifest = tomllib.loads((tmp_path / "env" / "envhub.toml").read_text())
    assert manifest["requirements"] == [f"{requirement}=={VERSION}"]
    if env_id == "CartPole-v1":
        with envhub.make_env(
            str(tmp_path / "env"), trust_remote_code=True, max_episode_steps=3
        ) as envs:
            envs.only.reset(seed=0)
            ends = [envs.only.step(envs.only.action_space.sample())[3][0] for _ in range(3)]
            assert ends == [False, False, True]


@pytest.mark.parametrize(("tail", "default"), [("", "None"), ("#mylab/A-v0", "'mylab/A-v0'")])
def test_package(tmp_path: Path, monkeypatch: Any, tail: str, default: str) -> None:
    """Around a package: its requirement at one version, and the id if one is named."""
    wheel(tmp_path / "wheels", "mylab-envs", "1.2")
    only(monkeypatch, tmp_path / "wheels")
    files = init(tmp_path / "env", f"pypi:mylab-envs{tail}")
    assert [file.name for file in files] == [*FILES[:4], "requirements.txt", "test_env.py"]
    folder = tmp_path / "env"
    assert (folder / "requirements.txt").read_text() == "mylab-envs==1.2\ngymnasium\n"
    assert f"env_id: Optional[str] = {default}," in (folder / "env.py").read_text()
    assert read_manifest(folder).requirements == ("mylab-envs==1.2", "gymnasium")


@pytest.mark.parametrize(
    ("source", "what", "hint"),
    [
        ("gymnasium:CartPol-v1", "no id 'CartPol-v1'", "--from gymnasium:CartPole-v1"),
        ("gymnasium:ALE/Pong-v5", "no id", "--from 'pypi:<package>#ALE/Pong-v5'"),
        ("gymnasum:CartPole-v1", "cannot be made from", "--from gymnasium:CartPole-v1"),
        ("CartPole-v1", "cannot be made from", "--from gymnasium:…"),
        ("mine:x", "cannot be made from", "--from gymnasium:x"),
    ],
)
def test_no_such_source(tmp_path: Path, source: str, what: str, hint: str) -> None:
    """What cannot be had is told with what could be meant, and no folder is made."""
    with pytest.raises(ArgumentError, match=what) as caught:
        init(tmp_path / "env", source)
    assert caught.value.hint == hint
    assert not (tmp_path / "env").exists()


def test_id_of_a_package(tmp_path: Path) -> None:
    """An id that some package registered here is not Gymnasium's own."""
    gymnasium.register("theirs/Env-v0", entry_point="theirs.envs:Env")
    try:
        with pytest.raises(ArgumentError, match="of theirs") as caught:
            init(tmp_path / "env", "gymnasium:theirs/Env-v0")
    finally:
        del gymnasium.registry["theirs/Env-v0"]
    assert caught.value.hint == "--from 'pypi:theirs#theirs/Env-v0'"


def test_no_such_package(tmp_path: Path, monkeypatch: Any) -> None:
    """A package that no index has."""
    wheel(tmp_path / "wheels", "something-else")
    only(monkeypatch, tmp_path / "wheels")
    with pytest.raises(RepoNotFoundError, match="no package index has"):
        init(tmp_path / "env", "pypi:nothing-like-it")


def test_names(tmp_path: Path) -> None:
    """A folder with files stays as it is; a name that no repo can have is refused."""
    (tmp_path / "empty").mkdir()
    init(tmp_path / "empty")
    for taken in ("empty", "empty/env.py"):
        with pytest.raises(AlreadyThereError):
            init(tmp_path / taken)
    with pytest.raises(ArgumentError, match="cannot be the name") as caught:
        init(tmp_path / "my env!")
    assert caught.value.hint == "envhub init my-env"
