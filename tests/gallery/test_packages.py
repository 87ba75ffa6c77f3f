"""Packages as they are on the index: one ref each, and they step in a venv of their own."""

from __future__ import annotations

import numpy as np
import pytest

from envhub.client import Client
from envhub.wishes import Wishes

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

PLAIN = Wishes()
DM_CONTROL = ["dm-control==1.0.50", "mujoco==3.17.0", "imageio", "packaging"]
CASES = {
    "gymnasium[classic-control]==1.4.0#CartPole-v1": PLAIN,
    "gymnasium[box2d]==1.4.0#LunarLander-v3": PLAIN,
    "gymnasium[box2d]==1.4.0#BipedalWalker-v3": PLAIN,
    "gymnasium[mujoco]==1.4.0#Humanoid-v5": PLAIN,
    "ale-py==0.12.1#ALE/Pong-v5": PLAIN,
    "minigrid==3.2.0#BabyAI-BossLevel-v0": PLAIN,
    "highway-env==1.12.1#parking-v0": PLAIN,
    "gym-pusht==0.1.8#gym_pusht/PushT-v0": PLAIN,
    "gym-aloha==0.1.5#AlohaInsertion": PLAIN,
    "metaworld==3.1.1#MT1/reach-v3": Wishes(["packaging"]),
    "shimmy[dm-control]==2.0.1#dm_control/cartpole-swingup-v0": Wishes(DM_CONTROL),
    "procgen==0.10.7#procgen-coinrun-v0": Wishes(allow_build=["gym"]),
    "flappy-bird-gymnasium==0.4.0#FlappyBird-v0": PLAIN,
    "panda-gym==3.0.7#PandaReach-v3": PLAIN,
    "pyflyt==0.29.0#PyFlyt/QuadX-Hover": PLAIN,
    "myosuite==3.0.0#myoElbowPose1D6MRandom-v0": PLAIN,
}


@pytest.mark.filterwarnings("ignore:infos .* stay behind:UserWarning")
@pytest.mark.parametrize(("ref", "wishes"), CASES.items(), ids=CASES)
@pytest.mark.parametrize("n_envs", [1, 2])
def test_a_package(client: Client, ref: str, wishes: Wishes, n_envs: int) -> None:
    """It is installed, registers its ids, and two vector envs of one of them step."""
    with client.make_env(f"pypi:{ref}", n_envs, trust_remote_code=True, wishes=wishes) as envs:
        assert envs.level == "venv"
        env = envs.only
        env.reset(seed=0)
        for _ in range(3):
            *_, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            assert np.shape(reward) == terminated.shape == truncated.shape == (n_envs,)
