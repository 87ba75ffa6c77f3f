"""Does an env do what an env does? One of them is made, reset and stepped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gymnasium import Space, spaces

from envhub.envdict import EnvDict
from envhub.errors import ResultError

STEPS: Final = 10
_CHANNELS: Final = (1, 3, 4)
_GREY: Final = 16  # the least side of a picture without channels


@dataclass(frozen=True, slots=True)
class Found:
    """What an env turned out to be.

    Attributes:
        suites: how many tasks each suite has.
        observation: the space of one env's observation, in one line.
        action: the space of one env's action, in one line.
        pixels: whether a part of the observation is an image.
        actions: `discrete`, `continuous` or `mixed`.
        render_mode: how it can be filmed, or empty.
        steps: how many it was stepped.
    """

    suites: dict[str, int]
    observation: str
    action: str
    pixels: bool
    actions: str
    render_mode: str
    steps: int


def check(envs: EnvDict, steps: int = STEPS) -> Found:
    """Reset the first task and step it with random actions.

    Args:
        envs: what a repo's `make_env` gave; only the first task is built.
        steps: how many.

    Raises:
        ResultError: it has no task.
        Exception: whatever the env raises.
    """
    found = list(envs.flat())
    if not found:
        raise ResultError(f"make_env of {envs.pin} returned no env")
    env = found[0][1]
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(steps):
        env.step(env.action_space.sample())
    observation, action = env.single_observation_space, env.single_action_space
    suites = {suite: len(tasks) for suite, tasks in envs.items()}
    return Found(
        suites,
        space_text(observation),
        space_text(action),
        any(map(_is_image, _leaves(observation))),
        _kind(action),
        env.render_mode or "",
        steps,
    )


def space_text(space: Space[Any]) -> str:
    """A space in one line; of bounds that differ per number, the outermost."""
    match space:
        case spaces.Box():
            low, high = space.low.min(), space.high.max()
            return f"Box({low:g}, {high:g}, {space.shape}, {space.dtype})"
        case spaces.Dict():
            members = ", ".join(f"{key}: {space_text(each)}" for key, each in space.items())
            return f"Dict({members})"
    return str(space)


def _leaves(space: Space[Any]) -> list[Space[Any]]:
    match space:
        case spaces.Dict():
            return [leaf for part in space.values() for leaf in _leaves(part)]
        case spaces.Tuple():
            return [leaf for part in space for leaf in _leaves(part)]
    return [space]


def _is_image(space: Space[Any]) -> bool:
    """By the rule of server/facets.py, so that a card and a hub say the same of an env."""
    shape = (space.shape or ())[-3:]
    coloured = len(shape) == 3 and (shape[-1] in _CHANNELS or shape[0] in _CHANNELS)
    grey = len(shape) == 2 and min(shape) >= _GREY
    return isinstance(space, spaces.Box) and space.dtype == "uint8" and (coloured or grey)


def _kind(space: Space[Any]) -> str:
    kinds = {isinstance(leaf, spaces.Box) for leaf in _leaves(space)}
    if len(kinds) > 1:
        return "mixed"
    return "continuous" if True in kinds else "discrete"
