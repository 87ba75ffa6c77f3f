"""The codec seam: any value inside one trust domain, only plain ones across a border."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tests.vector.zoo import difference

from envhub.worker.codec import CodecError, Pickled, Plain, is_plain

PLAIN, PICKLED = Plain(), Pickled()

dtypes = st.sampled_from(["<f4", "<f8", "<i8", "|u1", "|b1", "<c8", "<U3", ">i4"])
arrays = dtypes.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_side=3)))
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | arrays
    | arrays.map(lambda array: array.reshape(-1)[0])
)


def objects(items: list[Any]) -> Any:
    """An array of objects, as Gymnasium before 1.0 made of infos."""
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array


keys = st.text() | st.integers() | st.booleans()
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, max_size=3).map(objects)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_plain_values_cross(value: Any) -> None:
    """Numbers, text, arrays and what holds them arrive as they were, to the type and bit."""
    assert is_plain(value)
    assert not difference(PLAIN.decode(PLAIN.encode(value)), value)


@given(st.binary(max_size=200))
def test_noise_is_no_value(data: bytes) -> None:
    """Any bytes are a value or a `CodecError`, nothing else happens."""
    with contextlib.suppress(CodecError):
        PLAIN.decode(data)


@given(values, st.data())
def test_damaged_values(value: Any, data: st.DataObject) -> None:
    """Bytes that were changed or cut are a value or a `CodecError`."""
    raw = bytearray(PLAIN.encode(value))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(CodecError):
        PLAIN.decode(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


def looped() -> list[Any]:
    """A list that holds itself."""
    values: list[Any] = []
    values.append(values)
    return values


STRANGE = {
    "object": object(),
    "set": {1, 2},
    "function": len,
    "objects": np.array([object()]),
    "code": [lambda: 1],
    "loop": looped(),
    "long": 10**5000,
}


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
def test_what_does_not_cross(value: Any) -> None:
    """Code, objects and what cannot be told in finite text stay behind."""
    with pytest.raises(CodecError):
        PLAIN.encode(value)
    assert is_plain(value) == isinstance(value, int)


def test_spaces_cross() -> None:
    """A space arrives as an equal one, inside other values, too."""
    space = spaces.Dict(a=spaces.Box(-math.inf, 1.0, (2,)), b=spaces.Discrete(3))
    assert PLAIN.decode(PLAIN.encode({"spaces": [space]})) == {"spaces": [space]}


@pytest.mark.parametrize(
    "told",
    [
        b'{"$":"array","dtype":"|O","shape":[1],"scalar":false}',
        b'{"$":"array","dtype":"<f8","shape":[1000000000000],"scalar":false}',
        b'{"$":"array","dtype":"<f8","shape":[-1,-1],"scalar":false}',
        b'{"$":"array"}',
        b'{"$":"nothing","of":[]}',
        b'{"$":"dict","of":[[[1],2]]}',
        b'{"$":"space","of":{"kind":"Box"}}',
        b'{"$":"float","is":"text"}',
    ],
    ids=lambda told: told.decode(),
)
def test_hostile_values(told: bytes) -> None:
    """What claims to be something that it cannot be is refused, before it costs memory."""
    with pytest.raises(CodecError):
        PLAIN.decode(len(told).to_bytes(4, "little") + told)


def test_surplus_bytes() -> None:
    """Bytes behind the value are an error."""
    with pytest.raises(CodecError, match="too many"):
        PLAIN.decode(PLAIN.encode(1) + b"x")


def test_pickled_carries_code() -> None:
    """Inside a trust domain functions travel, too; what nobody can pickle is a `CodecError`."""
    assert PICKLED.decode(PICKLED.encode(lambda: 3))() == 3
    with pytest.raises(CodecError, match="cannot be pickled"):
        PICKLED.encode(number for number in range(1))
    with pytest.raises(CodecError, match="cannot be unpickled"):
        PICKLED.decode(b"nonsense")
