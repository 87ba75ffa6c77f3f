"""The env repos in examples/ are real ones: published as they are, they load, step and repeat."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml
from gymnasium.utils.env_checker import data_equivalence

import envhub
from envhub.manifest import read_manifest

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ["car-racing", "cartpole", "multitask", "pusht"]
"""Those whose packages the tests have; the others are loaded in test_gallery."""
ALL = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
PACKAGES = {"pusht": "gym_pusht", "car-racing": "Box2D"}

SHAPES: dict[str, dict[str, list[Any]]] = {
    "cartpole": {"hub_env": [(4,)]},
    "car-racing": {"hub_env": [(96, 96, 3)]},
    "pusht": {"hub_env": [{"agent_pos": (2,), "pixels": (96, 96, 3)}]},
    "multitask": {"balance": [(4,), (4,), (4,)], "momentum": [(6,), (3,), (3,), (2,)]},
}

modes = pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])


def make(name: str, n_envs: int = 2, use_async: bool = False, **params: Any) -> envhub.EnvDict:
    if name in PACKAGES and not find_spec(PACKAGES[name]):
        pytest.skip(f"{PACKAGES[name]} has no wheel for this Python")
    ref = str(EXAMPLES / name)
    return envhub.make_env(ref, n_envs, use_async, trust_remote_code=True, **params)


def shapes(observation: Any) -> Any:
    if isinstance(observation, Mapping):
        return {key: shapes(value) for key, value in observation.items()}
    return observation.shape[1:]


def first(name: str, use_async: bool, seed: int) -> dict[tuple[str, int | str], Any]:
    with make(name, use_async=use_async) as envs:
        return {
            (suite, task): env.reset(seed=seed)[0]
            for suite, tasks in envs.items()
            for task, env in tasks.items()
        }


def test_there_are_enough() -> None:
    """The gallery has what it promises."""
    assert len(ALL) >= 13
    assert set(NAMES) < set(ALL)


@modes
@pytest.mark.parametrize("name", NAMES)
def test_resets_and_steps(name: str, use_async: bool) -> None:
    """Every task resets and steps; what comes back has the shapes that its card says."""
    with make(name, use_async=use_async) as envs:
        seen: dict[str, list[Any]] = {}
        for suite, tasks in envs.items():
            for env in tasks.values():
                assert isinstance(env, gym.vector.VectorEnv)
                assert env.num_envs == 2
                observation, _ = env.reset(seed=0)
                seen.setdefault(suite, []).append(shapes(observation))
                env.action_space.seed(0)
                observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
                assert shapes(observation) == seen[suite][-1]
                assert {reward.shape, terminated.shape, truncated.shape} == {(2,)}
        assert seen == SHAPES[name]


@pytest.mark.parametrize("name", NAMES)
def test_seeds_repeat(name: str) -> None:
    """A seed gives the same first observations, in one process or several; another seed others."""
    one = first(name, use_async=False, seed=3)
    assert data_equivalence(one, first(name, use_async=True, seed=3))
    assert not data_equivalence(one, first(name, use_async=False, seed=4))


@pytest.mark.parametrize("name", NAMES)
def test_films(name: str) -> None:
    """Every task can be filmed."""
    with make(name, n_envs=1) as envs:
        for tasks in envs.values():
            for env in tasks.values():
                env.reset(seed=0)
                frames = env.render()
                assert frames is not None
                assert np.asarray(frames[0]).ndim == 3


def test_success_is_told() -> None:
    """Where a task can succeed, the info of each step says whether it did."""
    for name in ("car-racing", "pusht"):
        with make(name) as envs:
            envs.only.reset(seed=0)
            *_, info = envs.only.step(envs.only.action_space.sample())
            assert info["is_success"].tolist() == [False, False]


def test_pusht_from_state() -> None:
    """Push-T's other observation is the one that LeRobot's state policies know."""
    with make("pusht", observation="state") as envs:
        observation, _ = envs.only.reset(seed=0)
        assert shapes(observation) == {"agent_pos": (2,), "environment_state": (16,)}


def test_pusht_fixed_starts() -> None:
    """Row `seed` of the asset is where the finger starts, for each env its own row."""
    rows = np.loadtxt(EXAMPLES / "pusht/assets/starts.csv", delimiter=",", skiprows=1)
    with make("pusht", observation="state", fixed_starts=True) as envs:
        observation, _ = envs.only.reset(seed=5)
    np.testing.assert_allclose(observation["agent_pos"], rows[5:7, :2])


def test_pusht_refuses_unknown_observations() -> None:
    """The author's own error comes through, with what could have been meant."""
    with pytest.raises(ValueError, match="observation='sound': take one of pixels, state"):
        make("pusht", observation="sound")


def test_multitask_parameters() -> None:
    """Parameters choose suites and lengths; the tasks describe themselves."""
    with make("multitask", suites=["momentum"], max_episode_steps=3) as envs:
        assert list(envs) == ["momentum"]
        env = envs["momentum"][2]
        assert env.call("task_description") == ("Swing the pendulum up on the Moon.",) * 2
        env.reset(seed=0)
        ends = [env.step(env.action_space.sample())[3].tolist() for _ in range(3)]
        assert ends == [[False, False], [False, False], [True, True]]


def test_multitask_physics_differ() -> None:
    """The same seed and actions lead elsewhere in a task with other physics."""
    with make("multitask", suites=["balance"]) as envs:
        ends = []
        for env in envs["balance"].values():
            env.reset(seed=0)
            ends.append([env.step(np.ones(2, int))[0] for _ in range(5)][-1].tobytes())
    assert len(set(ends)) == 3


@pytest.mark.parametrize("name", ALL)
def test_is_ready_to_publish(name: str) -> None:
    """The card has what hubs search by, the licence is there, requirements have versions."""
    folder = EXAMPLES / name
    card = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert (card["library_name"], card["license"]) == ("envhub", "mit")
    tags = {"envhub", "gymnasium", "reinforcement-learning", "lerobot"}
    assert tags <= set(card["tags"])
    assert (folder / "LICENSE").read_text().startswith("MIT License")
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w-]+(\[[\w-]+\])?==[\d.]+", line)] == []


@pytest.mark.parametrize("name", ALL)
def test_card_lists_the_parameters(name: str) -> None:
    """The card names each of make_env's keyword arguments, and no other, with its default."""
    card = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    taken = list(keywords(name))
    listed = card.partition("| parameter |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", listed, re.MULTILINE) == taken


def keywords(name: str) -> dict[str, Any]:
    """The keyword arguments of a repo's make_env, and their defaults."""
    tree = ast.parse((EXAMPLES / name / "env.py").read_text(encoding="utf-8"))
    (function,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "make_env")
    found = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {argument.arg: ast.unparse(value) for argument, value in found if value}


@pytest.mark.parametrize("name", ALL)
def test_manifest_says_what_the_code_does(name: str) -> None:
    """The manifest can be read, and its parameters are keyword arguments of make_env."""
    manifest = read_manifest(EXAMPLES / name)
    defaults = {key: repr(told.default) for key, told in manifest.parameters.items()}
    assert defaults.items() <= keywords(name).items()
    assert manifest.requirements
    assert "3.11" in manifest.python or name == "procgen"
