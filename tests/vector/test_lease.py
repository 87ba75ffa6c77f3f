"""Leases: what was handed out never changes while anybody can see it, and memory stays bounded."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vector.zoo import Frames

from envhub.vector import AsyncVectorEnv
from envhub.vector.lease import (
    LEASE_BYTES,
    LEASED_SLOTS,
    Alternating,
    Copied,
    Delivery,
    Leased,
    Pooled,
    views,
)
from envhub.worker.layout import Layout, Shape
from envhub.worker.spaces import leaves

SEES: dict[str, Callable[[Any], Any]] = {
    "array": lambda array: array,
    "slice": lambda array: array[1:, ::2],
    "reshaped": lambda array: array.reshape(-1),
    "memoryview": lambda array: array.data,
    "bytes-view": lambda array: memoryview(array).cast("B"),
    "transposed": lambda array: array.T,
    "frombuffer": lambda array: np.frombuffer(array, array.dtype),
}


def layout_of(slots: int) -> tuple[Layout, Any, list[list[np.ndarray[Any, Any]]]]:
    """A layout of two leaves, its memory and its slots."""
    layout = Layout(Shape(3, 1, slots, leaves(Frames(4).observation_space)))
    memory = bytearray(layout.size)
    return layout, memory, views(layout, memory)


def step(delivery: Delivery, slots: list[list[np.ndarray[Any, Any]]], number: int) -> list[Any]:
    """Do what a step does: a worker writes, the client hands out."""
    slot = delivery.next_slot()
    for array in slots[slot]:
        array[...] = number
    return delivery.deliver(slot)


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(list(SEES))), max_size=40))
def test_whatever_is_held_stays(plan: list[tuple[int, str]]) -> None:
    """Hold any observations in any way and let go of any: those that are held never change."""
    layout, memory, slots = layout_of(LEASED_SLOTS)
    private, private_memory, private_slots = layout_of(1)
    for delivery, written in (
        (Leased(layout, memory), slots),
        (Pooled(private, private_memory), private_slots),
    ):
        held: list[tuple[int, Any]] = []
        for number, (drop, way) in enumerate(plan):
            arrays = step(delivery, written, number)
            held.append((number, SEES[way](arrays[0])))
            held.append((number, SEES[way](arrays[1])))
            del arrays
            if drop < len(held):
                held.pop(drop)
            assert all((np.asarray(seen) == made % 256).all() for made, seen in held)


def test_slots_are_used_again() -> None:
    """In the usual loop nothing is copied: few slots take turns."""
    layout, memory, slots = layout_of(LEASED_SLOTS)
    delivery = Leased(layout, memory)
    seen = set()
    previous = current = None
    for number in range(20):
        previous, current = current, step(delivery, slots, number)
        seen.add(delivery.slot)
        assert previous is not current
    assert seen == {1, 2, 3}


def test_scratch_is_copied() -> None:
    """When everything is held, slot 0 is written and copied; later slots are leased again."""
    layout, memory, slots = layout_of(LEASED_SLOTS)
    delivery = Leased(layout, memory)
    held = [step(delivery, slots, number) for number in range(5)]
    assert delivery.slot == 0
    assert delivery.spare(1) == 0
    assert delivery.spare(0) == 0
    held.clear()
    assert delivery.spare(0) == 1
    step(delivery, slots, 6)
    assert delivery.slot != 0


def test_views_alternate() -> None:
    """With `copy=False` an observation is a view, valid until the step after the next."""
    _, _, slots = layout_of(2)
    delivery = Alternating(slots)
    first = step(delivery, slots, 1)[0]
    second = step(delivery, slots, 2)[0]
    assert (first[0, 0, 0, 0], second[0, 0, 0, 0]) == (1, 2)
    assert step(delivery, slots, 3)[0] is first


def test_copies_are_copies() -> None:
    """Small observations are copied out of the one slot that there is."""
    _, _, slots = layout_of(1)
    delivery = Copied(slots)
    assert step(delivery, slots, 1)[0].base is None
    assert delivery.next_slot() == delivery.spare(0) == 0


def test_written_arrays_do_no_harm() -> None:
    """Who writes into an observation writes into nothing that anybody else sees."""
    envs = AsyncVectorEnv([lambda: Frames(64)] * 3, num_workers=2, autoreset_mode="Disabled")
    assert envs._engine.slab.layout.observation_bytes >= LEASE_BYTES
    observations, _ = envs.reset(seed=0)
    expected = {key: array.copy() for key, array in observations.items()}
    for array in observations.values():
        array[...] = 77
    mask = np.array([True, False, False])
    again, _ = envs.reset(seed=[5, 6, 7], options={"reset_mask": mask})
    for key, array in again.items():
        assert (array[1:] == expected[key][1:]).all()
    envs.close()


@pytest.mark.parametrize("copy", [True, False])
def test_observations_outlive_the_envs(copy: bool) -> None:
    """What is held when the envs are closed stays valid."""
    envs = AsyncVectorEnv([lambda: Frames(64)] * 2, copy=copy)
    observations, _ = envs.reset(seed=0)
    kept = {key: array.copy() for key, array in observations.items()}
    envs.close()
    del envs
    gc.collect()
    assert all((array == kept[key]).all() for key, array in observations.items())
    observations["left"][0] = 3


@settings(max_examples=10)
@given(st.integers(0, 8))
def test_memory_is_bounded(hold: int) -> None:
    """Holding observations costs what they are, letting them go gives all of it back."""
    layout, memory, slots = layout_of(1)
    delivery = Pooled(layout, memory)
    held: list[Any] = []
    for number in range(50):
        held.append(step(delivery, slots, number))
        del held[: max(0, len(held) - hold)]
    assert len(delivery._pool) <= LEASED_SLOTS


def test_steps_do_not_leak() -> None:
    """A thousand large observations later the process is as large as it was."""
    envs = AsyncVectorEnv([lambda: Frames(96)] * 4, num_workers=2)
    envs.reset()
    actions = envs.action_space.sample()
    for _ in range(50):
        envs.step(actions)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept: list[Any] = []
    for _ in range(500):
        kept = [*kept[-5:], envs.step(actions)[0]]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    envs.close()
    assert after - before < 20 * 1024
