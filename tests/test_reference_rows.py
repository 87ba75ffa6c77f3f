"""What env repos do and the reference implementation fails at: how files are loaded.

Each test is named after its row of the list of verified defects: B provenance, C files, D imports.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import typing
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import envhub
from envhub.errors import (
    EntryNotFoundError,
    EnvExitError,
    MissingDependencyError,
    PythonVersionError,
)
from envhub.testing import ServedHub
from envhub.worker import repos

make = partial(envhub.make_env, trust_remote_code=True)
contexts = pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])

ENV = """
from __future__ import annotations
import gymnasium as gym
import numpy as np

class Env(gym.Env):
    observation_space = gym.spaces.Box(-1, 99, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    value = 0

    def reset(self, *, seed=None, options=None):
        return np.full(1, self.value, np.float32), {}

    def step(self, action):
        return np.full(1, self.value, np.float32), 1.0, False, False, {}
"""
MAKE = """
def make_env(n_envs=1, use_async_envs=False, context=None):
    if use_async_envs:
        return gym.vector.AsyncVectorEnv([Env for _ in range(n_envs)], context=context)
    return gym.vector.SyncVectorEnv([Env for _ in range(n_envs)])
"""
BASIC = ENV + MAKE
SHOW = BASIC + "\nEnv.value = int(VALUE)\n"


def value(ref: str, **options: Any) -> float:
    """What the env of a repo shows."""
    with make(ref, **options) as envs:
        return float(envs.only.reset(seed=0)[0][0, 0])


READS = "from pathlib import Path\nFILE = Path(__file__){}.parent / 'configs' / 'task.txt'\n"
FILES: dict[str, dict[str, str]] = {
    "C1 sibling": {"env.py": "from helpers import VALUE\n" + SHOW, "helpers.py": "VALUE = 7"},
    "C2 relative": {"env.py": "from .helpers import VALUE\n" + SHOW, "helpers.py": "VALUE = 7"},
    "C3 asset": {
        "env.py": READS.format("") + "VALUE = FILE.read_text()\n" + SHOW,
        "configs/task.txt": "7",
    },
    "C4 resolved": {
        "env.py": READS.format(".resolve()") + "VALUE = FILE.read_text()\n" + SHOW,
        "configs/task.txt": "7",
    },
}
ANNOTATIONS = "from __future__ import annotations\n"


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_c1_to_c4_files_beside_the_entry(hub: ServedHub, files: dict[str, str]) -> None:
    """Siblings and assets are there: all files of the commit, real ones, where they belong."""
    head = {path: text.replace(ANNOTATIONS, "") for path, text in files.items()}
    hub.add("u/r", head)
    assert value("u/r") == 7


UNITREE = """
import sys
from pathlib import Path
from huggingface_hub import snapshot_download
sys.path.insert(0, str(Path(snapshot_download("u/uni"))))
sys.path.insert(0, str(Path(__file__).parent / "sim"))
from sim_x import VALUE
"""


@pytest.mark.parametrize("cache", [None, "elsewhere"], ids=["C5", "C6 own cache folder"])
def test_c5_c6_unpinned_download_of_the_own_repo(
    hub: ServedHub, tmp_path: Path, cache: str | None
) -> None:
    """A repo that downloads itself without a revision gets the commit that was asked for."""
    env = UNITREE + SHOW.replace(ANNOTATIONS, "")
    hub.add("u/uni", {"env.py": env, "sim/sim_x.py": "VALUE = 1"}, tag="v1")
    hub.add("u/uni", {"sim/sim_x.py": None, "sim/sim_y.py": "VALUE = 2"})
    before = list(sys.path)
    assert value("u/uni@v1", cache=tmp_path / cache if cache else None) == 1
    assert sys.path == before


def test_c7_typing_error_costs_nothing(hub: ServedHub) -> None:
    """A misspelt file is answered from the list of files, before any download."""
    assets = {f"assets/{n}.bin": str(n) for n in range(50)}
    hub.add("u/big", {"env.py": BASIC, **assets})
    with pytest.raises(EntryNotFoundError, match=r"env\.py"):
        make("u/big:envv.py")
    assert not [request for request in hub.requests if "assets" in request.path]


REQUIREMENTS = "# what it needs\ndefinitely_missing_pkg>=3\nnumpy  # any\n"


@pytest.mark.parametrize(
    "env",
    [
        "import definitely_missing_pkg\n" + BASIC.replace(ANNOTATIONS, ""),
        ENV + "def make_env(n_envs=1, use_async_envs=False):\n import definitely_missing_pkg",
        ENV
        + "def one():\n import definitely_missing_pkg\n"
        + "def make_env(n_envs=1, use_async_envs=False):\n"
        + " return gym.vector.SyncVectorEnv([one] * n_envs)",
    ],
    ids=["C8 at import", "C9 in make_env", "C9 in a factory"],
)
def test_c8_c9_missing_dependency(hub: ServedHub, env: str) -> None:
    """A missing package is named, with the repo's requirements and the line that installs them."""
    hub.add("u/r", {"env.py": env, "requirements.txt": REQUIREMENTS})
    with pytest.raises(ModuleNotFoundError) as caught:
        make("u/r")
    error = caught.value
    assert isinstance(error, MissingDependencyError)
    assert error.name == "definitely_missing_pkg"
    assert "requirements.txt" in error.why
    assert error.hint == "pip install 'definitely_missing_pkg>=3' numpy"
    assert isinstance(error.__cause__, ModuleNotFoundError)


def test_d1_dataclasses(hub: ServedHub) -> None:
    """Dataclasses with postponed annotations work."""
    config = "from dataclasses import dataclass\n@dataclass\nclass Cfg:\n    n: int = 3\n"
    hub.add("u/r", {"env.py": BASIC + config + "Env.value = Cfg().n"})
    assert value("u/r") == 3


REGISTERED = (
    ENV
    + 'gym.register("Hubby-v0", entry_point=f"{__name__}:Env", max_episode_steps=9)\n'
    + MAKE.replace("[Env for", '[lambda: gym.make("Hubby-v0") for')
)


@pytest.fixture
def _ids() -> typing.Iterator[None]:
    before = dict(gym.registry)
    yield
    gym.registry.clear()
    gym.registry.update(before)


@pytest.mark.usefixtures("_ids")
@contexts
def test_d2_registered_ids(hub: ServedHub, context: str) -> None:
    """An id that a repo registers works in the user's program and in every worker."""
    hub.add("u/r", {"env.py": REGISTERED})
    assert value("u/r", n_envs=2, use_async_envs=True, context=context) == 0
    env = gym.make("Hubby-v0")
    assert env.spec is not None
    assert env.spec.max_episode_steps == 9


INFO = """
import enum
class Phase(enum.Enum):
    REACH = 1

class Told(Env):
    def reset(self, *, seed=None, options=None):
        return super().reset()[0], {"phase": Phase.REACH, "by": Told}
"""


@contexts
def test_d3_own_classes_in_info(hub: ServedHub, context: str) -> None:
    """Own enums and classes in `info` come back from workers as themselves."""
    hub.add("u/r", {"env.py": ENV + INFO + MAKE.replace("[Env", "[Told")})
    with make("u/r", 2, True, context=context) as envs:
        _, info = envs.only.reset(seed=0)
    assert info["phase"][0] is info["phase"][1]
    assert info["phase"][0].name == "REACH"
    assert info["by"][0].__name__ == "Told"


SPAWNS = """
import multiprocessing

def work(queue):
    queue.put(Env.value + 4)

def make_env(n_envs=1, use_async_envs=False, context="spawn"):
    mp = multiprocessing.get_context(context)
    queue = mp.Queue()
    process = mp.Process(target=work, args=(queue,))
    process.start()
    Env.value = queue.get(timeout=60)
    process.join()
    return Env()
"""


@contexts
def test_d4_own_processes(hub: ServedHub, context: str) -> None:
    """A repo can start a process on a function of its own."""
    hub.add("u/r", {"env.py": ENV + SPAWNS})
    assert value("u/r", context=context) == 4


def test_d5_pickles_and_type_hints(hub: ServedHub) -> None:
    """Classes of a repo can be pickled, and their annotations read."""
    hub.add("u/r", {"env.py": BASIC + "class K:\n    env: Env\n"})
    with make("u/r") as envs:
        env = envs.only.envs[0]
        assert pickle.loads(pickle.dumps(type(env))) is type(env)
        hints = typing.get_type_hints(sys.modules[type(env).__module__].K)
        assert hints == {"env": type(env)}


@contexts
def test_d6_own_classes_in_workers(hub: ServedHub, context: str) -> None:
    """An env class of the repo's own runs in workers, however these are started."""
    hub.add("u/r", {"env.py": BASIC})
    with make("u/r", 2, True, context=context) as envs:
        assert isinstance(envs.only, gym.vector.AsyncVectorEnv)
        envs.only.reset(seed=0)
        assert envs.only.step(np.zeros(2, int))[1].tolist() == [1.0, 1.0]


def test_d7_same_commit_loads_once(hub: ServedHub) -> None:
    """Loading a commit again gives the same classes; its side effects happen once."""
    hub.add(
        "u/r",
        {"env.py": BASIC + "\nimport os\nos.environ['LOADS'] = os.environ.get('LOADS', '') + 'x'"},
    )
    with make("u/r") as one, make("u/r") as two:
        assert type(one.only.envs[0]) is type(two.only.envs[0])
    assert os.environ.pop("LOADS") == "x"


TWO = """
gym.register("Two-v0", entry_point=f"{__name__}:Env")
def make_env(n_envs=1, use_async_envs=False):
    one = lambda: gym.make("Two-v0")
    return {"s": {n: gym.vector.SyncVectorEnv([one]) for n in range(2)}}
"""


@pytest.mark.usefixtures("_ids")
def test_d8_two_versions_register_one_id(hub: ServedHub) -> None:
    """Two commits that register one id each make their own env, also after the other's load."""
    for version in (1, 2):
        env = ENV.replace("value = 0", f"value = {version}")
        hub.add("u/r", {"env.py": env + TWO}, tag=f"v{version}")
    one, two = make("u/r@v1"), make("u/r@v2")
    shown = [envs["s"][0].reset()[0][0, 0] for envs in (one, two, one)]
    shown += [envs["s"][1].reset()[0][0, 0] for envs in (two, one)]
    assert shown == [1, 2, 1, 2, 1]
    assert gym.make("Two-v0").unwrapped.value == 2  # type: ignore[attr-defined]  # of the repo
    one.close()
    two.close()


def test_d9_equally_named_siblings(hub: ServedHub) -> None:
    """Two repos with a `sim_utils.py` each get their own, and nothing stays on `sys.path`."""
    head = "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\n"
    env = head + "from sim_utils import VALUE\n" + SHOW.replace(ANNOTATIONS, "")
    before = list(sys.path)
    for number in (1, 2):
        hub.add(f"u/r{number}", {"env.py": env, "sim_utils.py": f"VALUE = {number}"})
    assert [value("u/r1"), value("u/r2"), value("u/r1")] == [1, 2, 1]
    assert sys.path == before
    assert "sim_utils" not in sys.modules


def test_d10_names_are_unique(hub: ServedHub) -> None:
    """No two repos, commits or files share a module name."""
    for repo in ("a-b/c", "a/b-c"):
        hub.add(repo, {"env.py": BASIC, "a.py": BASIC, "b.py": BASIC})
    refs = ["a-b/c", "a/b-c", "a/b-c:a.py", "a/b-c:b.py"]
    names = set()
    for ref in refs:
        with make(ref) as envs:
            names.add(type(envs.only.envs[0]).__module__)
    assert len(names) == len(refs)
    assert all(name.startswith(repos.PREFIX) for name in names)


SECRET = "import os\nEnv.value = int('HF_TOKEN' in os.environ)\n"
LEAKS = "import signal, sys\nsys.argv[1:] = ['x']\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


def test_b3_secrets(hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The env's code does not see the user's tokens."""
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hub.add("u/r", {"env.py": BASIC + SECRET})
    assert value("u/r", isolation="process") == 0


def test_d11_process_wide_settings(hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the env's code does to its process is not done to the user's."""
    handler, arguments = signal.getsignal(signal.SIGINT), list(sys.argv)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    hub.add("u/r", {"env.py": BASIC + LEAKS})
    value("u/r", isolation="process")
    now = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, handler)
    assert (now, sys.argv) == (handler, arguments)


@pytest.mark.parametrize("where", ["at import", "in make_env"])
def test_d12_exit(hub: ServedHub, where: str) -> None:
    """`sys.exit` in a repo ends the load, not the program."""
    leave = "import sys\nsys.exit(3)\n"
    body = "def make_env(n_envs=1, use_async_envs=False):\n    import sys\n    sys.exit(3)"
    hub.add("u/r", {"env.py": leave if where == "at import" else body})
    with pytest.raises(EnvExitError, match=r"env\.py:\d called sys\.exit\(3\)"):
        make("u/r")


def test_d13_newer_syntax(hub: ServedHub) -> None:
    """A file in the syntax of a newer Python says which one it needs."""
    # Newer than any Python that runs this.
    hub.add("u/r", {"env.py": "lazy import json\n"})
    with pytest.raises(PythonVersionError, match=r"env\.py:1 needs Python ≥ 3\.15"):
        make("u/r")


NVIDIA = """
try:
    from .errors import VALUE
except ImportError:
    from pathlib import Path
    from huggingface_hub import hf_hub_download
    namespace = {{}}
    exec(Path(hf_hub_download("{repo}", "errors.py")).read_text(), namespace)
    VALUE = namespace["VALUE"]
"""
DOWNLOADS = """
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download
import huggingface_hub.file_download as other
texts = [Path(get("nv/arena", "errors.py")).read_text() for get in (
    hf_hub_download, HfApi().hf_hub_download, other.hf_hub_download)]
assert len(set(texts)) == 1, texts
VALUE = texts[0].rpartition("=")[2]
"""


@pytest.mark.parametrize(
    "idiom", [NVIDIA.format(repo="nv/arena"), DOWNLOADS], ids=["import", "all"]
)
def test_b6_downloads_follow_the_pin(hub: ServedHub, idiom: str) -> None:
    """A repo that fetches its own helper gets that of the pinned commit, not that of main."""
    env = idiom + SHOW.replace(ANNOTATIONS, "")
    hub.add("nv/arena", {"env.py": env, "errors.py": "VALUE = 1"}, tag="v1")
    hub.add("nv/arena", {"errors.py": "VALUE = 2"})
    assert [value("nv/arena@v1"), value("nv/arena")] == [1, 2]


def test_b7_fork_uses_its_own_files(hub: ServedHub) -> None:
    """A fork that still names the original gets its own helper."""
    env = NVIDIA.format(repo="nv/arena") + SHOW.replace(ANNOTATIONS, "")
    hub.add("nv/arena", {"env.py": env, "errors.py": "VALUE = 1"})
    hub.add("me/fork", {"env.py": env, "errors.py": "VALUE = 3"})
    assert value("me/fork") == 3
