"""Spaces: which parts lie in shared memory, and how a space is told without pickling it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import Space, spaces
from hypothesis import given
from hypothesis import strategies as st
from tests.vector.zoo import DYNAMIC

from envhub.worker.sameness import same
from envhub.worker.spaces import OpaqueSpace, describe, leaves, pick, rebuild

SPACES: list[Space[Any]] = [
    spaces.Box(0, 255, (4, 4, 3), np.uint8),
    spaces.Box(np.array([-np.inf, 0.0]), np.array([1.0, np.inf]), dtype=np.float64),
    spaces.Box(-1.0, 1.0, (), np.float16),
    spaces.Discrete(5, start=-2),
    spaces.Discrete(5, dtype=np.int32),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[1, 0], [0, 1]])),
    spaces.MultiDiscrete([2, 3], dtype=np.int8),
    spaces.MultiBinary(3),
    spaces.MultiBinary([2, 3]),
    spaces.Text(5, min_length=2, charset="xyz"),
    spaces.Tuple((spaces.Discrete(2), spaces.Box(0.0, 1.0))),
    spaces.Dict([("b", spaces.Discrete(2)), ("a", spaces.Discrete(3))]),
    spaces.Sequence(spaces.Discrete(2), stack=True),
    spaces.Graph(spaces.Box(0.0, 1.0, (2,)), None),
    DYNAMIC,
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
    dicts = st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=3).map(named)
    return st.one_of(tuples, dicts)


simple: st.SearchStrategy[Space[Any]] = st.sampled_from(SPACES[:10])
nested: st.SearchStrategy[Space[Any]] = st.recursive(simple, deeper, max_leaves=5)


class Mission(Space[str]):
    """A custom space, which holds a function."""

    def __init__(self) -> None:
        super().__init__()
        self.make: Callable[[], str] = lambda: "go"

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return self.make()


class MyBox(spaces.Box):
    """A box with a name of its own."""


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_told_and_rebuilt(space: Space[Any]) -> None:
    """Every space of Gymnasium's survives being told in JSON."""
    again = rebuild(json.loads(json.dumps(describe(space))))
    assert again == space
    assert again.sample() in space
    assert list(getattr(again, "spaces", ())) == list(getattr(space, "spaces", ()))


@given(nested)
def test_any_nesting(space: Space[Any]) -> None:
    """So does any nesting of them."""
    assert rebuild(json.loads(json.dumps(describe(space)))) == space


def test_a_large_box_is_short() -> None:
    """Equal bounds are told once, however large the box."""
    assert len(json.dumps(describe(spaces.Box(0, 255, (480, 640, 3), np.uint8)))) < 300


def test_custom_spaces() -> None:
    """A custom space is told as the kind of Gymnasium's that it is, or as one unknown here."""
    assert rebuild(describe(MyBox(0.0, 1.0))) == spaces.Box(0.0, 1.0)
    told = rebuild(describe(Mission()))
    assert told == OpaqueSpace("Mission")
    assert repr(told) == "OpaqueSpace('Mission')"
    assert describe(told) == describe(Mission())
    assert "anything" in told
    with pytest.raises(NotImplementedError):
        told.sample()


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"kind": "Window"},
        {"kind": "Box"},
        {"kind": "Discrete", "n": 0, "start": 0, "dtype": "<i8"},
        {"kind": "Text", "min": 3, "max": 1, "characters": ""},
        {
            "kind": "Box",
            "dtype": "|u1",
            "low": {"dtype": "|u1", "shape": [1 << 40], "data": "AA=="},
            "high": {"dtype": "|u1", "shape": [1 << 40], "data": "AA=="},
        },
    ],
    ids=str,
)
def test_wrong_descriptions(told: Any) -> None:
    """A description that is none is a `ValueError`, before it costs memory."""
    with pytest.raises(ValueError, match=r"description|unknown"):
        rebuild(told)


def test_leaves() -> None:
    """The leaves of a nested space, in Gymnasium's order, with the paths to their values."""
    found = leaves(DYNAMIC)
    assert [leaf.path for leaf in found] == [(key,) for key in DYNAMIC.spaces]
    assert [leaf.dtype is None for leaf in found] == [key != "array" for key in DYNAMIC.spaces]
    deep = spaces.Tuple((spaces.Dict(a=spaces.Discrete(2)), spaces.MultiBinary(3)))
    assert [leaf.path for leaf in leaves(deep)] == [(0, "a"), (1,)]
    assert pick(({"a": 5}, 6), (0, "a")) == 5


def test_sameness() -> None:
    """Spaces are the same if they are equal; for boxes that is quick."""
    box = spaces.Box(0, 255, (480, 640, 3), np.uint8)
    assert same(box, spaces.Box(0, 255, (480, 640, 3), np.uint8))
    assert not same(box, spaces.Box(0, 254, (480, 640, 3), np.uint8))
    assert not same(box, spaces.Discrete(2))
    assert same(spaces.Box(0.0, 1.0), spaces.Box(0.0, 1.0 + 1e-9, dtype=np.float32))
