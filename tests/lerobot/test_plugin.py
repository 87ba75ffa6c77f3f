"""`--env.type=envhub`: the config that LeRobot finds, here with the stand-in as LeRobot."""

from __future__ import annotations

import copy
import importlib
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from envhub.adapters import lerobot
from envhub.errors import ArgumentError, UntrustedError
from envhub.testing import ServedHub, repos

ROOT = Path(__file__).parents[2]

SPACES: repos.Repo = {
    "env.py": """
import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict

IMAGE = Box(0, 255, (8, 6, 3), np.uint8)


class Robot(gym.Env):
    action_space = Box(-1, 1, (2,))

    def __init__(self, pixels):
        parts = {"agent_pos": 4, "force": 3, "environment_state": 5}
        boxes = {name: Box(-1, 1, (size,)) for name, size in parts.items()}
        self.observation_space = Dict({"pixels": pixels, "n": gym.spaces.Discrete(2), **boxes})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}


def make_env(n_envs=1, use_async_envs=False, cameras=()):
    pixels = Dict({name: IMAGE for name in cameras}) if cameras else IMAGE
    return gym.vector.SyncVectorEnv([lambda: Robot(pixels) for _ in range(n_envs)])
"""
}

LIMIT: repos.Repo = {
    "env.py": str(repos.COUNTER["env.py"])
    + "\n\ndef make_env(n_envs=1, use_async_envs=False, limit=10):\n"
    + "    return gym.vector.SyncVectorEnv([lambda: Counter(limit)] * n_envs)\n"
}

CFG: repos.Repo = {
    "env.py": str(repos.COUNTER["env.py"])
    + "\n\nmake_vector = make_env\n\n\n"
    + "def make_env(n_envs=1, use_async_envs=False, cfg=None):\n"
    + "    return {cfg.suite: {cfg.fps: make_vector(n_envs, use_async_envs)}}\n"
}


@pytest.fixture
def plugin() -> Iterator[Any]:
    """The plugin, registered with the stand-in for LeRobot."""
    lerobot.install()
    yield importlib.import_module("lerobot_env_envhub")
    for name in ("lerobot_env_envhub", "lerobot_env_envhub.config"):
        sys.modules.pop(name, None)
    lerobot.EnvConfig.get_known_choices().pop("envhub", None)
    lerobot.uninstall()


def test_without_lerobot() -> None:
    """Importing the plugin where there is no LeRobot is no error, and registers nothing."""
    plugin = importlib.import_module("lerobot_env_envhub")
    assert plugin.__all__ == []
    assert not hasattr(plugin, "EnvHubConfig")
    assert "lerobot" not in sys.modules
    del sys.modules["lerobot_env_envhub"]


def test_other_errors_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A LeRobot that lacks a package of its own says so."""
    broken = "import nobody_has_this\n"
    repos.write({"lerobot/__init__.py": "", "lerobot/configs/__init__.py": broken}, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nobody_has_this"):
        importlib.import_module("lerobot_env_envhub")
    for name in [name for name in sys.modules if name.startswith("lerobot")]:
        del sys.modules[name]


def test_registers(plugin: Any) -> None:
    """The type is `envhub`, made by its name, and everything it was told is in its fields."""
    cfg = lerobot.make_env_config("envhub", ref="u/r", params={"limit": 3})
    assert isinstance(cfg, plugin.EnvHubConfig)
    assert cfg.type == "envhub"
    assert asdict(cfg)["params"] == {"limit": 3}
    assert cfg.gym_kwargs == {}


def test_makes_envs(plugin: Any, hub: ServedHub) -> None:
    """A config loads its ref; the repo's arguments come from `params`."""
    hub.add("u/r", LIMIT, tag="v1")
    cfg = plugin.EnvHubConfig(ref="u/r@v1", trust_remote_code=True, params={"limit": 4})
    envs = lerobot.make_env(cfg, n_envs=2)
    assert envs["hub_env"][0].call("limit") == (4, 4)
    lerobot.close_envs(envs)


def test_consent(plugin: Any, hub: ServedHub) -> None:
    """Nothing runs without the user's consent, whatever is passed along the way."""
    hub.add("u/r", repos.COUNTER)
    with pytest.raises(UntrustedError, match="Refusing to execute remote code"):
        lerobot.make_env(plugin.EnvHubConfig(ref="u/r"), trust_remote_code=True)


def test_cfg(plugin: Any, hub: ServedHub) -> None:
    """A repo that reads a config gets this one, with the attributes of `cfg`."""
    hub.add("u/r", CFG)
    cfg = plugin.EnvHubConfig(ref="u/r", trust_remote_code=True, cfg={"suite": "mine"}, fps=5)
    envs = cfg.create_envs(1)
    assert {suite: list(tasks) for suite, tasks in envs.items()} == {"mine": [5]}
    lerobot.close_envs(envs)
    assert copy.deepcopy(cfg) == cfg
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = cfg.nothing


def test_no_ref(plugin: Any) -> None:
    """A config without a ref says what is missing."""
    with pytest.raises(ArgumentError, match=r"--env\.ref=owner/name"):
        plugin.EnvHubConfig().create_envs(1)


@pytest.mark.parametrize(
    ("cameras", "images"),
    [
        ((), {"pixels": "observation.image"}),
        (
            ("top", "wrist"),
            {"pixels/top": "observation.images.top", "pixels/wrist": "observation.images.wrist"},
        ),
    ],
)
def test_features(
    plugin: Any, hub: ServedHub, cameras: tuple[str, ...], images: dict[str, str]
) -> None:
    """A policy learns from the env's spaces what it will see."""
    hub.add("u/r", SPACES)
    cfg = plugin.EnvHubConfig(ref="u/r", trust_remote_code=True, params={"cameras": cameras})
    lerobot.close_envs(cfg.create_envs(1))
    assert cfg.features_map == {
        **images,
        "agent_pos": "observation.state",
        "environment_state": "observation.environment_state",
        "force": "observation.force",
        "action": "action",
    }
    policy = lerobot.env_to_policy_features(cfg)
    assert {policy[key].shape for key in images.values()} == {(3, 8, 6)}
    assert policy["observation.state"].shape == (4,)
    assert policy["action"].type.value == "ACTION"


def test_given_features_stay(plugin: Any, hub: ServedHub) -> None:
    """Features that the user gave are not touched."""
    hub.add("u/r", SPACES)
    given = {"agent_pos": "given"}
    cfg = plugin.EnvHubConfig(ref="u/r", trust_remote_code=True, features=dict(given))
    lerobot.close_envs(cfg.create_envs(1))
    assert cfg.features == given


def test_no_features(plugin: Any, hub: ServedHub) -> None:
    """An env that no policy of LeRobot's can see still runs."""
    hub.add("u/r", repos.COUNTER)
    cfg = plugin.EnvHubConfig(ref="u/r", trust_remote_code=True)
    lerobot.close_envs(cfg.create_envs(1))
    assert cfg.features == {}


def test_distribution() -> None:
    """LeRobot looks for distributions by this prefix and imports a module of the same name."""
    project = tomllib.loads((ROOT / "plugins" / "lerobot" / "pyproject.toml").read_text())
    name = project["project"]["name"]
    assert name.startswith("lerobot_env_")
    assert (ROOT / "src" / name / "__init__.py").is_file()
