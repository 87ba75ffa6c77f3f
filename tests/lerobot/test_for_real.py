"""With LeRobot 0.6.1 itself, under a Python of its own.

`ENVHUB_LEROBOT_PYTHON` names a Python that has `lerobot[dataset]==0.6.1`; without it one is set up
where Python 3.12 and CPU builds of torch can be had. `ENVHUB_LEROBOT_TESTS` names a checkout of
LeRobot whose own tests of envs are run too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envhub.testing import OwnHub, ServedHub, repos

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PAGE = (Path(__file__).parent / "page.txt").read_text().split("```")[1].partition("\n")[2]
"""The first block of LeRobot's page."""
LEROBOT = "lerobot[dataset]==0.6.1"
TORCH = "torch==2.13.0"
OURS = ["cloudpickle", "msgspec", "platformdirs", "tomli-w"]
"""What envhub needs and LeRobot does not bring."""

Run = Callable[..., subprocess.CompletedProcess[str]]

ROBOT: repos.Repo = {
    "env.py": """
import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from lerobot.envs.configs import EnvConfig


class Robot(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = Dict({"agent_pos": Box(-9, 9, (4,)), "environment_state": Box(-9, 9, (5,))})
    action_space = Box(-1, 1, (2,), np.float32)
    render_mode = "rgb_array"
    task_description = task = "stand still"
    _max_episode_steps = 6
    time = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.time = 0
        return self.observation_space.sample(), {"is_success": False}

    def step(self, action):
        self.time += 1
        done = self.time >= self._max_episode_steps
        return self.observation_space.sample(), 1.0, done, False, {"is_success": done}

    def render(self):
        return np.zeros((64, 64, 3), np.uint8)


def make_env(n_envs=1, use_async_envs=False, cfg=None):
    assert isinstance(cfg, EnvConfig)
    return gym.vector.SyncVectorEnv([Robot for _ in range(n_envs)])
"""
}

POLICY = """
import sys
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.factory import make_policy, make_pre_post_processors, get_policy_class

shapes = {"observation.state": ("STATE", 4), "observation.environment_state": ("ENV", 5)}
features = {
    name: PolicyFeature(type=FeatureType[kind], shape=(size,))
    for name, (kind, size) in shapes.items()
}
action = {"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))}
config = ACTConfig(
    device="cpu", input_features=features, output_features=action, chunk_size=2, n_action_steps=1,
    dim_model=16, n_heads=2, dim_feedforward=16, n_encoder_layers=1, use_vae=False,
    pretrained_backbone_weights=None,
)
get_policy_class("act")(config).save_pretrained(sys.argv[1])
for processor in make_pre_post_processors(config):
    processor.save_pretrained(sys.argv[1])
"""


@pytest.fixture(scope="session")
def uv() -> str:
    """The uv program."""
    return shutil.which("uv") or pytest.skip("uv is not on the path")


@pytest.fixture(scope="session")
def python(uv: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has LeRobot."""
    if given := os.environ.get("ENVHUB_LEROBOT_PYTHON"):
        return given
    folder = tmp_path_factory.mktemp("lerobot")
    overrides = folder / "overrides.txt"
    overrides.write_text(f"{TORCH}\ntorchvision\n")
    interpreter = str(folder / "venv" / "bin" / "python")
    wanted = [LEROBOT, TORCH, "--override", str(overrides), "--torch-backend", "cpu"]
    for words in (
        ["venv", "-p", "3.12", str(folder / "venv")],
        ["pip", "install", "-q", "--python", interpreter, *wanted],
    ):
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no LeRobot here: {done.stderr.strip().splitlines()[0]}")
    return interpreter


@pytest.fixture(scope="session")
def site(uv: str, python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our two distributions, as they would be installed beside LeRobot."""
    wheels = tmp_path_factory.mktemp("wheels")
    folder = tmp_path_factory.mktemp("site")
    for project in (ROOT, ROOT / "plugins" / "lerobot"):
        subprocess.run([uv, "build", "-q", "--wheel", "-o", str(wheels), str(project)], check=True)
    into = ["--python", python, "--target", str(folder), "--no-deps"]
    built = [str(wheel) for wheel in wheels.glob("*.whl")]
    subprocess.run([uv, "pip", "install", "-q", *into, *built, *OURS], check=True)
    return folder


@pytest.fixture
def run(python: str, site: Path, tmp_path: Path, hub: ServedHub) -> Run:
    """Run a program of that Python's, with the hub at hand."""

    def run(*words: str, path: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [python, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{path}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def test_discovery(run: Run) -> None:
    """LeRobot's own plugin discovery finds us."""
    code = (
        "from lerobot.utils.import_utils import register_third_party_plugins as register\n"
        "from lerobot.envs.configs import EnvConfig\n"
        "register(); print(EnvConfig.get_choice_class('envhub').__name__)"
    )
    assert run("-c", code).stdout == "EnvHubConfig\n"


def test_make_env(run: Run, hub: ServedHub) -> None:
    """LeRobot's `make_env` makes our config's envs, and its policies know what they will see."""
    hub.add("u/robot", ROBOT, tag="v1")
    code = """
import lerobot_env_envhub
from lerobot.envs import env_to_policy_features, make_env, make_env_config, preprocess_observation
cfg = make_env_config("envhub", ref="u/robot@v1", trust_remote_code=True)
env = make_env(cfg, n_envs=2)["hub_env"][0]
observation, _ = env.reset(seed=0)
print(sorted(preprocess_observation(observation)), env.step(env.action_space.sample())[1])
print(sorted((name, f.type.value, f.shape) for name, f in env_to_policy_features(cfg).items()))
"""
    assert run("-c", code).stdout.splitlines() == [
        "['observation.environment_state', 'observation.state'] [1. 1.]",
        "[('action', 'ACTION', (2,)), ('observation.environment_state', 'ENV', (5,)), "
        "('observation.state', 'STATE', (4,))]",
    ]


@pytest.mark.parametrize(
    "more", [(), ("--env.discover_packages_path=lerobot_env_envhub",)], ids=["found", "named"]
)
def test_eval(run: Run, hub: ServedHub, tmp_path: Path, more: tuple[str, ...]) -> None:
    """`lerobot-eval --env.type=envhub --env.ref=…` evaluates a policy on an env repo."""
    hub.add("u/robot", ROBOT)
    run("-c", POLICY, str(tmp_path / "policy"))
    options = {
        "policy.path": tmp_path / "policy",
        "policy.device": "cpu",
        "env.type": "envhub",
        "env.ref": "u/robot@main",
        "env.trust_remote_code": "true",
        "eval.batch_size": 2,
        "eval.n_episodes": 4,
        "output_dir": tmp_path / "out",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    run("-m", "lerobot.scripts.lerobot_eval", *words, *more)
    info: dict[str, Any] = json.loads((tmp_path / "out" / "eval_info.json").read_text())
    assert info["overall"]["n_episodes"] == 4
    assert info["overall"]["pc_success"] == 100


def test_install(run: Run, hub: ServedHub) -> None:
    """`install` replaces LeRobot's hub functions wherever they are; the page's example runs."""
    hub.add("lerobot/cartpole-env", repos.CARTPOLE)
    code = f"""
import lerobot.scripts.lerobot_eval as script
from lerobot.envs import make_env as before
from envhub.adapters import lerobot as ours
ours.install()
import lerobot.envs.factory, lerobot.envs.utils
assert script.make_env is lerobot.envs.make_env is lerobot.envs.factory.make_env is ours.make_env
assert lerobot.envs.utils._call_make_env is ours._call_make_env
assert lerobot.__version__ == "0.6.1", lerobot.__version__
made = before("lerobot/cartpole-env", n_envs=3, trust_remote_code=True)
print(made["hub_env"][0].num_envs)
{PAGE}
print(type(env).__name__, env["hub_env"][0].num_envs, env.pin.commit[:1] != "")
ours.uninstall()
assert lerobot.envs.make_env is before
"""
    assert run("-c", code).stdout == "3\nEnvDict 1 True\n"


UNMODIFIED = """
import sys
from lerobot.envs import make_env
assert "envhub" not in sys.modules
made = make_env("lab/arms@v1.0:tasks/push.py", n_envs=2, trust_remote_code=True)
env = made["hub_env"][0]
observation, _ = env.reset(seed=3)
print(env.num_envs, observation.tolist(), env.step(env.action_space.sample())[0].tolist())
"""


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_unmodified(python: str, tmp_path: Path, envhub_hub: OwnHub, private: bool) -> None:
    """LeRobot by itself loads `owner/repo@tag:path.py` from a hub of one's own, given its address.

    A private repo needs a token of somebody who may read it, and nothing else.
    """
    files = {f"tasks/{path.replace('env', 'push')}": text for path, text in repos.COUNTER.items()}
    envhub_hub.add("lab/arms", files, tag="v1.0", private=private)
    envhub_hub.add("lab/arms", {"tasks/push.py": "raise SystemExit('a later commit')"})

    def load(user: str) -> subprocess.CompletedProcess[str]:
        own = {"HF_HUB_CACHE": str(tmp_path / user), "HF_TOKEN": envhub_hub.token_of(user)}
        words = [python, "-c", UNMODIFIED]
        return subprocess.run(
            words, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )

    done = load("lab")
    assert done.stdout == "2 [[0, 3], [0, 4]] [[1, 3], [1, 4]]\n", done.stderr
    refused = load("eve")
    assert (refused.returncode != 0) == private
    assert ("RepositoryNotFoundError" in refused.stderr) == private


def test_upstream(run: Run, tmp_path: Path) -> None:
    """LeRobot's own tests of envs pass with our functions in it."""
    checkout = os.environ.get("ENVHUB_LEROBOT_TESTS")
    if checkout is None:
        pytest.skip("ENVHUB_LEROBOT_TESTS names no checkout of LeRobot")
    (tmp_path / "ours.py").write_text(
        "import pytest\n"
        "from envhub.adapters import lerobot\n"
        "from envhub.testing import repos\n"
        "lerobot.install()\n\n"
        "@pytest.fixture(autouse=True)\n"
        "def filled(hub):\n"
        "    hub.add('lerobot/cartpole-env', repos.CARTPOLE)\n"
    )
    names = ("test_envs", "test_dispatch", "test_freeze_after_episode_end")
    files = [str(Path(checkout, "tests", "envs", f"{name}.py")) for name in names]
    options = ["-q", "-p", "ours", "--noconftest", "-p", "no:cacheprovider", "-c", os.devnull]
    path = f"{tmp_path}{os.pathsep}{checkout}"
    done = run("-m", "pytest", *options, "--rootdir", checkout, *files, path=path)
    assert "27 passed" in done.stdout
