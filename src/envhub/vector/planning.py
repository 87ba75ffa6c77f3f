"""Builds the envs of a vector: what they are, from what workers say and what the caller wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gymnasium import Space
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_differing_spaces, batch_space

from envhub.errors import ArgumentError, WorkerProtocolError
from envhub.vector import caller
from envhub.vector.engine import Engine
from envhub.vector.slab import Plan
from envhub.worker.host import action_of
from envhub.worker.layout import Layout, Shape
from envhub.worker.spaces import leaves

ObservationMode = str | tuple[Space[Any], Space[Any]]

NOT_EQUIVALENT = (
    "AsyncVectorEnv(..., observation_mode='same') however some of the sub-environments observation "
    "spaces are not equivalent. If this is intentional, use `observation_mode='different'` instead."
)
NOT_ALIKE = (
    "AsyncVectorEnv(..., observation_mode='different' or custom space) however the "
    "sub-environment's observation spaces do not share a common shape and dtype."
)


@dataclass(frozen=True)
class Wanted:
    """What the caller wants of a vector of envs.

    Attributes:
        observation_mode: how observation spaces are batched.
        autoreset_mode: what follows the last step of an episode.
        copy: whether an observation that was returned never changes.

    Raises:
        TypeError: the observation mode is a pair, but not of spaces.
        ValueError: one of the modes is none.
    """

    observation_mode: Any
    autoreset_mode: AutoresetMode
    copy: bool = True

    def __post_init__(self) -> None:
        check_mode(self.observation_mode)


@dataclass(frozen=True)
class Envs:
    """What the envs of a vector are, in Gymnasium's words."""

    metadata: dict[str, Any]
    render_mode: str | None
    single_observation_space: Space[Any]
    observation_space: Space[Any]
    single_action_space: Space[Any]
    action_space: Space[Any]


def build(engine: Engine, wanted: Wanted) -> Envs:
    """Let the workers build their envs and map their block.

    Raises:
        RuntimeError: the envs have different spaces.
        Exception: what a factory raised.
    """
    mode = wanted.observation_mode
    said = engine.build(all_spaces=mode == "different")
    _check_said(said, all_spaces=mode == "different")
    action_space = said[0]["action_space"]
    check_size(engine.num_envs, said[0])
    single, batched = observation_spaces(mode, said, engine.num_envs)
    envs = Envs(
        metadata={**said[0]["metadata"], "autoreset_mode": wanted.autoreset_mode},
        render_mode=said[0]["render_mode"],
        single_observation_space=single,
        observation_space=batched,
        single_action_space=action_space,
        action_space=batch_space(action_space, engine.num_envs),
    )
    plan = Plan(
        num_envs=engine.num_envs,
        num_workers=len(engine.workers),
        observation_space=single,
        action_space=action_space,
        batched_actions=envs.action_space,
        same=mode == "same",
        mode=wanted.autoreset_mode.value,
        copy=wanted.copy,
        recovers=engine.options.recovers,
    )
    said = engine.map(plan)
    check_spaces(mode, action_space, said, engine.slab.layout.size)
    return envs


def _check_said(said: Sequence[dict[str, Any]], *, all_spaces: bool) -> None:
    """Refuse what is no description of envs: those who say it need not be trusted."""
    first = said[0]
    spaces = [first.get("observation_space"), first.get("action_space")]
    for told in said if all_spaces else ():
        spaces += told.get("spaces", [None])
    known = all(isinstance(space, Space) for space in spaces)
    if not known or not isinstance(first.get("metadata"), dict) or "render_mode" not in first:
        raise WorkerProtocolError("a worker does not say what its envs are", why=f"{first!r:.200}")


def check_whole(said: dict[str, Any]) -> None:
    """Refuse what is no description of a vector env.

    Raises:
        WorkerProtocolError: see above.
    """
    names = ("observation_space", "action_space", "batched_observations", "batched_actions")
    known = all(isinstance(said.get(name), Space) for name in names)
    count = said.get("num_envs")
    if not known or not isinstance(count, int) or not isinstance(said.get("metadata"), dict):
        raise WorkerProtocolError("a worker does not say what its env is", why=f"{said!r:.200}")


def check_size(num_envs: int, told: dict[str, Any]) -> None:
    """Refuse observations that do not fit, before anything is made as large as spaces say.

    Raises:
        ArgumentError: this machine has not so much memory.
    """
    parts = leaves(told["observation_space"])
    has = caller.memory()
    try:
        needs = Layout(Shape(num_envs, 1, 1, parts, action_of(told["action_space"]))).size
    except ValueError:  # no block is ever so large
        needs = None
    if needs is None or needs > has:
        size = "too much" if needs is None else f"{needs / 1e9:.1f} GB"
        raise ArgumentError(
            f"an observation of {num_envs} envs would take {size}",
            why=f"this machine has {has / 1e9:.1f} GB of memory; each env's observations are "
            f"{', '.join(f'{part.dtype} {part.shape}' for part in parts)}",
            hint="fewer envs, or smaller observations",
        )


def check_mode(mode: Any) -> None:
    """Refuse an observation mode that is none, in Gymnasium's words.

    Raises:
        TypeError: a pair, but not of spaces.
        ValueError: something else.
    """
    if isinstance(mode, tuple) and len(mode) == 2:
        if not all(isinstance(space, Space) for space in mode):
            kinds = " and ".join(str(type(space)) for space in mode)
            raise TypeError(f"Expected both elements of observation_mode to be Spaces, got {kinds}")
    elif mode not in ("same", "different"):
        raise ValueError(
            "Invalid `observation_mode`, expected: 'same' or 'different' or tuple of single and "
            f"batch observation space, actual got {mode}"
        )


def observation_spaces(
    mode: ObservationMode, said: Sequence[dict[str, Any]], num_envs: int
) -> tuple[Space[Any], Space[Any]]:
    """The spaces of one env's observation and of all envs' observations.

    Args:
        mode: how observation spaces are batched.
        said: what each worker said of its envs.
        num_envs: how many envs.
    """
    if isinstance(mode, tuple):
        batched, single = mode
        return single, batched
    if mode == "same":
        single = said[0]["observation_space"]
        return single, batch_space(single, num_envs)
    spaces = [space for told in said for space in told["spaces"]]
    return spaces[0], batch_differing_spaces(spaces)


def check_spaces(
    mode: ObservationMode, action_space: Space[Any], said: Sequence[dict[str, Any]], size: int
) -> None:
    """Refuse envs whose spaces are not those of the vector, in Gymnasium's words.

    Args:
        mode: how observation spaces are batched.
        action_space: of one env.
        said: what each worker said of its envs' spaces.
        size: bytes of the block.

    Raises:
        RuntimeError: some env has other spaces.
    """
    if not all(same for told in said for same in told.get("observation", [False])):
        raise RuntimeError(NOT_EQUIVALENT if mode == "same" else NOT_ALIKE)
    if not all(same for told in said for same in told.get("action", [False])):
        raise RuntimeError(
            f"Some environments have an action space different from `{action_space}`. In order to "
            "batch actions, the action spaces from all environments must be equal."
        )
    if any(told.get("size") != size for told in said):
        raise RuntimeError("the envs do not agree on how large their observations are")
