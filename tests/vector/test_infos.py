"""Infos: batched a column at a time, and exactly as Gymnasium batches them one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import VectorEnv
from hypothesis import given
from hypothesis import strategies as st
from tests.vector.zoo import difference

from envhub.vector.infos import Infos, Part
from envhub.worker.info import MAX_KINDS, Records, told
from envhub.worker.layout import CELLS, Layout, Shape

Info = dict[str, Any]
SPLITS = [[(0, 4)], [(0, 1), (1, 4)], [(0, 2), (2, 4)], [(2, 4), (0, 2)]]
N = 4

numbers = (
    st.integers(-5, 5)
    | st.integers(2**62, 2**66)
    | st.floats()
    | st.booleans()
    | st.sampled_from([np.float32(1.5), np.float64(2.5), np.int8(3), np.uint64(2**63), np.bool_(1)])
)
odd = (
    st.text(max_size=2)
    | st.none()
    | st.lists(st.integers(0, 3), max_size=2)
    | st.just(np.arange(3.0))
)
names = st.sampled_from(["a", "b", "c", "_a", "final_obs", "episode"])
infos = st.dictionaries(
    names, numbers | odd | st.dictionaries(st.sampled_from("xy"), numbers, max_size=2), max_size=4
)
plain = st.fixed_dictionaries({"a": st.floats()}, optional={"b": st.integers(0, 9)})


class Block:
    """A block with its client and workers in one process.

    Args:
        shards: the envs of each worker.
    """

    def __init__(self, shards: list[tuple[int, int]]) -> None:
        layout = Layout(Shape(N, len(shards), 1, ()))
        memory = bytearray(layout.size)
        kinds, records = layout.kinds.view(memory), layout.records.view(memory)
        self.kinds = kinds
        self.shards = shards
        self.writers = [Records(kinds[lo:hi], records[lo:hi]) for lo, hi in shards]
        self.reader = Infos(layout, memory)

    def pass_on(self, step: list[Info]) -> Info:
        """Write the infos of one step as workers do, and read them as the client does."""
        parts = []
        for worker, ((lo, hi), records) in enumerate(zip(self.shards, self.writers, strict=True)):
            records.begin()
            left = {
                row: info
                for row, info in enumerate(step[lo:hi])
                if info and not records.put(row, info)
            }
            self.reader.learn(worker, records.tell_news())
            parts.append(Part(worker, lo, hi, records.any, left))
        return self.reader.batch(parts, gymnasium_add())


def gymnasium_add() -> Any:
    """Gymnasium's way to add an env's info."""
    envs: VectorEnv[Any, Any, Any] = VectorEnv()
    envs.num_envs = N
    return envs._add_info


def expected(step: list[Info], order: list[tuple[int, int]]) -> Info:
    """What Gymnasium makes of the infos, in the order of the shards."""
    batched: Info = {}
    envs = [env for lo, hi in order for env in range(lo, hi)]
    for place, env in enumerate(envs):
        batched = gymnasium_add()(batched, step[env], place)
    return batched


def outcome(call: Any, *args: Any) -> Any:
    """What a call returns, or the type of what it raises."""
    try:
        return call(*args)
    except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
        return type(error)


@given(st.lists(st.lists(infos, min_size=N, max_size=N), max_size=4), st.sampled_from(SPLITS))
def test_any_infos(steps: list[list[Info]], shards: list[tuple[int, int]]) -> None:
    """Any infos of any steps are batched as Gymnasium does it, or fail as they fail there."""
    block = Block(shards)
    for step in steps:
        wanted = outcome(expected, step, shards)
        assert not difference(outcome(block.pass_on, step), wanted)


@given(st.lists(st.lists(plain | st.just({}), min_size=N, max_size=N), max_size=5))
def test_plain_infos(steps: list[list[Info]]) -> None:
    """Infos of numbers, some envs without, need nothing but the block."""
    block = Block([(0, 2), (2, 4)])
    for step in steps:
        assert not difference(block.pass_on(step), expected(step, block.shards))


@pytest.mark.parametrize(
    "info",
    [
        {"x": 2**70},
        {"x": np.bool_(True)},
        {"x": 1j},
        {1: 2.0},
        {"_x": 1.0},
        {"final_obs": 1.0},
        {str(key): 1.0 for key in range(CELLS + 1)},
    ],
    ids=["long", "numpy-bool", "complex", "number-key", "mask-key", "final-obs", "many-keys"],
)
def test_no_record(info: dict[Any, Any]) -> None:
    """What Gymnasium treats in its own way is left for it."""
    assert not Block([(0, N)]).writers[0].put(0, info)


def test_the_number_of_kinds_is_bounded() -> None:
    """An env that invents keys for ever does not fill the memory."""
    records = Block([(0, N)]).writers[0]
    assert all(records.put(0, {f"key-{i}": 1.0}) for i in range(MAX_KINDS))
    assert not records.put(0, {"one-more": 1.0})
    assert records.put(0, {"key-0": 1.0})


@pytest.mark.parametrize(
    "news", [None, [], [1, ["a"], []], [1, ["a"], ["object"]], [1, ["_a"], ["int"]], ["x", [], []]]
)
def test_wrong_kinds(news: Any) -> None:
    """A kind that cannot be is a `ValueError`."""
    with pytest.raises(ValueError, match=r"no kind of info"):
        told(news)


def test_an_unknown_kind() -> None:
    """A worker that writes a kind which it never told of is found out."""
    block = Block([(0, 2), (2, 4)])
    block.pass_on([{"a": 1.0}] * N)
    parts = [Part(0, 0, 2, records=True), Part(1, 2, 4, records=True)]
    for numbers in ([1, 1, 7, 7], [1, 1, 1, 7]):
        block.kinds[:] = numbers
        with pytest.raises(ValueError, match="unknown kind"):
            block.reader.batch(parts, gymnasium_add())
    block.reader.forget(1)
    block.kinds[:] = 1
    with pytest.raises(ValueError, match="worker 1"):
        block.reader.batch(parts, gymnasium_add())
