"""Hosts a vector env that steps its own batch: whole, in one worker."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from . import protocol
from .layout import Layout
from .spaces import leaves, pick


class Whole:
    """Resets and steps one vector env, and writes its batches into the block.

    An env whose `reset` and `step` take `out` is given the observation's arrays in the block to
    write into, in the structure of its observation space; what it then returns is not copied. Its
    actions are lent in the same way: both are its own until it returns, and no longer.

    Args:
        env: the vector env.
        layout: where the fields lie.
        memory: the block.

    Attributes:
        lend: gives the actions as they lie in the block, if this env takes them so.
        troubles: what the env raised in this step, as row 0.

    Raises:
        ValueError: its observations are no batches, or no arrays.
    """

    def __init__(self, env: Any, layout: Layout, memory: Any) -> None:
        self.env = env
        self.troubles: Dict[int, BaseException] = {}
        self._leaves = leaves(env.observation_space)
        count = layout.shape.num_envs
        fields = layout.slots[0]
        shapes = [leaf.shape for leaf in self._leaves if leaf.dtype is not None]
        if shapes != [field.shape for field in fields] or len(shapes) != len(self._leaves):
            raise ValueError(
                f"the observation space {env.observation_space} is no batch of {count} of "
                f"{env.single_observation_space}"
            )
        self._slots = [[field.view(memory) for field in slot] for slot in layout.slots]
        self._rewards = layout.rewards.view(memory)
        self._flags = layout.flags.view(memory)
        self._outs = [self._nested(views) for views in self._slots]
        self._told: Dict[str, Any] = {}
        self._dtype: Optional[np.dtype[Any]] = None
        self._step_out = _takes_out(env.step)
        self._reset_out = _takes_out(env.reset)
        actions = layout.actions.view(memory) if layout.actions is not None else None
        lends = self._step_out and actions is not None
        self.lend: Optional[Callable[[], Any]] = (lambda: actions) if lends else None

    @property
    def status(self) -> int:
        """The mark on the answer."""
        return protocol.DONE

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell beside the block."""
        return not (self._told or self.troubles)

    def reset(self, slot: int, told: Dict[str, Any]) -> None:
        """Reset the env as a whole."""
        self._begin()
        out = {"out": self._outs[slot]} if self._reset_out else {}
        try:
            obs, info = self.env.reset(seed=told["seed"], options=told["options"], **out)
            self._put(slot, obs, info)
        except BaseException as error:  # noqa: BLE001 — whatever it is, the client is told
            self.troubles[0] = error

    def step(self, actions: Any, slot: int) -> None:
        """Step the env as a whole."""
        self._begin()
        out = {"out": self._outs[slot]} if self._step_out else {}
        try:
            obs, rewards, terminated, truncated, info = self.env.step(actions, **out)
            self._put(slot, obs, info)
            self._put_rewards(np.asarray(rewards))
            self._flags[0] = terminated
            self._flags[1] = truncated
        except BaseException as error:  # noqa: BLE001 — as above
            self.troubles[0] = error

    def tell(self) -> Dict[str, Any]:
        """What the client has to know beside the block."""
        return self._told

    def bind(self) -> None:
        """Nothing of the env is kept that could change."""

    def _begin(self) -> None:
        self._told = {}
        self.troubles = {}

    def _put(self, slot: int, obs: Any, info: Any) -> None:
        for leaf, target in zip(self._leaves, self._slots[slot]):
            value = pick(obs, leaf.path)
            if value is not target:
                target[...] = value
        if info:
            self._told["info"] = info

    def _put_rewards(self, rewards: np.ndarray[Any, Any]) -> None:
        if rewards.shape != self._rewards.shape or rewards.dtype.kind not in "biuf":
            self._told["rewards"] = rewards
            return
        self._rewards[...] = rewards
        if rewards.dtype != self._dtype:
            self._dtype = rewards.dtype
            self._told["reward_dtype"] = rewards.dtype.str

    def _nested(self, views: List[Any]) -> Any:
        return nest([(leaf.path, view) for leaf, view in zip(self._leaves, views)])


def nest(pairs: List[Tuple[Tuple[Any, ...], Any]]) -> Any:
    """Values at the ends of paths as the nested dicts and tuples that the paths lead through."""
    if pairs[0][0] == ():
        return pairs[0][1]
    groups: Dict[Any, List[Tuple[Tuple[Any, ...], Any]]] = {}
    for path, value in pairs:
        groups.setdefault(path[0], []).append((path[1:], value))
    nested = {key: nest(group) for key, group in groups.items()}
    return tuple(nested.values()) if 0 in nested else nested


def _takes_out(method: Any) -> bool:
    return "out" in inspect.signature(method).parameters
