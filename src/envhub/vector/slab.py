"""The client's view of the shared block: where actions go in, and where all the rest comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space

from envhub.errors import WorkerProtocolError
from envhub.vector import lease
from envhub.vector.actions import Actions
from envhub.vector.infos import Infos
from envhub.vector.observations import Objects, Observations
from envhub.worker import block
from envhub.worker.codec import Codec
from envhub.worker.host import action_of
from envhub.worker.layout import Layout, Shape

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Plan:
    """What the envs are, once the workers have said it.

    Attributes:
        num_envs: envs of all workers together.
        num_workers: how many workers.
        observation_space: of one env.
        action_space: of one env.
        batched_actions: of all envs.
        same: whether all observation spaces have to be equal, or only alike.
        mode: the autoreset mode, a word of `protocol`.
        copy: whether observations that were handed out may never change.
        recovers: whether the observation before the current one has to stay in the block.
        whole: whether there is one env, a vector env.
    """

    num_envs: int
    num_workers: int
    observation_space: Space[Any]
    action_space: Space[Any]
    batched_actions: Space[Any]
    same: bool
    mode: str
    copy: bool
    recovers: bool
    whole: bool = False


class Slab:
    """The block of one vector env, mapped.

    Args:
        plan: what the envs are.
        memory_fd: the block; it gets its size here.
        codec: how values pass that do not fit the block.

    Attributes:
        layout: where everything lies.
        observations: how observations are put together.
        actions: how actions reach the workers.
        infos: how infos are batched.
        delivery: how observations are handed out.
        rewards: (n,) float64, in the block.
        cursors: (workers, 16) int32, which env each worker is at, in column 0.
    """

    def __init__(self, plan: Plan, memory_fd: int, codec: Codec) -> None:
        self.observations = Observations(plan.observation_space)
        self.layout = self._choose(plan, codec)
        block.give_size(memory_fd, self.layout.size)
        memory = block.map_memory(memory_fd, self.layout.size)
        self.actions = Actions(plan.batched_actions, self.layout, memory, codec)
        self.infos = Infos(self.layout, memory)
        self.rewards = self.layout.rewards.view(memory)
        self.cursors = self.layout.cursors.view(memory)
        self._flags = self.layout.flags.view(memory)
        self._raw_flags = self._flags.data.cast("B")
        self._ended, self._cut = self._flags.view(np.bool_)
        self.slots = lease.views(self.layout, memory)
        self.delivery = self._deliver(plan, memory, codec)
        self.objects: Objects = [[None] * plan.num_envs for _ in self.observations.objects]

    def _choose(self, plan: Plan, codec: Codec) -> Layout:
        parts, action = self.observations.leaves, action_of(plan.action_space)

        def layout(slots: int) -> Layout:
            return Layout(Shape(plan.num_envs, plan.num_workers, slots, parts, action))

        if plan.copy and codec.trusted and layout(1).observation_bytes >= lease.LEASE_BYTES:
            return layout(lease.LEASED_SLOTS)
        return layout(1 if plan.copy and not plan.recovers else 2)

    def _deliver(self, plan: Plan, memory: Any, codec: Codec) -> lease.Delivery:
        if not plan.copy:
            return lease.Alternating(self.slots)
        if self.layout.observation_bytes < lease.LEASE_BYTES:
            return lease.Copied(self.slots)
        if codec.trusted:
            return lease.Leased(self.layout, memory)
        return lease.Pooled(self.layout, memory)

    def observation(self, slot: int, objects: Sequence[Objects] = ()) -> Any:
        """The observation of all envs that was written into `slot`.

        Args:
            slot: where its arrays are.
            objects: for each worker what it answered of the parts that are objects.
        """
        if self.observations.objects:
            self.objects = _joined(objects)
        return self.observations.join(self.delivery.deliver(slot), self.objects)

    def observation_of_some(
        self, envs: Array, shards: Sequence[tuple[int, slice]], objects: Sequence[Objects]
    ) -> Any:
        """The observation of the envs of some shards, copied.

        Args:
            envs: the envs, those of one shard after those of the other.
            shards: for each the slot and the rows of its arrays.
            objects: for each what it answered of the parts that are objects.
        """
        if self.observations.objects:
            for (_, rows), parts in zip(shards, objects, strict=True):
                for kept, part in zip(self.objects, parts, strict=True):
                    kept[rows] = part
        slots = {slot for slot, _ in shards}
        if len(slots) == 1:
            arrays = [array[envs] for array in self.slots[slots.pop()]]
        else:
            leaves = range(len(self.observations.arrays))
            parts = [[self.slots[slot][leaf][rows] for slot, rows in shards] for leaf in leaves]
            arrays = [np.concatenate(part) for part in parts]
        return self.observations.join(arrays, _joined(objects))

    def outcome(self) -> tuple[Array, Array, Array]:
        """Copies of rewards, terminations and truncations of all envs.

        Raises:
            WorkerProtocolError: a flag is neither true nor false.
        """
        self._check_flags()
        return self.rewards.copy(), self._ended.copy(), self._cut.copy()

    def outcome_of_some(self, envs: Array) -> tuple[Array, Array, Array]:
        """Copies of rewards, terminations and truncations of some envs.

        Raises:
            WorkerProtocolError: a flag is neither true nor false.
        """
        self._check_flags()
        return self.rewards[envs], self._ended[envs], self._cut[envs]

    def _check_flags(self) -> None:
        if bytes(self._raw_flags).translate(None, b"\0\1"):  # the fastest look at all of them
            raise WorkerProtocolError(
                "a worker wrote a flag that is neither true nor false",
                why="something wrote into the shared block that has no business there",
            )

    def rows(self, rows: slice) -> tuple[Array, Array]:
        """Copies of some envs' rewards and flags."""
        return self.rewards[rows].copy(), self._flags[:, rows].copy()

    def observation_of(self, env: int, slot: int) -> Any:
        """One env's last observation."""
        arrays = [np.array(array[env]) for array in self.slots[slot]]
        return self.observations.join_one(arrays, [values[env] for values in self.objects])


def _joined(objects: Sequence[Objects]) -> Objects:
    """The objects of some workers' envs, in the order of the workers."""
    return [[value for part in parts for value in part] for parts in zip(*objects, strict=True)]
