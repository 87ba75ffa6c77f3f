"""Envs of any nested space, stepped in any way: what comes back is what `SyncVectorEnv` gives."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.vector.zoo import Sampler, difference

from envhub.vector import AsyncVectorEnv

LEAVES: list[Space[Any]] = [
    spaces.Box(-1.0, 1.0, (3,), np.float32),
    spaces.Box(0, 255, (2, 2), np.uint8),
    spaces.Box(-np.inf, np.inf, (), np.float64),
    spaces.Discrete(4),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary(2),
    spaces.Text(3),
    spaces.Sequence(spaces.Discrete(3)),
    spaces.OneOf([spaces.Discrete(2), spaces.Box(0.0, 1.0, (1,))]),
]


def named(parts: dict[str, Space[Any]]) -> Space[Any]:
    """A Dict of spaces."""
    return spaces.Dict(parts)


def in_order(parts: list[Space[Any]]) -> Space[Any]:
    """A Tuple of spaces."""
    return spaces.Tuple(parts)


def deeper(inner: st.SearchStrategy[Space[Any]]) -> st.SearchStrategy[Space[Any]]:
    """Spaces with these as their parts."""
    tuples = st.lists(inner, min_size=1, max_size=3).map(in_order)
    dicts = st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3).map(named)
    return st.one_of(tuples, dicts)


leaf: st.SearchStrategy[Space[Any]] = st.sampled_from(LEAVES)
nested: st.SearchStrategy[Space[Any]] = st.recursive(leaf, deeper, max_leaves=6)
infos = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "number": st.sampled_from([1, 2.5, True, np.float32(1), np.int8(2)]),
            "object": st.sampled_from([None, "text", [1, 2], (), np.bool_(True)]),
            "dict": st.sampled_from([{}, {"x": 1}, {"x": 2.0, "y": None}]),
            "array": st.sampled_from([np.zeros(2), np.ones(2)]),
        },
    ),
    min_size=1,
    max_size=4,
)


def chosen(told: list[dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    """One of several infos."""
    return told[int(rng.integers(len(told)))]


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    observation=nested,
    action=nested,
    told=infos,
    mode=st.sampled_from(list(AutoresetMode)),
    workers=st.integers(1, 3),
    copy=st.booleans(),
)
def test_any_space(
    observation: Space[Any],
    action: Space[Any],
    told: list[dict[str, Any]],
    mode: AutoresetMode,
    workers: int,
    copy: bool,
) -> None:
    """Random nested spaces of observations and actions, random infos, any mode and split."""
    make = partial(Sampler, observation, action, partial(chosen, told))
    sync = SyncVectorEnv([make] * 3, autoreset_mode=mode)
    ours = AsyncVectorEnv([make] * 3, autoreset_mode=mode, num_workers=workers, copy=copy)
    assert not difference(ours.reset(seed=1), sync.reset(seed=1))
    sync.action_space.seed(1)
    ended = np.zeros(3, bool)
    for _ in range(12):
        if ended.any() and mode is AutoresetMode.DISABLED:
            masks = [{"reset_mask": ended.copy()} for _ in "ab"]
            assert not difference(ours.reset(options=masks[0]), sync.reset(options=masks[1]))
        actions = sync.action_space.sample()
        got, expected = ours.step(actions), sync.step(actions)
        assert not difference(got, expected)
        ended = expected[2] | expected[3]
    ours.close()
    sync.close()
