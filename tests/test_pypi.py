"""`pypi:` refs: a version of a package is a repo, whose tasks are the ids that it registers."""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from envhub.client import Client
from envhub.envdict import EnvDict
from envhub.errors import (
    EnvHubError,
    HubUnreachableError,
    InstallError,
    OfflineError,
    RefError,
    RepoNotFoundError,
    RevisionNotFoundError,
    UntrustedError,
)
from envhub.hubs.pypi import _TEMPLATE, PackageIndex
from envhub.refs import parse
from envhub.testing.packages import only, sdist, wheel
from envhub.uvprogram import Uv

ENV = """
import gymnasium as gym
import numpy as np

class Env(gym.Env):
    metadata = {"render_modes": ["rgb_array"]}
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, size=2, render_mode=None):
        self.size, self.render_mode = size, render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.random(2, np.float32), {}

    def step(self, action):
        return self.np_random.random(2, np.float32), float(action), False, False, {}

    def render(self):
        return np.zeros((4, 4, 3), np.uint8)
"""
REGISTER = """
from gymnasium import register
for name in ("Toy-v0", "Toy-v2", "Toy-v10", "Other-v1", "space/Toy-v3"):
    register(name, entry_point="toys.envs:Env", max_episode_steps=7)
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only packages there are: two versions of `toys`, and some that are made differently."""
    folder = only(monkeypatch, tmp_path / "packages")
    for version in ("1.0", "1.2", "2.0rc1"):
        wheel(folder, "toys", version)
    wheel(folder, "old", tag="cp39-none-any")
    wheel(folder, "modern", python=">=3.13")
    sdist(folder, "source-only")
    return folder


@pytest.fixture
def index(packages: Path, tmp_path: Path) -> PackageIndex:
    return PackageIndex(Uv(tmp_path / "home"))


@pytest.mark.parametrize(
    ("ref", "repo", "version"),
    [
        ("pypi:toys", "toys", "1.2"),
        ("pypi:Toys==1.0#Any-v0", "toys", "1.0"),
        ("pypi:toys<1.2", "toys", "1.0"),
        ("pypi:toys==1.*", "toys", "1.2"),
        ("pypi:toys==2.0rc1", "toys", "2.0rc1"),
        ("pypi:toys==1", "toys", "1"),
        ("pypi:toys[B_b,a]", "toys[a,b-b]", "1.2"),
        ("pypi:old", "old", "1.0"),
        ("pypi:modern", "modern", "1.0"),
        ("pypi:source-only==1.0", "source-only", "1.0"),
    ],
)
def test_a_ref_means_one_version(index: PackageIndex, ref: str, repo: str, version: str) -> None:
    """The newest that fits, for this Python or else for another one; what is typed is taken."""
    commit = index.resolve(parse(ref))
    assert (commit.hub, commit.repo, commit.repo_type, commit.id) == (
        "pypi",
        repo,
        "package",
        version,
    )


@pytest.mark.parametrize(
    ("ref", "error", "part"),
    [
        ("pypi:toyz", RepoNotFoundError, "no package index has 'toyz'"),
        ("pypi:toys==9", RevisionNotFoundError, "toys has no version 9"),
        ("pypi:toys>3", RevisionNotFoundError, "toys has no version >3"),
        ("pypi:source-only", InstallError, "allow_build=['source-only']"),
        ("pypi:toys==nonsense", RefError, "names no package"),
    ],
)
def test_what_there_is_not(
    index: PackageIndex, ref: str, error: type[EnvHubError], part: str
) -> None:
    """Each refusal says what is missing, and what would help."""
    with pytest.raises(error) as caught:
        index.resolve(parse(ref))
    assert part in str(caught.value)


def test_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that cannot be reached, and one that must not be asked."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(HubUnreachableError, match="gives no answer"):
        PackageIndex(Uv(tmp_path)).resolve(parse("pypi:toys"))
    with pytest.raises(OfflineError, match="never resolved"):
        PackageIndex(Uv(tmp_path, offline=True)).resolve(parse("pypi:toys"))


def test_the_repo_of_a_version(index: PackageIndex, tmp_path: Path) -> None:
    """Two files: the version as a requirement, and code that is the same for all packages.

    Its bytes are pinned by the locks of users, so a change to it must be worth their trouble.
    """
    ref = parse("pypi:toys==1.0#Toy-v0")
    commit = index.resolve(ref)
    files = index.files(ref, commit)
    index.download(ref, commit, files, tmp_path, lambda _size: None)
    assert (tmp_path / "requirements.txt").read_text() == "toys==1.0\ngymnasium\n"
    assert sorted(file.path for file in files) == ["env.py", "requirements.txt"]
    assert index.date(ref, commit) is None
    other = parse("pypi:toys==1.0#Other-v1")
    assert index.files(other, index.resolve(other)) == files


@pytest.fixture
def client(packages: Path, tmp_path: Path) -> Client:
    return Client(cache=tmp_path / "home", lock=tmp_path / "envhub.lock")


def test_pin_and_lock(client: Client, packages: Path, tmp_path: Path) -> None:
    """The pin names the version; a lock keeps it when there is a newer one, also offline."""
    pin = client.resolve("pypi:toys#Toy-v0")
    assert (pin.repo, pin.commit, pin.path) == ("toys", "1.2", "env.py")
    assert pin.pinned_ref == "pypi:toys==1.2#Toy-v0"
    assert client.resolve(pin.pinned_ref).digest == pin.digest
    assert client.fetch(pin).entry.is_file()
    offline = Client(cache=tmp_path / "home", offline=True, lock=False)
    assert offline.resolve("pypi:toys") == client.resolve("pypi:toys")
    assert offline.fetch(pin).root == client.fetch(pin).root
    client.lock(["pypi:toys#Toy-v0"])
    wheel(packages, "toys", "1.3")
    assert client.resolve("pypi:toys#Toy-v0") == pin
    assert client.resolve("pypi:toys").commit == "1.3"
    assert 'commit = "1.2"' in (tmp_path / "envhub.lock").read_text()


def test_consent_is_for_a_version(client: Client, packages: Path) -> None:
    """A package is code like any other: consent for one version is none for the next."""
    with pytest.raises(UntrustedError, match=r"pypi:toys==1\.2"):
        client.make_env("pypi:toys")
    client.grant("pypi:toys#Toy-v0")
    client.prepare("pypi:toys#Other-v1")
    wheel(packages, "toys", "1.3")
    with pytest.raises(UntrustedError, match=r"pypi:toys==1\.3"):
        client.prepare("pypi:toys")


Make = Callable[..., EnvDict]


@pytest.fixture
def make(
    client: Client, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """Make the envs of a package with these files, in this process."""

    def work(files: dict[str, str], env_id: str = "", **params: Any) -> EnvDict:
        with zipfile.ZipFile(wheel(packages, "toys", "1.2", files=files)) as archive:
            archive.extractall(tmp_path / "site")
        ref = f"pypi:toys#{env_id}" if env_id else "pypi:toys"
        return client.make_env(ref, trust_remote_code=True, isolation="inline", **params)

    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    before = dict(gym.registry), set(sys.modules)
    yield work
    gym.registry.clear()
    gym.registry.update(before[0])
    for name in set(sys.modules) - before[1]:
        del sys.modules[name]


TOYS = {"toys/__init__.py": REGISTER, "toys/envs.py": ENV, "tests/__init__.py": "1 / 0"}


def test_all_ids_are_tasks(make: Make) -> None:
    """Without an id each one is a task, by its namespace; none of them is built."""
    with make(TOYS) as envs:
        assert {suite: sorted(tasks) for suite, tasks in envs.items()} == {
            "toys": ["Other-v1", "Toy-v0", "Toy-v10", "Toy-v2"],
            "space": ["Toy-v3"],
        }
        assert str(envs).count("built at first use") == 5


@pytest.mark.parametrize(
    ("env_id", "suite", "task"),
    [
        ("Toy-v2", "toys", "Toy-v2"),
        ("Toy", "toys", "Toy-v10"),
        ("space/Toy-v3", "space", "Toy-v3"),
        ("space/Toy", "space", "Toy-v3"),
        ("Toy-v3", "space", "Toy-v3"),
        ("Other", "toys", "Other-v1"),
    ],
)
def test_an_id(make: Make, env_id: str, suite: str, task: str) -> None:
    """An id as it is registered, in its newest version, or without its namespace."""
    with make(TOYS, env_id, n_envs=2, size=5, max_episode_steps=3) as envs:
        env = envs[suite][task]
        assert envs.only is env
        env.reset(seed=0)
        assert env.get_attr("size") == (5, 5)
        assert env.render()[0].shape == (4, 4, 3)
        ends = [env.step(env.action_space.sample())[3].all() for _ in range(3)]
        assert ends == [False, False, True]


@pytest.mark.parametrize(
    ("env_id", "part"),
    [
        ("Toi-v2", "did you mean Toy-v2 or"),
        ("space/Tay-v3", "did you mean space/Toy-v3"),
        ("zzz", "it registers 5: Other-v1, Toy-v0"),
        ("Toy-v2/more", "did you mean Toy-v2"),
    ],
)
def test_no_such_id(make: Make, env_id: str, part: str) -> None:
    """A wrong id is answered with near ones, or with what there is."""
    with pytest.raises(gym.error.UnregisteredEnv) as caught:
        make(TOYS, env_id)
    assert part in str(caught.value)


def test_old_gym(make: Make) -> None:
    """A package that still registers with gym, which is there because it needs it."""
    gym_ = """
import types, sys, gymnasium
from gymnasium.envs.registration import EnvSpec

envs = types.SimpleNamespace(registration=types.SimpleNamespace(registry={}))

def make(id, **options):
    options.pop("disable_env_checker")
    return gymnasium.make(envs.registration.registry[id], **options)
"""
    toys = """
import gym
from gymnasium.envs.registration import EnvSpec
gym.envs.registration.registry["Old-v0"] = EnvSpec("Old-v0", entry_point="toys.envs:Env")
"""
    files = {"toys/__init__.py": toys, "toys/envs.py": ENV, "gym.py": gym_}
    with make(files, "Old", n_envs=2) as envs:
        assert envs.only.reset(seed=0)[0].shape == (2, 2)


def test_it_is_for_old_pythons() -> None:
    """The code that is put beside a package is in the syntax of Python 3.8."""
    ast.parse(_TEMPLATE.read_text(), feature_version=(3, 8))


def test_an_argument(make: Make) -> None:
    """What an id cannot be made without follows it after a slash, as in `MT1/reach-v3`."""
    more = """
from .envs import Env
register("Meta/MT1", entry_point=lambda goal, render_mode=None, **more: Env(goal))
"""
    with make({**TOYS, "toys/__init__.py": REGISTER + more}, "MT1/reach-v3") as envs:
        assert envs["MT1"]["reach-v3"].get_attr("size") == ("reach-v3",)


def test_vector_only(make: Make) -> None:
    """An id that makes vector envs and nothing else is asked for one."""
    more = """
from .envs import Env
def vector(num_envs, size=1):
    return gym.vector.SyncVectorEnv([lambda: Env(size)] * num_envs)
register("Many-v0", vector_entry_point=vector)
"""
    text = "import gymnasium as gym\n" + REGISTER + more
    with make({**TOYS, "toys/__init__.py": text}, "Many", n_envs=3, size=4) as envs:
        assert envs.only.get_attr("size") == (4, 4, 4)


def test_registered_in_a_part(make: Make) -> None:
    """A package whose ids are in a part of it, which nobody imports by itself."""
    files = {"toys/__init__.py": "", "toys/gyms/__init__.py": REGISTER, "toys/envs.py": ENV}
    assert len(make(files)["toys"]) == 4


@pytest.mark.parametrize(
    ("text", "part"),
    [("", "registers no ids"), ("import nowhere", "No module named 'nowhere'")],
)
def test_registers_nothing(make: Make, text: str, part: str) -> None:
    """A package without ids says so, and what failed if its import did."""
    with pytest.raises(gym.error.UnregisteredEnv) as caught:
        make({"toys/__init__.py": text, "toys_data/readme.txt": ""})
    assert part in str(caught.value)
