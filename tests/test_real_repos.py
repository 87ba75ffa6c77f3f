"""The idioms of real env repos, each boiled down to what it demands of a loader."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import envhub
from envhub.testing import ServedHub

make = partial(envhub.make_env, trust_remote_code=True)

ENV = """
import gymnasium as gym
import numpy as np

class Env(gym.Env):
    metadata = {"render_modes": [], "render_fps": 20}
    observation_space = gym.spaces.Dict({"agent_pos": gym.spaces.Box(-9, 9, (1,), np.float32)})
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    task_description = "pick"

    def __init__(self, value=0):
        self.value = float(value)
        self.ready = False

    def initialize(self):
        self.ready = True

    def reset(self, *, seed=None, options=None):
        return {"agent_pos": np.full(1, self.value, np.float32)}, {"is_success": False}

    def step(self, action):
        return self.reset()[0], 1.0, False, False, {"is_success": True}
"""


@pytest.fixture
def same(hub: ServedHub) -> Iterator[ServedHub]:
    """The hub; `sys.path`, top-level modules and ids are the same after the test."""
    paths, ids = list(sys.path), set(gym.registry)
    yield hub
    assert sys.path == paths
    assert set(gym.registry) == ids
    assert not {"errors", "sim", "helper", "env", "wrapper"} & set(sys.modules)


def position(env: Any) -> float:
    return float(env.reset(seed=0)[0]["agent_pos"][0, 0])


ROBOT = """
import sys
from pathlib import Path
from huggingface_hub import snapshot_download

repo_dir = snapshot_download("lab/robot")
sys.path.insert(0, repo_dir)
from sim.simulator_factory import Simulator

def make_env(n_envs=1, use_async_envs=False, **kwargs):
    publish_images = kwargs.get("publish_images", False)

    class Robot(Simulator):
        def step(self, action=None):
            return super().step(action)

    return Robot((Path(repo_dir) / "config.yaml").read_text(), publish_images)
"""
FACTORY = """
from env_base import Env
from sim import parts

class Simulator(Env):
    def __init__(self, config, publish_images):
        super().__init__(float(config.split(":")[1]) + publish_images + parts.NOTHING)
"""


def test_robot_that_downloads_itself(same: ServedHub) -> None:
    """An unpinned download of itself, absolute imports, one env defined inside `make_env`."""
    files = {
        "env.py": ROBOT,
        "env_base.py": ENV,
        "config.yaml": "value: 3",
        "sim/simulator_factory.py": FACTORY,
        "sim/parts.py": "NOTHING = 0",
    }
    same.add("lab/robot", files, tag="v1")
    same.add("lab/robot", {"config.yaml": "value: 8", "sim/parts.py": None})
    with make("lab/robot@v1", publish_images=True) as envs:
        assert list(envs) == ["hub_env"]
        assert position(envs["hub_env"][0]) == 4
        assert envs["hub_env"][0].envs[0].unwrapped.step()[1] == 1


ARENA = """
import importlib.util
import sys
from pathlib import Path
from huggingface_hub import hf_hub_download

HUB_REPO_ID = "lab/arena"

def _fetch(name):
    path = Path(hf_hub_download(HUB_REPO_ID, name + ".py"))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(path.read_text().replace("from .errors import", "from errors import"), module.__dict__)
    return module

try:
    from .errors import ArenaError
    from .wrapper import Wrapper
except ImportError:
    ArenaError = _fetch("errors").ArenaError
    Wrapper = _fetch("wrapper").Wrapper
FETCHED = _fetch("errors"), _fetch("wrapper")

from lerobot.envs.configs import EnvConfig

def make_env(n_envs=1, use_async_envs=False, cfg: EnvConfig = None):
    if cfg is None or not cfg.environment:
        raise ArenaError("No 'environment' specified")
    return {cfg.environment: {0: Wrapper(n_envs)}}
"""
WRAPPER = """
import gymnasium as gym
from .errors import ArenaError

class Wrapper(gym.vector.AsyncVectorEnv):
    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.raised = ArenaError
        self._state = None
        self.closed = False

    def reset(self, *, seed=None, options=None):
        return {"policy": [[5]] * self.num_envs}, {}

    def close(self):
        self.closed = True
"""


def test_arena_that_fetches_its_helpers(same: ServedHub) -> None:
    """Helpers fetched one by one into `sys.modules`, LeRobot's config, a batch of its own."""
    files = {
        "env.py": ARENA,
        "errors.py": "class ArenaError(ValueError): ...",
        "wrapper.py": WRAPPER,
    }
    same.add("lab/arena", files)
    with make("lab/arena", 4, cfg=type("Config", (), {"environment": "gr1"})) as envs:
        assert isinstance(envs["gr1"][0], gym.vector.AsyncVectorEnv)
        assert envs["gr1"][0].reset()[0] == {"policy": [[5]] * 4}
    with pytest.raises(ValueError, match="No 'environment' specified") as caught:
        make("lab/arena")
    assert type(caught.value).__name__ == "ArenaError"


SHIM = """
import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from ..common.base import Env

TASK = {task!r}

def make_env(n_envs=1, use_async_envs=False, cfg=None, **overrides):
    kind = AsyncVectorEnv if use_async_envs else SyncVectorEnv
    fns = [lambda: Env(len(TASK)) for _ in range(n_envs)]
    return {{"nexus": {{TASK: kind(fns, autoreset_mode=AutoresetMode.SAME_STEP)}}}}
"""


@pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])
def test_many_entries_with_names_that_are_none(same: ServedHub, use_async: bool) -> None:
    """A file per task, called `PickLift-v1.py`; string task ids; SAME_STEP; shared helpers."""
    tasks = ["PickLift-v1", "Reach-v1.0", "Stack-v2"]
    entries = {f"envs/{task}.py": SHIM.format(task=task) for task in tasks}
    same.add("lab/nexus", {**entries, "common/base.py": ENV})
    for task in tasks:
        with make(f"lab/nexus:envs/{task}.py", 2, use_async) as envs:
            assert position(envs["nexus"][task]) == len(task)
            mode = envs["nexus"][task].metadata["autoreset_mode"]
            assert mode is gym.vector.AutoresetMode.SAME_STEP


ASSETS = """
from pathlib import Path
from .base import Env

LEG = Path(__file__).resolve().parent.parent / "assets" / "leg.xml"

def make_env(n_envs=1, use_async_envs=False):
    import gymnasium as gym
    gym.register("Leggy-v0", entry_point="base:Env", kwargs={"value": LEG.read_text()})
    made = gym.make_vec("Leggy-v0", n_envs, "async" if use_async_envs else "sync")
    del gym.registry["Leggy-v0"]
    return made
"""


@pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])
def test_assets_and_entry_points_by_bare_name(same: ServedHub, use_async: bool) -> None:
    """Assets beside the code, and a string entry point that names a sibling by its bare name."""
    files = {"envs/leggy.py": ASSETS, "envs/base.py": ENV, "assets/leg.xml": "7"}
    same.add("lab/leggy", files)
    with make("lab/leggy:envs/leggy.py", 2, use_async) as envs:
        assert position(envs.only) == 7


DUCK = """
from .base import Env
import numpy as np

class Duck:
    num_envs = 1

    def __init__(self):
        self.env = Env(2)
        self.envs = [self.env]

    def reset(self, seed=None, options=None):
        return {"agent_pos": self.env.reset()[0]["agent_pos"][None]}, {}

    def step(self, action):
        raise NotImplementedError

def make_env(n_envs, use_async_envs):
    return {"arm": {0: Duck()}}
"""


def test_duck_with_methods_of_its_own(same: ServedHub) -> None:
    """Not a `VectorEnv` at all, and to be initialised by a method of its own."""
    same.add("lab/arm", {"env.py": DUCK, "base.py": ENV})
    with make("lab/arm") as envs:
        env = envs["arm"][0]
        env.envs[0].unwrapped.initialize()
        assert env.envs[0].ready
        assert position(env) == 2


COMPOSED = """
import envhub
import gymnasium as gym

class Doubled(gym.vector.VectorObservationWrapper):
    def observations(self, observation):
        return {key: 2 * value for key, value in observation.items()}

def make_env(n_envs=1, use_async_envs=False, base="lab/base"):
    envs = envhub.make_env(base, n_envs, use_async_envs, trust_remote_code=True)
    return {"doubled": {0: Doubled(envs.only)}}
"""


def test_env_upon_another_repo(same: ServedHub) -> None:
    """A repo that loads another repo and wraps what it gives."""
    vector = "\ndef make_env(n_envs=1, use_async_envs=False):\n    return Env(4)\n"
    same.add("lab/base", {"env.py": ENV + vector})
    same.add("lab/composed", {"env.py": COMPOSED})
    with make("lab/composed", 3) as envs:
        env = envs.only
        assert position(env) == 8
        assert env.num_envs == 3
        assert env.unwrapped.call("task_description") == ("pick",) * 3


def test_local_clone(tmp_path: Path, same: ServedHub) -> None:
    """A folder on disk loads like the repo that it is a clone of, also by a relative path."""
    folder = tmp_path / "my env"
    folder.mkdir()
    (folder / "env.py").write_text(
        "from base import Env\ndef make_env(n_envs, use_async_envs):\n    return Env(6)"
    )
    (folder / "base.py").write_text(ENV)
    for ref in (str(folder), f"{folder}/env.py", f"{folder}:env.py"):
        with make(ref, 2) as envs:
            assert position(envs.only) == 6
