"""The level process: the same envs as inline, elsewhere; errors cross as what they are."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from tests.isolation.conftest import Make, Prepare
from tests.vector.zoo import difference

from envhub import errors
from envhub.isolation import reading
from envhub.isolation.processes import Forked
from envhub.isolation.remote import HostedVectorEnv
from envhub.make import make
from envhub.testing.repos import CARTPOLE, COUNTER, RELATIVE_IMPORT, SINGLE, SUITES, Repo
from envhub.vector import AsyncVectorEnv
from envhub.vector.options import Options

HEAD = "import os, sys\nimport gymnasium as gym\nimport numpy as np\n"


def making(body: str) -> str:
    """An `env.py` whose `make_env` does something."""
    return f"{HEAD}\ndef make_env(n_envs=1, use_async_envs=False):\n    {body}\n"


def trajectory(env: Any, steps: int = 40) -> list[Any]:
    """What a reset and some steps return."""
    env.action_space.seed(3)
    seen: list[Any] = [env.reset(seed=7)]
    return seen + [env.step(env.action_space.sample()) for _ in range(steps)]


@pytest.mark.parametrize("repo", [CARTPOLE, COUNTER, SINGLE, RELATIVE_IMPORT])
@pytest.mark.parametrize(
    ("n_envs", "use_async"),
    [
        pytest.param(1, False, marks=pytest.mark.heavy),
        pytest.param(6, False, marks=pytest.mark.heavy),
        (6, True),
    ],
)
def test_same_as_inline(prepare: Prepare, repo: Repo, n_envs: int, use_async: bool) -> None:
    """The envs are those of `SyncVectorEnv` in the caller's process, bit for bit."""
    source, allowed = prepare(repo)
    inline = make(source, allowed, n_envs=n_envs, isolation="inline")
    options: dict[str, Any] = {"n_envs": n_envs, "use_async_envs": use_async}
    with inline, make(source, allowed, isolation="process", **options) as elsewhere:
        assert isinstance(elsewhere.only, HostedVectorEnv)
        assert elsewhere.only.num_envs == n_envs
        assert elsewhere.only.observation_space == inline.only.observation_space
        assert not difference(trajectory(elsewhere.only), trajectory(inline.only))
        assert len(elsewhere.only.workers) == (min(2, os.cpu_count() or 1) if use_async else 1)


BY_NAME = """
import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

class Own(SyncVectorEnv):
    pass

def make_env(n_envs=1, use_async_envs=False, own=False):
    kind = Own if own else AsyncVectorEnv if use_async_envs else SyncVectorEnv
    return kind([lambda: gym.make("CartPole-v1")] * n_envs)
"""


def test_classes_imported_by_name_are_collected(isolated: Make) -> None:
    """However a repo's module takes Gymnasium's classes, its envs get our workers and options."""
    elsewhere = isolated(BY_NAME, n_envs=4, use_async_envs=True, vector=Options(num_workers=2))
    assert isinstance(elsewhere.only, HostedVectorEnv)
    assert len(elsewhere.only.workers) == 2
    inline = isolated(BY_NAME, n_envs=4, use_async_envs=True, isolation="inline")
    inline.only.reset(seed=0)
    assert isinstance(inline.only, AsyncVectorEnv)
    own = isolated(BY_NAME, n_envs=2, isolation="inline", params={"own": True}).only
    assert type(own).__name__ == "Own"
    assert isinstance(own, gym.vector.SyncVectorEnv)


def test_the_level_is_told(isolated: Make) -> None:
    """The level is on the result and in its repr, and nothing is built for that."""
    envs = isolated(SUITES)
    assert envs.level == "process"
    text = repr(envs)
    assert ", process, sandbox " in text
    assert text.count("built at first use") == 3


def test_tasks_are_lazy(isolated: Make) -> None:
    """Each task has its envs, and only what is used has a process."""
    envs = isolated(SUITES, n_envs=2)
    assert {suite: list(tasks) for suite, tasks in envs.items()} == {"short": [0, 1], "long": [0]}
    env = envs["short"][1]
    env.reset(seed=1)
    ends = [env.step([0, 0])[2].tolist() for _ in range(3)]
    assert ends == [[False, False], [False, False], [True, True]]
    assert "built at first use" in repr(envs)


def test_it_is_another_process(isolated: Make) -> None:
    """The env does not run here, and not with our working folder's parent as its own."""
    env = isolated(making("return gym.make('CartPole-v1')")).only
    (worker,) = env.workers
    assert worker.pid != os.getpid()
    assert Path(f"/proc/{worker.pid}").exists()
    env.close()
    assert not Path(f"/proc/{worker.pid}").exists()


RAISED: list[tuple[str, type[Exception], str]] = [
    ("raise ValueError('no 7')", ValueError, "no 7"),
    ("raise FileNotFoundError(2, 'gone')", FileNotFoundError, "gone"),
    ("open('/nowhere')", FileNotFoundError, "/nowhere"),
    ("b'\\xff'.decode()", errors.EnvRaisedError, "UnicodeDecodeError"),
    ("raise gym.error.NameNotFound('x')", errors.EnvRaisedError, "NameNotFound: x"),
    ("return None", errors.ResultError, "got None"),
    ("import no_such_module", errors.MissingDependencyError, "no_such_module"),
    ("sys.exit(3)", errors.EnvExitError, r"sys.exit\(3\)"),
    ("os._exit(3)", errors.WorkerDiedError, r"died \(exit code 3\) in make_env"),
    ("os.kill(os.getpid(), 11)", errors.WorkerDiedError, "SIGSEGV"),
]


@pytest.mark.parametrize(("body", "kind", "message"), RAISED)
def test_errors_of_make_env(isolated: Make, body: str, kind: type[Exception], message: str) -> None:
    """What `make_env` raises is raised here, as far as it can be had."""
    with pytest.raises(kind, match=message):
        isolated(making(body))


def test_tracebacks_cross(isolated: Make) -> None:
    """An exception has the traceback of where it was raised."""
    with pytest.raises(ValueError, match="no 7") as caught:
        isolated(making("raise ValueError('no 7')"))
    assert any("env.py" in note for note in caught.value.__notes__)


def test_lerobot_stands_in(isolated: Make) -> None:
    """Where LeRobot is not installed, its names that env repos import are there."""
    code = "from lerobot.envs.configs import EnvConfig\nimport lerobot.utils.constants\n"
    envs = isolated(code + making("return gym.make('CartPole-v1')"))
    assert envs.only.reset(seed=1)[0].shape == (1, 4)


def test_arguments_cross(isolated: Make) -> None:
    """Parameters reach `make_env` as they are; what cannot cross is refused before it runs."""
    body = "return gym.make('CartPole-v1', **options)"
    repo = making(body).replace("use_async_envs=False", "use_async_envs=False, **options")
    envs = isolated(repo, params={"sutton_barto_reward": True})
    envs.only.reset(seed=1)
    assert envs.only.step([0])[1] == np.array([0.0])
    with pytest.raises(errors.ArgumentTypeError, match="cannot leave this process"):
        isolated(repo, params={"sutton_barto_reward": print})


PARTS = """
class Engine:
    step_size = 0.5
    mass = np.arange(3.0)
    def scale(self, factor, *, twice=False):
        return self.mass * factor * (2 if twice else 1)
    def itself(self):
        return self

class Env(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"]}
    def __init__(self, index):
        self.index, self.engine, self.render_mode = index, Engine(), "rgb_array"
    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}
    def step(self, action):
        return np.full(2, self.engine.step_size, np.float32), 0.0, False, False, {}
    def render(self):
        return np.full((4, 4, 3), self.index, np.uint8)
    def greet(self, name):
        return f"{name} {self.index}"

def make_env(n_envs=1, use_async_envs=False):
    kind = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return kind([lambda i=i: gym.wrappers.TimeLimit(Env(i), 10) for i in range(n_envs)])
"""


@pytest.mark.parametrize("use_async", [False, True])
def test_parts_of_an_env(isolated: Make, use_async: bool) -> None:
    """Attributes and methods of one env are at hand, and of what is in it, without the object."""
    env = isolated(HEAD + PARTS, n_envs=3, use_async_envs=use_async).only
    one = env.envs[2].unwrapped
    assert one.index == 2
    assert env.envs[1].greet("you") == "you 1"
    assert one.engine.mass.tolist() == [0, 1, 2]
    assert one.engine.scale(2.0, twice=True).tolist() == [0, 4, 8]
    one.engine.step_size = 0.25
    env.reset(seed=1)
    assert env.step([0, 0, 0])[0].tolist() == [[0.5, 0.5], [0.5, 0.5], [0.25, 0.25]]
    assert "env 2 in its own process: env.unwrapped.engine" in repr(one.engine)
    with pytest.raises(TypeError, match=r"engine.itself\(\) returned cannot leave.* Engine"):
        one.engine.itself()
    with pytest.raises(errors.EnvRaisedError, match="no attribute 'nothing'"):
        _ = one.nothing
    assert not hasattr(one, "__array_interface__")


def test_calls(isolated: Make) -> None:
    """`call`, `get_attr`, `set_attr` and `render` are those of a vector env."""
    env = isolated(HEAD + PARTS, n_envs=2).only
    env.reset(seed=1)
    assert env.call("greet", "me") == ("me 0", "me 1")
    assert env.get_attr("index") == (0, 1)
    env.set_attr("index", [5, 6])
    assert [frame[0, 0, 0] for frame in env.render()] == [5, 6]
    with pytest.raises(errors.EnvRaisedError, match="Engine does not cross a trust border"):
        env.get_attr("engine")
    with pytest.raises(ValueError, match="does not cross a trust border"):
        env.set_attr("index", print)
    assert env.get_attr("index") == (5, 6)


LIES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "no tasks": ({"tasks": []}, []),
    "no list": ({"tasks": "abc"}, []),
    "no count": ({"tasks": [{"suite": "a", "task": 0, "num_envs": -1, "kind": "sync"}]}, []),
    "no kind": ({"tasks": [{"suite": "a", "task": 0, "num_envs": 1, "kind": "x"}]}, []),
    "no fault": ({"fault": 3}, []),
    "unknown fault": ({"fault": {"code": "x", "what": "y"}, "traceback": ""}, []),
    "no trouble": ({"raised": {"type": "ValueError"}}, []),
}


@pytest.mark.parametrize(("reply", "fds"), LIES.values(), ids=LIES)
def test_lies_are_errors(reply: dict[str, Any], fds: list[int]) -> None:
    """An answer of a host that is no answer is an error of ours, whatever is in it."""
    with pytest.raises(errors.WorkerProtocolError, match="nonsense"):
        reading.read_tasks(reply)


def test_foreign_processes_are_refused() -> None:
    """A host cannot name a process of the user's for us to kill."""
    zygote = SimpleNamespace(pid=os.getpid())
    parent = os.getppid()
    for inner, fds in ((parent, []), (1, [os.pidfd_open(parent)]), (1, [os.open("/", 0)])):
        with pytest.raises(errors.WorkerProtocolError):
            Forked(zygote, inner, fds)  # type: ignore[arg-type]  # its pid is all that is asked
    for pid in (0, -1, True, "7", None):
        with pytest.raises(errors.WorkerProtocolError):
            reading.read_pid({"pid": pid})
