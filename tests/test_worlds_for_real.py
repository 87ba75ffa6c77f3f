"""Worlds with the packages that people use, from the index that is configured; minutes long."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import envhub
from envhub import proc
from envhub.client import Client
from envhub.errors import InstallError, MissingDependencyError, RequirementError
from envhub.fingerprint import Measure, fingerprint
from envhub.testing import repos
from envhub.wishes import Wishes

pytestmark = pytest.mark.heavy

METAWORLD = """
import gymnasium as gym
import metaworld

def make_env(n_envs=1, use_async_envs=False):
    def make():
        return gym.make("Meta-World/MT1", env_name="reach-v3")
    return gym.vector.SyncVectorEnv([make for _ in range(n_envs)])
"""
CRAFTER = """
import crafter

def make_env(n_envs=1, use_async_envs=False):
    return crafter.Env(seed=0)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for all of them: the packages are large."""
    home = tmp_path_factory.getbasetemp() / "large"
    monkeypatch.setenv("ENVHUB_HOME", str(home))
    monkeypatch.setenv("ENVHUB_ISOLATION", "auto")
    return home


def load(folder: Path, **more: Any) -> tuple[int, ...]:
    """The shape of an observation after a step."""
    with envhub.make_env(str(folder), trust_remote_code=True, **more) as envs:
        env = envs.only
        env.reset(seed=0)
        return tuple(env.step(env.action_space.sample())[0].shape)


@pytest.mark.timeout(600)
def test_undeclared(tmp_path: Path) -> None:
    """metaworld forgets to declare packaging; the error has the call that adds it."""
    files = {"env.py": METAWORLD, "requirements.txt": "metaworld==3.1.1\n"}
    folder = repos.write(files, tmp_path / "reach")
    with pytest.raises(MissingDependencyError) as caught:
        load(folder, n_envs=2)
    assert 'n_envs=2, trust_remote_code=True, extra_requirements=["packaging"]' in caught.value.hint
    assert load(folder, n_envs=2, extra_requirements=["packaging"]) == (2, 39)


@pytest.mark.timeout(600)
def test_built(tmp_path: Path) -> None:
    """crafter has no wheel: it is built if the user says so, and starts without any gym."""
    files = {"env.py": CRAFTER, "requirements.txt": "crafter==1.8.3\n"}
    folder = repos.write(files, tmp_path / "crafter")
    with pytest.raises((InstallError, RequirementError)) as caught:
        load(folder)
    assert 'allow_build=["crafter"]' in caught.value.hint
    with envhub.make_env(str(folder), trust_remote_code=True, allow_build=["crafter"]) as envs:
        assert np.shape(envs.only.reset(seed=0)[0]) == (1, 64, 64, 3)


@pytest.mark.timeout(600)
def test_without_network(tmp_path: Path) -> None:
    """A bundle runs where there is no network at all, in the strongest sandbox there is."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare")
    example = Path(__file__).parents[1] / "examples/cartpole"
    path = tmp_path / "x.envhub"
    # In a process of its own, since this one may reach no other machine.
    proc.run([sys.executable, "-m", "envhub", "bundle", example, "-o", path])
    code = (
        "import envhub\n"
        f"with envhub.make_env({str(path)!r}, trust_remote_code=True) as envs:\n"
        "    print(envs.only.reset(seed=0)[0].shape)\n"
    )
    words = ["unshare", "--net", "--map-root-user", sys.executable, "-c", code]
    done = proc.run(words, env={"ENVHUB_HOME": str(tmp_path / "away")}, check=False)
    if b"unshare failed" in done.stderr:
        pytest.skip("no namespace of its own can be had here")
    assert done.text == "(1, 4)", done.stderr.decode()


@pytest.mark.timeout(600)
def test_the_day_of_the_commit(tmp_path: Path) -> None:
    """Packages of another day are other packages, with another fingerprint perhaps."""
    folder = repos.write({**repos.CARTPOLE, "requirements.txt": "gymnasium\n"}, tmp_path / "old")
    wishes = Wishes(exclude_newer="2025-06-01")
    client = Client(lock=tmp_path / "envhub.lock")
    (entry,) = client.lock([str(folder)], wishes=wishes).entries
    versions = {package.name: package.version for package in entry.worlds[0].packages}
    assert (versions["gymnasium"], versions["numpy"]) == ("1.1.1", "2.2.6")
    found = fingerprint(client, str(folder), Measure(1, 10), trust_remote_code=True)
    assert "gymnasium==1.1.1" in found.packages
    assert found.determinism == "exact"
