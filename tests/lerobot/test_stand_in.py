"""What stands in for LeRobot: configs, features, the freeze wrapper, closing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import register, registry

from envhub.testing.repos import COUNTER, Repo, write
from envhub.worker import lerobot, load, repos
from envhub.worker.faults import Fault
from envhub.worker.lerobot import configs, envs, processor
from envhub.worker.lerobot.absent import OnlyInLeRobot
from envhub.worker.lerobot.configs.types import PolicyFeature
from envhub.worker.lerobot.envs import closing, factory
from envhub.worker.lerobot.envs.configs import AlohaEnv, EnvConfig, HubEnvConfig, LiberoEnv
from envhub.worker.lerobot.processor import pipeline
from envhub.worker.lerobot.utils import constants

TREE = Path(lerobot.__file__).parent
GYM_ID = "envhub_lerobot/CartPole-v9"


@dataclass
class Cart(EnvConfig):
    """A config as users write them."""

    task: str | None = "CartPole-v9"
    fps: int = 10
    features: dict[str, PolicyFeature] = field(default_factory=dict)

    @property
    def package_name(self) -> str:
        return "envhub_lerobot"

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        return {"max_episode_steps": 5}


@pytest.fixture
def cart() -> Iterator[type[Cart]]:
    """`Cart` is registered, and so is its env."""
    EnvConfig.register_subclass("cart", Cart)
    register(GYM_ID, "gymnasium.envs.classic_control:CartPoleEnv")
    yield Cart
    del EnvConfig.get_known_choices()["cart"]
    del registry[GYM_ID]


# Names


def test_tree_is_sealed_and_old() -> None:
    """Every module has Python 3.8's syntax and imports the standard library, numpy, gymnasium."""
    allowed = {*sys.stdlib_module_names, "numpy", "gymnasium", "torch"}
    for file in TREE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), feature_version=(3, 8))):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, file
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").partition(".")[0] in allowed, file


def test_nothing_but_observations_needs_torch() -> None:
    """Importing all of it imports no torch and nothing else of envhub."""
    code = (
        "import sys; from envhub.worker import lerobot; lerobot.modules();"
        "ours = [n for n in sys.modules if n.startswith('envhub')];"
        "assert all(n in ('envhub', 'envhub.worker') or n.startswith('envhub.worker.lerobot')"
        " for n in ours), ours; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("lerobot", "__version__"),
        ("lerobot.configs", "FeatureType PolicyFeature"),
        ("lerobot.configs.types", "FeatureType NormalizationMode PolicyFeature"),
        ("lerobot.envs.configs", "EnvConfig HubEnvConfig LiberoEnv"),
        ("lerobot.envs.factory", "make_env make_env_config make_env_pre_post_processors"),
        (
            "lerobot.envs.utils",
            "preprocess_observation close_envs NEW_ROLLOUT_OPTION FreezeAfterEpisodeEnd "
            "freeze_after_episode_end check_env_attributes_and_types env_to_policy_features",
        ),
        (
            "lerobot.envs",
            "make_env make_env_config make_env_pre_post_processors close_envs HubEnvConfig "
            "check_env_attributes_and_types env_to_policy_features preprocess_observation "
            "EnvConfig",
        ),
        ("lerobot.processor", "LiberoProcessorStep"),
        ("lerobot.processor.pipeline", "DataProcessorPipeline"),
        ("lerobot.utils.constants", "OBS_PREFIX OBS_STATE OBS_IMAGE OBS_IMAGES ACTION REWARD"),
        ("lerobot.utils.device_utils", "auto_select_torch_device"),
        ("lerobot.utils.import_utils", "is_package_available"),
    ],
)
def test_names(module: str, names: str) -> None:
    """Every name that env repos and LeRobot's tests of envs import is there."""
    found = lerobot.modules()[module]
    assert [name for name in names.split() if not hasattr(found, name)] == []


def test_constants() -> None:
    """Keys are spelled as in LeRobot's data sets."""
    assert constants.OBS_PREFIX == "observation."
    assert constants.OBS_STATE == "observation.state"
    assert constants.OBS_IMAGES == constants.OBS_IMAGE + "s" == "observation.images"
    assert constants.ACTION == "action"
    assert configs.FeatureType.VISUAL == "VISUAL"


@pytest.mark.parametrize("kind", [AlohaEnv, LiberoEnv, processor.LiberoProcessorStep])
def test_only_in_lerobot(kind: type[OnlyInLeRobot]) -> None:
    """What needs LeRobot itself says so, and how to get it."""
    with pytest.raises(ImportError, match=f"{kind.__name__} needs LeRobot") as caught:
        kind(fps=3)
    assert caught.value.name == "lerobot"
    assert "pip install lerobot" in str(caught.value)


# Configs


def test_choices(cart: type[Cart]) -> None:
    """A registered class is found by its name, and its name by the class."""
    assert EnvConfig.get_choice_class("cart") is cart
    assert EnvConfig.get_known_choices()["cart"] is cart
    EnvConfig.register_subclass("another", HubEnvConfig)
    assert [EnvConfig.get_choice_name(kind) for kind in (cart, HubEnvConfig)] == ["cart", "another"]
    del EnvConfig.get_known_choices()["another"]
    assert EnvConfig.default_choice_name() is None
    assert cart().type == "cart"


def test_newest_choice_wins(cart: type[Cart]) -> None:
    """Another version of a repo can register the same name again."""

    @EnvConfig.register_subclass("cart")
    @dataclass
    class Newer(cart):  # type: ignore[valid-type,misc]  # a fixture's class
        """The same, newer."""

    assert Newer().type == "cart"


def test_unregistered() -> None:
    """A class that was never registered has no type."""
    with pytest.raises(ValueError, match="HubEnvConfig is not registered"):
        _ = HubEnvConfig(hub_path="user/repo").type


def test_defaults(cart: type[Cart]) -> None:
    """The fields and their defaults are LeRobot's."""
    cfg = HubEnvConfig()
    assert (cfg.task, cfg.fps, cfg.features, cfg.features_map) == (None, 30, {}, {})
    assert (cfg.max_parallel_tasks, cfg.disable_env_checker) == (1, True)
    assert (cfg.hub_path, cfg.gym_kwargs) == (None, {})
    assert EnvConfig.package_name.fget(cart()) == "gym_cart"  # type: ignore[attr-defined]  # a property
    assert cart().gym_id == GYM_ID


def test_abstract() -> None:
    """A config without `gym_kwargs` cannot be made."""
    with pytest.raises(TypeError, match="gym_kwargs"):
        EnvConfig()  # type: ignore[abstract]  # on purpose


@pytest.mark.parametrize(
    ("n_envs", "asynchronous", "kind"),
    [
        (2, False, gym.vector.SyncVectorEnv),
        (2, True, gym.vector.AsyncVectorEnv),
        (1, True, gym.vector.SyncVectorEnv),
    ],
)
def test_create_envs(cart: type[Cart], n_envs: int, asynchronous: bool, kind: type[Any]) -> None:
    """A config makes `{type: {0: VectorEnv}}`; one env alone is never asynchronous."""
    env: Any = cart().create_envs(n_envs, asynchronous)["cart"][0]
    assert type(env) is kind
    assert env.num_envs == n_envs
    assert env.metadata["autoreset_mode"] == gym.vector.AutoresetMode.SAME_STEP
    env.reset(seed=0)
    for _ in range(5):
        truncated = env.step(env.action_space.sample())[3]
    assert truncated.all()
    env.close()


def test_package_is_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An id that is not there yet is looked for in the config's package."""
    source = "import gymnasium as gym\n"
    call = f"gym.register('{GYM_ID}', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "envhub_lerobot.py").write_text(source + call)
    monkeypatch.syspath_prepend(tmp_path)
    EnvConfig.register_subclass("cart", Cart)
    envs = Cart().create_envs(1)
    envs["cart"][0].close()
    del registry[GYM_ID], sys.modules["envhub_lerobot"]


def test_package_is_missing() -> None:
    """The message names the package, and so does the error."""
    with pytest.raises(ModuleNotFoundError, match="'envhub_lerobot', which is not installed") as e:
        Cart().create_envs(1)
    assert e.value.name == "envhub_lerobot"


def test_package_without_the_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that registers something else is named."""
    (tmp_path / "envhub_lerobot.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(gym.error.NameNotFound, match="has no env"):
        Cart().create_envs(1)
    del sys.modules["envhub_lerobot"]


# Factory without a hub


def test_make_env_config(cart: type[Cart]) -> None:
    """A config is made by its name and arguments."""
    assert factory.make_env_config("cart", fps=7) == cart(fps=7)


def test_unknown_type() -> None:
    """An unknown name is answered with the known ones."""
    with pytest.raises(ValueError, match="'nonexistent' is not registered; registered: "):
        factory.make_env_config("nonexistent")


def test_make_env(cart: type[Cart]) -> None:
    """A config makes its envs, on its own terms."""
    made = factory.make_env(cart(), n_envs=2)
    assert made["cart"][0].num_envs == 2
    closing.close_envs(made)
    with pytest.raises(ValueError, match="n_envs is 0"):
        factory.make_env(cart(), n_envs=0)


@pytest.mark.parametrize("cfg", ["user/repo", HubEnvConfig(hub_path="user/repo")])
def test_make_env_has_no_hub(cfg: Any) -> None:
    """An env's own process loads no other repo, whatever it consents to."""
    with pytest.raises(RuntimeError, match=r"Refusing to execute remote code.*user/repo"):
        factory.make_env(cfg, trust_remote_code=True)


def test_processors(cart: type[Cart]) -> None:
    """By default nothing happens to observations and actions; a config may say otherwise."""
    before, after = factory.make_env_pre_post_processors(cart(), policy_cfg=None)
    assert len(before.steps) == len(after.steps) == len(before) == 0
    assert before({"a": 1}) == {"a": 1}

    class Own(cart):  # type: ignore[valid-type,misc]  # a fixture's class
        def get_env_processors(self) -> Any:
            step = pipeline.DataProcessorPipeline(steps=[str])
            return step, step

    assert factory.make_env_pre_post_processors(Own(), None)[0](1) == "1"


def test_pipeline_steps() -> None:
    """Steps run in order; an observation step sees nothing but the observation."""

    class Double(pipeline.ObservationProcessorStep):
        resets = 0

        def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
            return {name: 2 * value for name, value in observation.items()}

        def reset(self) -> None:
            self.resets += 1

    step = Double()
    steps = pipeline.DataProcessorPipeline(steps=[step, step, lambda data: data])
    assert steps({"observation": {"x": 1}, "action": 1}) == {"observation": {"x": 4}, "action": 1}
    steps.reset()
    assert step.resets == 2


# In a repo's code

CFG_ENV: Repo = {
    "env.py": "from lerobot.envs.configs import EnvConfig\n"
    "import lerobot.envs.utils\n"
    "import lerobot\n"
    "VERSION = lerobot.__version__\n"
    "CLOSE = lerobot.envs.utils.close_envs\n" + str(COUNTER["env.py"]),
}


def opened(root: Path, repo: Repo) -> repos.Repo:
    place = repos.Place(str(write(repo, root).resolve()), "env.py", "u/r", "model", "hub", "1")
    return repos.open_repo(place)


def test_repo_imports_lerobot(tmp_path: Path) -> None:
    """A repo imports LeRobot's names where LeRobot is not; nobody else sees them."""
    module: Any = load.entry(opened(tmp_path, CFG_ENV))
    assert module.EnvConfig is EnvConfig
    assert module.CLOSE is closing.close_envs
    assert module.VERSION.endswith("+envhub")
    assert "lerobot" not in sys.modules


def test_repo_with_its_own_lerobot(tmp_path: Path) -> None:
    """A repo that brings its own `lerobot` gets that."""
    repo = {"env.py": "from lerobot.mine import X\n", "lerobot/mine.py": "X = 1\n"}
    assert load.entry(opened(tmp_path, repo)).X == 1


def test_real_lerobot_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package `lerobot` is installed, repos get that."""
    write({"lerobot/__init__.py": "__version__ = 'real'\n"}, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    repo = {"env.py": "from lerobot import __version__\n"}
    assert load.entry(opened(tmp_path / "repo", repo)).__version__ == "real"
    del sys.modules["lerobot"]


def test_missing_part_of_lerobot(tmp_path: Path) -> None:
    """A part of LeRobot that nothing stands in for is called by LeRobot's name."""
    with pytest.raises(Fault, match=r"env.py:1 imports lerobot.policies") as caught:
        load.entry(opened(tmp_path, {"env.py": "import lerobot.policies.act\n"}))
    assert caught.value.hint == "pip install lerobot"


def test_exports() -> None:
    """`lerobot.envs` offers exactly what its `__all__` says."""
    assert [name for name in envs.__all__ if not hasattr(envs, name)] == []
