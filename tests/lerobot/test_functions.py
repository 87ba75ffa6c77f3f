"""LeRobot's hub functions, as envhub has them: the facts that LeRobot's own tests state."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import envhub
from envhub.adapters import lerobot
from envhub.adapters.lerobot import (
    EnvConfig,
    HubEnvConfig,
    _call_make_env,
    _download_hub_file,
    _import_hub_module,
    _load_module_from_path,
    _normalize_hub_result,
    _parse_hub_url,
    make_env,
)
from envhub.errors import (
    ArgumentError,
    EntryNotFoundError,
    LoadError,
    MissingDependencyError,
    RefError,
    RefMovedWarning,
    ResultError,
    UntrustedError,
)
from envhub.testing import ServedHub, repos

REPO = "lerobot/cartpole-env"


@pytest.fixture
def cartpole(hub: ServedHub) -> str:
    """The commit of CartPole on the hub."""
    return hub.add(REPO, repos.CARTPOLE, tag="v1.0")


@pytest.fixture
def vector() -> Iterator[gym.vector.VectorEnv[Any, Any, Any]]:
    """A vector of one CartPole."""
    env = gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")])
    yield env
    env.close()


# Refs


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("user/repo", ("user/repo", None, "env.py")),
        ("user/repo@main", ("user/repo", "main", "env.py")),
        ("user/repo:custom_env.py", ("user/repo", None, "custom_env.py")),
        ("user/repo@v1.0:envs/my_env.py", ("user/repo", "v1.0", "envs/my_env.py")),
        ("org/repo@abc123def456", ("org/repo", "abc123def456", "env.py")),
        ("user/repo@feature/x:a.py", ("user/repo", "feature/x", "a.py")),
    ],
)
def test_parse(url: str, parts: tuple[str, str | None, str]) -> None:
    """A ref is repo, revision and path."""
    assert _parse_hub_url(url) == parts


@pytest.mark.parametrize("url", ["", "@", "u/r@", "u/r:", "u/r:/abs.py", "u/r:../x.py", " u/r"])
def test_parse_refuses(url: str) -> None:
    """What is no ref is an error and not a guess."""
    with pytest.raises(RefError):
        _parse_hub_url(url)


# Consent and download


@pytest.mark.parametrize("options", [{}, {"trust_remote_code": False}])
def test_consent(cartpole: str, hub: ServedHub, options: dict[str, bool]) -> None:
    """Without consent nothing is downloaded, and the message says how to consent."""
    with pytest.raises(RuntimeError, match="Refusing to execute remote code") as caught:
        make_env(REPO, **options)  # type: ignore[arg-type]  # only the one keyword
    assert cartpole in str(caught.value)
    assert not [request for request in hub.requests if "/resolve/" in request.path]


def test_consent_is_a_bool(cartpole: str) -> None:
    """The string "False" is no consent."""
    with pytest.raises(ArgumentError, match="trust_remote_code must be True or False"):
        make_env(REPO, trust_remote_code="False")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("revision", [None, "main", "v1.0"])
def test_download(cartpole: str, revision: str | None, tmp_path: Path) -> None:
    """The fourth part is the commit and not the revision as typed; the folder is the caller's."""
    ref = REPO + (f"@{revision}" if revision else "")
    repo, path, file, commit = _download_hub_file(ref, True, str(tmp_path / "cache"))
    assert (repo, path, commit) == (REPO, "env.py", cartpole)
    assert Path(file).read_text() == repos.CARTPOLE["env.py"]
    assert tmp_path / "cache" in Path(file).parents


def test_download_refuses(cartpole: str) -> None:
    """The function itself asks for consent, which it does not have by default."""
    with pytest.raises(UntrustedError):
        _download_hub_file(REPO)


def test_moved(hub: ServedHub, cartpole: str) -> None:
    """A branch that moved since it last ran is announced, at the caller's line."""
    lerobot.close_envs(make_env(REPO, trust_remote_code=True))
    hub.add(REPO, {"env.py": repos.COUNTER["env.py"]})
    with pytest.warns(RefMovedWarning, match=cartpole[:12]) as caught:
        envs = make_env(REPO, trust_remote_code=True)
    lerobot.close_envs(envs)
    assert caught[0].filename == __file__


# make_env


@pytest.mark.parametrize("ref", [REPO, f"{REPO}@main", f"{REPO}:env.py"])
def test_make_env(cartpole: str, ref: str) -> None:
    """A ref makes vectors with as many envs as asked for, and they step."""
    envs = make_env(ref, n_envs=2, trust_remote_code=True)
    assert isinstance(envs, envhub.EnvDict)
    assert envs.pin.commit == cartpole
    assert list(envs) == ["hub_env"]
    env: Any = envs["hub_env"][0]
    assert isinstance(env, gym.vector.SyncVectorEnv)
    assert env.num_envs == 2
    observation, _ = env.reset()
    assert isinstance(observation, np.ndarray)
    reward = env.step(env.action_space.sample())[1]
    assert isinstance(reward, np.ndarray)
    assert len(reward) == 2
    assert str(env.envs[0].unwrapped.spec).startswith("EnvSpec(id='CartPole-v1'")
    envs.close()


def test_make_env_async(cartpole: str) -> None:
    """Asynchronous envs are Gymnasium's."""
    envs = make_env(REPO, n_envs=2, use_async_envs=True, trust_remote_code=True)
    env: Any = envs["hub_env"][0]
    assert isinstance(env, gym.vector.AsyncVectorEnv)
    assert env.num_envs == 2
    env.reset()
    assert len(env.step(env.action_space.sample())[1]) == 2
    env.close()


@pytest.mark.parametrize("n_envs", [0, -3, "2", True])
def test_counts(n_envs: Any) -> None:
    """Bad counts are refused before anything else."""
    with pytest.raises(ArgumentError):
        make_env(REPO, n_envs=n_envs, trust_remote_code=True)


def test_config_with_hub_path(hub: ServedHub) -> None:
    """A config with a hub path is loaded from there, and handed over if `make_env` takes it."""
    hub.add("u/cfg", CFG)
    cfg = HubEnvConfig(hub_path="u/cfg", fps=7)
    envs = make_env(cfg, trust_remote_code=True)
    assert envs["fps"][7].num_envs == 1
    lerobot.close_envs(envs)


CFG: repos.Repo = {
    "env.py": "import gymnasium as gym\n\n\n"
    "def make_env(n_envs=1, use_async_envs=False, cfg=None):\n"
    "    env = gym.vector.SyncVectorEnv([lambda: gym.make('CartPole-v1')] * n_envs)\n"
    "    return {'fps': {cfg.fps: env}}\n"
}


def test_config_for_two_arguments(cartpole: str) -> None:
    """The documented `make_env` of two arguments gets no config."""
    cfg = HubEnvConfig(hub_path=REPO)
    lerobot.close_envs(make_env(cfg, trust_remote_code=True))


def test_delegation() -> None:
    """A config without a hub path makes its envs by itself, and they are not touched."""
    made = {"delegated": {0: "marker"}}
    cfg = SimpleNamespace(hub_path=None, create_envs=lambda n_envs, use_async_envs: made)
    assert make_env(cfg, n_envs=1) is made


def test_custom_config() -> None:
    """A registered config makes its own env."""

    @EnvConfig.register_subclass("dummy")
    @dataclass
    class Dummy(EnvConfig):
        @property
        def gym_id(self) -> str:
            return "CartPole-v1"

        @property
        def gym_kwargs(self) -> dict[str, Any]:
            return {}

    envs = make_env(lerobot.make_env_config("dummy"), n_envs=1)
    assert list(envs["dummy"]) == [0]
    assert isinstance(envs["dummy"][0], gym.vector.VectorEnv)
    lerobot.close_envs(envs)
    del EnvConfig.get_known_choices()["dummy"]


def test_multi_file_repo(hub: ServedHub) -> None:
    """A repo with siblings and assets works, whichever function loads it."""
    hub.add("u/asset", repos.ASSET)
    repo, _, file, _ = _download_hub_file("u/asset", True)
    module = _import_hub_module(file, repo)
    envs = _normalize_hub_result(_call_make_env(module, 1, False))
    assert envs["hub_env"][0].call("limit") == (7,)
    lerobot.close_envs(envs)


@pytest.mark.parametrize("cfg", [None, SimpleNamespace(hub_path="u/r")])
def test_download_is_replaceable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cfg: Any) -> None:
    """A test can put its own `_download_hub_file` in the place of ours."""
    file = repos.write(repos.CARTPOLE, tmp_path) / "env.py"
    monkeypatch.setattr(lerobot, "_download_hub_file", lambda *_: ("u/r", "env.py", str(file), "c"))
    envs = make_env(cfg or "u/r", n_envs=2)
    assert envs["hub_env"][0].num_envs == 2
    lerobot.close_envs(envs)


# Loading by path


def test_load_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is loaded with its siblings; the same content once, an edited file anew."""
    repos.write(repos.SIBLING_IMPORT, tmp_path)
    monkeypatch.chdir(tmp_path)
    module = _load_module_from_path("./env.py")
    assert module.make_env.__module__.endswith("counter")
    assert _load_module_from_path("./env.py") is module
    (tmp_path / "env.py").write_text("X = 2\n")
    assert _load_module_from_path("./env.py", "another").X == 2


def test_load_module_fails(tmp_path: Path) -> None:
    """What is missing is named: the file, or the dependency."""
    with pytest.raises(EntryNotFoundError, match=r"no file .*nowhere\.py"):
        _load_module_from_path(tmp_path / "nowhere.py")
    repos.write(repos.BROKEN_IMPORT, tmp_path)
    with pytest.raises(MissingDependencyError, match="a_package_that_nobody_has") as caught:
        _load_module_from_path(tmp_path / "env.py")
    assert caught.value.name == "a_package_that_nobody_has"
    (tmp_path / "env.py").write_text("1 / 0\n")
    with pytest.raises(LoadError, match="ZeroDivisionError"):
        _import_hub_module(tmp_path / "env.py", "u/r")


# Normalising


def test_normalize(vector: Any) -> None:
    """A vector or a single env becomes the only task; a dict stays what it is."""
    assert _normalize_hub_result(vector) == {"hub_env": {0: vector}}
    assert _normalize_hub_result({"my_suite": {0: vector}}) == {"my_suite": {0: vector}}
    assert _normalize_hub_result(MappingProxyType({"s": {"task": vector}})) == {
        "s": {"task": vector}
    }
    single = _normalize_hub_result(gym.make("CartPole-v1"))
    assert isinstance(single["CartPole-v1"][0], gym.vector.VectorEnv)
    lerobot.close_envs(single)


def test_normalize_later(vector: Any) -> None:
    """A callable becomes a task that is made at its first use."""
    made = _normalize_hub_result({"s": {0: lambda: vector}})
    assert made["s"][0].reset()[0].shape == (1, 4)


@pytest.mark.parametrize("result", ["invalid_type", None, [], 3])
def test_normalize_refuses(result: Any) -> None:
    """What is no env is refused."""
    with pytest.raises(ValueError, match="Hub `make_env` must return"):
        _normalize_hub_result(result)


def test_normalize_says_where() -> None:
    """In a dict the place of what is no env is named."""
    with pytest.raises(ResultError, match="suite 's' task 0"):
        _normalize_hub_result({"s": {0: "nope"}})


def test_page_runs_its_own_env(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The steps of the page's local test, by hand: load, call, normalise, close."""
    module = _load_module_from_path(repos.write(repos.SUITES, tmp_path) / "env.py")
    envs = _normalize_hub_result(_call_make_env(module, n_envs=3, use_async_envs=False))
    assert {suite: list(tasks) for suite, tasks in envs.items()} == {"short": [0, 1], "long": [0]}
    assert envs["long"][0].reset()[0].shape == (3, 2)
    with caplog.at_level(logging.ERROR):
        lerobot.close_envs(envs)
    assert caplog.records == []


def test_libraries_cannot_consent(cartpole: str) -> None:
    """Where the user's policy wants grants, a library that passes True opens nothing."""
    client = envhub.Client()
    client.policy_path.parent.mkdir(parents=True, exist_ok=True)
    client.policy_path.write_text("version = 1\n[rules]\nboolean = false\n")
    with pytest.raises(UntrustedError, match=f"envhub trust add {REPO}@{cartpole}"):
        make_env(REPO, trust_remote_code=True)


def test_a_grant_is_consent(cartpole: str) -> None:
    """A grant of the user's opens what no argument asks for."""
    client = envhub.Client()
    client.policy_path.parent.mkdir(parents=True, exist_ok=True)
    grant = f'hub = "{client.settings.endpoint}"\nrepo = "{REPO}"\ncommit = "{cartpole}"\n'
    client.policy_path.write_text(f"version = 1\n[[grants]]\n{grant}")
    lerobot.close_envs(make_env(REPO))
