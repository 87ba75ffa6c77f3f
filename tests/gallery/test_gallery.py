"""Every env repo of the gallery, with its real packages, does isolated what it does by itself."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gallery import reference

from envhub import proc
from envhub.client import Client
from envhub.errors import InterpreterError, IsolationError
from envhub.wishes import Wishes

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
BATCHED = {"pgx-connect-four", "procgen"}
WISHES = {"procgen": Wishes(allow_build=["gym"])}
STEPS = {"aloha": 3, "highway": 12, "car-racing": 20}

MODES = """
import gymnasium as gym
from . import env

def make_env(n_envs=1, use_async_envs=False, mode="NextStep", **params):
    vector, chosen = gym.vector, gym.vector.AutoresetMode(mode)
    kept = vector.SyncVectorEnv, vector.AsyncVectorEnv

    def made(kind):
        return lambda fns, **more: kind(fns, **{**more, "autoreset_mode": chosen})

    vector.SyncVectorEnv, vector.AsyncVectorEnv = map(made, kept)
    try:
        return env.make_env(n_envs, use_async_envs, **params)
    finally:
        vector.SyncVectorEnv, vector.AsyncVectorEnv = kept
"""
CASES = [
    (name, mode)
    for name in NAMES
    for mode in ([""] if name in BATCHED else ["NextStep", "SameStep", "Disabled"])
]

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]


def expected(world: Any, folder: Path, entry: str, params: dict[str, Any], actions: Path) -> Any:
    """What the env answers by itself, in its own venv, without envhub."""
    done = proc.run(
        [
            world.packages[0].parents[2] / "bin" / "python",
            reference.__file__,
            *(folder, entry, "0", json.dumps(params), actions),
        ],
        env={**world.variables, "PYTHONPATH": None},
        timeout=600,
    )
    return done.text.split()[-len(np.load(actions)) - 1 :]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_isolated_is_as_inline(name: str, mode: str, client: Client, tmp_path: Path) -> None:
    """In a cage, with what it declares: bit for bit SyncVectorEnv's, in each way to run it.

    With 1 env and 6, sync and async, in each autoreset mode, and no permission that it did not ask
    for.
    """
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    (folder / "modes.py").write_text(MODES)
    with (folder / "envhub.toml").open("a") as manifest:
        manifest.write("\n[parameters.mode]\n")  # a manifest with parameters has them all
    entry = "modes" if mode else "env"
    more: dict[str, Any] = {"mode": mode} if mode else {}
    ref, wishes = f"{folder}:{entry}.py", WISHES.get(name, Wishes())
    for n_envs, use_async in itertools.product((1, 6), (False, True)):
        try:
            envs = client.make_env(
                ref,
                n_envs,
                use_async,
                trust_remote_code=True,
                sandbox="require",
                wishes=wishes,
                **more,
            )
        except (InterpreterError, IsolationError) as error:
            pytest.skip(str(error))
        with envs:
            assert envs.level == "venv"
            env = next(env for _, env in envs.flat())
            env.action_space.seed(5)
            actions = np.stack([env.action_space.sample() for _ in range(STEPS.get(name, 40))])
            got = reference.play(env, actions, seed=3)
        np.save(tmp_path / "actions.npy", actions)
        source, allowed = client.prepare(ref, trust_remote_code=True)
        world = client.world(source, allowed, wishes=wishes)
        params = {"n_envs": n_envs, **more}
        known = expected(world, folder, entry, params, tmp_path / "actions.npy")
        assert got[-len(known) :] == known, (n_envs, use_async)
