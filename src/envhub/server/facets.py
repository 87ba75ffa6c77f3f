"""Words that an env can be filtered by, from what the hub knows of it.

| facet | for |
|---|---|
| `action:discrete`, `action:continuous` | what actions consist of; both if they have both |
| `observation:pixels`, `vector`, `discrete`, `text`, `graph`, … | a part of the observations |
| `tasks:12`, and `tasks:>10`, `tasks:<=3` in filters | how many tasks it has |
| `suites:2` | how many suites |
| `python:3.11` | a Python that it runs under |
| `engine:mujoco` | the simulator |
| `permission:network`, `permission:none` | what it asks for |
| `checked:loads`, `checked:steps`, `checked:deterministic` | a check that it passed |
| `envhub` | an env that can be loaded, whether its card calls it one or not |
| `license:mit` and all tags | what its card says |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envhub.server.about import About, Leaf

ENGINES: Final[Mapping[str, str]] = {
    "ale_py": "atari",
    "box2d": "box2d",
    "brax": "brax",
    "carla": "carla",
    "dm_control": "mujoco",
    "genesis": "genesis",
    "gym_aloha": "mujoco",
    "gym_pusht": "pymunk",
    "gym_xarm": "mujoco",
    "gymnasium_robotics": "mujoco",
    "highway_env": "highway-env",
    "isaaclab": "isaac-sim",
    "isaacsim": "isaac-sim",
    "jaxlib": "jax",
    "jax": "jax",
    "mani_skill": "sapien",
    "metaworld": "mujoco",
    "minigrid": "minigrid",
    "mlagents_envs": "unity",
    "mujoco": "mujoco",
    "mujoco_py": "mujoco",
    "newton": "newton",
    "panda3d": "panda3d",
    "panda_gym": "pybullet",
    "pgx": "jax",
    "procgen": "procgen",
    "pybullet": "pybullet",
    "pygame": "pygame",
    "pymunk": "pymunk",
    "robosuite": "mujoco",
    "sapien": "sapien",
    "vizdoom": "vizdoom",
    "warp": "warp",
}
"""Simulators by the modules and packages that bring them, both with `_` and in lower case."""

_EXTRAS: Final = {"atari": "atari", "box2d": "box2d", "mujoco": "mujoco", "toy_text": "pygame"}
_PYTHONS: Final = tuple(f"3.{minor}" for minor in range(8, 15))
_KINDS: Final = {
    "Box": "vector",
    "Discrete": "discrete",
    "MultiBinary": "discrete",
    "MultiDiscrete": "discrete",
    "Text": "text",
    "Graph": "graph",
    "Sequence": "sequence",
}
_CHANNELS: Final = (1, 3, 4)


def facets(about: About) -> tuple[str, ...]:
    """All facets of an env, each once."""
    return tuple(dict.fromkeys(_facets(about)))


def _facets(about: About) -> Iterator[str]:
    if about.entry:
        yield "envhub"
    tasks = [task for suite in about.suites.values() for task in suite.tasks.values()]
    for task in tasks:
        for leaf in task.action:
            yield f"action:{'continuous' if leaf.kind == 'Box' else kind_of(leaf)}"
        for leaf in task.observation:
            yield f"observation:{kind_of(leaf)}"
    if about.n_tasks:
        yield f"tasks:{about.n_tasks}"
    if about.suites:
        yield f"suites:{len(about.suites)}"
    yield from (f"engine:{engine}" for engine in about.engines)
    yield from (f"python:{version}" for version in pythons(about.python))
    yield from (f"permission:{word.partition(':')[0]}" for word in about.permissions or ("none",))
    yield from (f"checked:{check.name}" for check in about.checks if check.ok)


def kind_of(leaf: Leaf) -> str:
    """What a part of an observation is: `pixels`, or by its space; `other` for one of its own."""
    return "pixels" if is_image(leaf) else _KINDS.get(leaf.kind, "other")


def is_image(leaf: Leaf) -> bool:
    """Whether a part of an observation is a picture, or several of them."""
    shape = leaf.shape[-3:]
    flat = len(shape) == 3 and (shape[-1] in _CHANNELS or shape[0] in _CHANNELS)
    grey = len(shape) == 2 and min(shape) >= 16
    return leaf.kind == "Box" and leaf.dtype == "uint8" and (flat or grey)


def pythons(wanted: str) -> tuple[str, ...]:
    """The Pythons that an env runs under, of those that are about; none if it does not say."""
    try:
        versions = SpecifierSet(wanted) if wanted else None
    except InvalidSpecifier:
        return ()
    if versions is None:
        return ()
    # A late patch of each, since `>=3.10.4` means that 3.10 will do.
    return tuple(version for version in _PYTHONS if versions.contains(f"{version}.99"))


def engines(names: Iterable[str], extras: Iterable[str] = ()) -> tuple[str, ...]:
    """The simulators that some modules or packages, and extras of Gymnasium's, bring."""
    found = {ENGINES.get(name.lower().replace("-", "_")) for name in names}
    found |= {_EXTRAS.get(extra.lower().replace("-", "_")) for extra in extras}
    return tuple(sorted(name for name in found if name))
