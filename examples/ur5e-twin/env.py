"""A digital twin of a UR5e: the arm brings its hand to a point, with a body never quite known.

The model is MuJoCo Menagerie's, and comes with a package, so that nothing is downloaded.
"""

from __future__ import annotations

from functools import partial

import gymnasium as gym
import mujoco
import numpy as np

from . import scene

HOME = np.array([-1.57, -1.57, 1.57, -1.57, -1.57, 0.0])
STEPS_PER_ACTION = 10
UNSURE = ("body_mass", "dof_damping", "dof_frictionloss", "actuator_gainprm", "light_diffuse")


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    randomize: float = 0.0,
    max_episode_steps: int = 200,
) -> gym.vector.VectorEnv:
    """Make `n_envs` arms.

    Args:
        n_envs: how many.
        use_async_envs: one process per arm.
        randomize: masses, friction, motors and light differ from the real ones by up to this share.
        max_episode_steps: after so many steps of 20 ms the episode is cut off.
    """
    vector = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return vector([partial(make_arm, randomize, max_episode_steps)] * n_envs)


def make_arm(randomize: float, max_episode_steps: int) -> gym.Env:
    """One arm, whose episodes end."""
    return gym.wrappers.TimeLimit(Arm(randomize), max_episode_steps)


class Arm(gym.Env):
    """Angles, speeds, hand and target are seen; targets for the six joints are the action."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}
    render_mode = "rgb_array"
    task_description = "Bring the hand to the red ball."

    def __init__(self, randomize: float = 0.0) -> None:
        self.model = scene.build()
        self.data = mujoco.MjData(self.model)
        self.hand = self.model.site("attachment_site").id
        self.randomize = randomize
        self.known = {name: getattr(self.model, name).copy() for name in UNSURE}
        self.renderer = None
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (18,), np.float64)
        self.action_space = gym.spaces.Box(-1, 1, (6,), np.float32)

    def reset(self, *, seed=None, options=None):
        """The arm at home, a new target, and if asked for a new body."""
        super().reset(seed=seed)
        for name, value in self.known.items():
            factor = 1 + self.randomize * self.np_random.uniform(-1, 1, value.shape)
            getattr(self.model, name)[:] = value * factor
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.data.ctrl[:] = HOME
        angle = self.np_random.uniform(-np.pi, np.pi)
        distance, height = self.np_random.uniform(0.35, 0.65), self.np_random.uniform(0.2, 0.6)
        self.data.mocap_pos[0] = distance * np.cos(angle), distance * np.sin(angle), height
        mujoco.mj_forward(self.model, self.data)
        return self.observe(), {"is_success": False}

    def step(self, action):
        """Turn the joints' targets by up to 0.05 rad, and let 20 ms pass."""
        self.data.ctrl[:] += 0.05 * np.clip(action, -1, 1)
        mujoco.mj_step(self.model, self.data, STEPS_PER_ACTION)
        distance = float(np.linalg.norm(self.data.site_xpos[self.hand] - self.data.mocap_pos[0]))
        near = distance < 0.05
        return self.observe(), -distance, near, False, {"is_success": near}

    def observe(self):
        """Six angles, six speeds, the hand, the target."""
        hand, target = self.data.site_xpos[self.hand], self.data.mocap_pos[0]
        return np.concatenate([self.data.qpos, self.data.qvel, hand, target])

    def render(self):
        """The arm and the ball."""
        if self.renderer is None:
            self.renderer = mujoco.Renderer(self.model, 240, 320)
        self.renderer.update_scene(self.data, scene.VIEW)
        return self.renderer.render()

    def close(self):
        """Release the renderer."""
        if self.renderer is not None:
            self.renderer.close()
            self.renderer = None
