"""Steps a shard of envs in a lean loop on the raw envs, writing their rows in place."""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from . import protocol, states
from .info import Records
from .layout import Layout
from .places import Places, Spot

Call = Callable[[Any], Tuple[Any, Any, Any, Any, Any]]

# Places of a worker's cursor: the row of the env that it is at; and in a replay, many steps in one
# command, a number that grows with each of them, and the command that would have asked for it.
ROW, TURN, DOING = 0, 1, 2

# Where a reward that is no single number goes, see `Stepper`.
REWARD_VECTOR = "reward_vector"


class Block(NamedTuple):
    """A mapped block and this worker's part of it."""

    layout: Layout
    memory: Any
    spot: Spot


class Stepper:
    """Resets and steps the envs of one worker.

    A reward that is a vector or a list counts as its sum, and is carried as it is in
    `info["reward_vector"]`; one of a single element counts as that element.

    Args:
        envs: the raw envs.
        mode: the autoreset mode, a word of `protocol`.
        block: where to write.
        recall: note each env's random state before a reset, for a later replay.

    Attributes:
        calls: for each env what its next step calls: its `step`, or what stands in for it once.
        steps: for each env its `step`.
        infos: infos of this step that are no records, by row.
        troubles: what envs raised in this step, by row.
        states: random states from before this step's resets, by row.
    """

    def __init__(
        self, envs: Sequence[Any], mode: str, block: Block, *, recall: bool = False
    ) -> None:
        layout, memory, spot = block
        self.envs = envs
        self.places = Places(layout, memory, spot)
        self.records = Records(
            layout.kinds.view(memory)[spot.rows], layout.records.view(memory)[spot.rows]
        )
        self._recall = recall
        self._cursor = layout.cursors.view(memory)[spot.worker].data
        self._rewards = layout.rewards.view(memory)[spot.rows].data
        self._flags = [row[spot.rows].data for row in layout.flags.view(memory)]
        self._no_flags = bytes(len(envs))
        self._flagged = True
        self._loop = self._general if self.places.vectors is None else self._lean
        self._finish = {protocol.NEXT_STEP: self._next, protocol.SAME_STEP: self._same}.get(mode)
        self._autoresets = [Autoreset(self, row) for row in range(len(envs))]
        self.calls: List[Call] = []
        self.steps: List[Call] = []
        self.infos: Dict[int, Any] = {}
        self.troubles: Dict[int, BaseException] = {}
        self.states: Dict[int, Any] = {}
        self.bind()
        self.begin(0)

    def bind(self) -> None:
        """Look up the envs' methods again; what stands in for one stays."""
        self.steps = [env.step for env in self.envs]
        self.calls = [
            call if isinstance(call, StandIn) else step
            for call, step in zip(self.calls or self.steps, self.steps)
        ]

    def begin(self, slot: int) -> None:
        """Forget the step before; this one writes its observations into `slot`."""
        self.places.slot = slot
        if self._flagged:
            self._flagged = False
            for flags in self._flags:
                flags[:] = self._no_flags
        self.records.begin()
        for notes in (self.infos, self.troubles, self.states):
            if notes:
                notes.clear()

    @property
    def status(self) -> int:
        """The mark on the answer."""
        return protocol.RECORDS if self.records.any else protocol.DONE

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell beside the block, as after almost every step."""
        return not (
            self.infos or self.records.news or self.places.objects or self.states or self.troubles
        )

    def tell(self) -> Dict[str, Any]:
        """What the client has to know beside the block."""
        told: Dict[str, Any] = {}
        if self.quiet:
            return told
        if self.records.news:
            told["kinds"] = self.records.tell_news()
        if self.infos:
            told["infos"] = self.infos
        if self.places.objects:
            told["objects"] = self.places.left_over()
        if self.states:
            told["states"] = self.states
        return told

    def step(self, actions: Any, slot: int) -> None:
        """Step every env with its action; one that raises does not keep the others from it."""
        self.begin(slot)
        start = 0
        while start < len(self.envs):
            try:
                self._loop(actions, start)
                break
            except BaseException as error:  # noqa: BLE001 — an env may raise SystemExit, too
                start = self._cursor[0]
                self.troubles[start] = error
                start += 1
        self._end_step()

    def reset(self, slot: int, told: Dict[str, Any]) -> None:
        """Reset the envs that the mask picks, all without one; the others keep their row."""
        seeds, options, mask = told["seeds"], told["options"], told["mask"]
        self.begin(slot)
        for row in range(len(self.envs)):
            self._cursor[0] = row
            if mask is not None and not mask[row]:
                self.places.put_again(row)
                continue
            self.calls[row] = self.steps[row]
            try:
                obs, info = self.reset_env(row, seed=seeds[row], options=options)
                self.places.put(row, obs)
                if info:
                    self.infos[row] = dict(info)
            except BaseException as error:  # noqa: BLE001 — as above
                self.troubles[row] = error
        self._end_step()

    def reset_env(self, row: int, **how: Any) -> Any:
        """Reset one env; its random state before it is noted, if it is to be recalled."""
        if self._recall:
            self.states[row] = states.read(self.envs[row])
        return self.envs[row].reset(**how)

    def turn_to(self, row: int, doing: int) -> None:
        """Say what a replay is at, see `ROW`."""
        self._cursor[ROW], self._cursor[DOING] = row, doing
        self._cursor[TURN] += 1

    def expect_autoreset(self, row: int) -> None:
        """Let the env's next step be a reset, if the mode says so."""
        if self._finish == self._next:
            self.calls[row] = self._autoresets[row]

    def _end_step(self) -> None:
        # Now, and not after each env, whose step has driven all this out of the processor's cache.
        if self.infos:
            self.records.take(self.infos)
        self._cursor[0] = -1

    def leave(self) -> None:
        """Say that no env is at anything."""
        self._cursor[ROW] = -1

    def _lean(self, actions: Any, start: int) -> None:
        places, cursor, rewards, calls = self.places, self._cursor, self._rewards, self.calls
        last, keeps, count, infos = places.last, places.keeps, len(places.last), self.infos
        rows = places.vectors[places.slot] if places.vectors else []
        if start:
            calls, actions, rows = calls[start:], actions[start:], rows[start:]
        for i, call, action, row in zip(range(start, count), calls, actions, rows):
            cursor[0] = i
            obs, reward, terminated, truncated, info = call(action)
            if terminated or truncated:
                obs, info = self._end(i, obs, (terminated, truncated), info)
            try:
                row[:] = obs
                if keeps:
                    last[i] = obs
            except (TypeError, ValueError):  # a list, or numbers of another type or shape
                places.put(i, obs)
            try:
                rewards[i] = reward
            except TypeError:
                info = self._odd_reward(i, reward, info)
            if info:
                infos[i] = dict(info)

    def _general(self, actions: Any, start: int) -> None:
        put, cursor, rewards, calls = self.places.put, self._cursor, self._rewards, self.calls
        infos = self.infos
        for i in range(start, len(calls)):
            cursor[0] = i
            obs, reward, terminated, truncated, info = calls[i](actions[i])
            if terminated or truncated:
                obs, info = self._end(i, obs, (terminated, truncated), info)
            put(i, obs)
            try:
                rewards[i] = reward
            except TypeError:
                info = self._odd_reward(i, reward, info)
            if info:
                infos[i] = dict(info)

    def _end(self, row: int, obs: Any, flags: Tuple[Any, Any], info: Any) -> Tuple[Any, Any]:
        self._flagged = True
        for line, flag in zip(self._flags, flags):
            line[row] = bool(flag)
        return (obs, info) if self._finish is None else self._finish(row, obs, info)

    def _next(self, row: int, obs: Any, info: Any) -> Tuple[Any, Any]:
        self.calls[row] = self._autoresets[row]
        return obs, info

    def _same(self, row: int, obs: Any, info: Any) -> Tuple[Any, Any]:
        # Copied first: the reset may write into the very arrays that the env returned.
        final = copy.deepcopy({"final_info": info, "final_obs": obs})
        obs, info = self.reset_env(row)
        return obs, {**final, **info}

    def _odd_reward(self, row: int, reward: Any, info: Any) -> Any:
        vector = np.asarray(reward, np.float64)
        self._rewards[row] = vector.sum()
        return info if vector.size == 1 else {**info, REWARD_VECTOR: vector}


class StandIn:
    """What an env's next step does instead of stepping, once.

    Args:
        stepper: whose env it is.
        row: which one.
    """

    def __init__(self, stepper: Stepper, row: int) -> None:
        self.stepper = stepper
        self.row = row

    def __call__(self, action: Any) -> Any:  # noqa: ARG002 — whatever the action is
        """Stand in for one step."""
        self.stepper.calls[self.row] = self.stepper.steps[self.row]
        return self.result()

    def result(self) -> Any:
        """What the step returns."""
        raise NotImplementedError


class Autoreset(StandIn):
    """The step after the last one of an episode: a reset, whatever the action."""

    def result(self) -> Any:
        """The reset's observation, with no reward."""
        obs, info = self.stepper.reset_env(self.row)
        return obs, 0.0, False, False, info


class Lost(StandIn):
    """The step that ends an episode whose env was lost with its worker."""

    obs: Any = None
    cause: str = ""

    def result(self) -> Any:
        """The last observation that was seen, truncated."""
        return self.obs, 0.0, False, True, {"worker_restarted": True, "worker_failure": self.cause}
