"""Run a policy for N episodes and say exactly what happened in each.

Episodes are played in rounds: every sub-env plays one episode, from a seed of its own, and what it
does after the end of that episode is not counted. So the numbers do not depend on the autoreset
mode, short episodes are not preferred, and episode `k` starts from seed `seed + k` whatever
`num_envs` is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from envhub.errors import ArgumentError

AnyVectorEnv: TypeAlias = VectorEnv[Any, Any, Any]
Policy: TypeAlias = Callable[[Any], Any]
"""Batched observations → batched actions. A `reset()` method, if any, is called every round."""
Mask: TypeAlias = NDArray[np.bool_]
Record: TypeAlias = Callable[[AnyVectorEnv, Mask], None]
"""Called after each reset and step of the first round with the sub-envs still in an episode."""
OnStep: TypeAlias = Callable[[int, int], None]
"""Called after each step with the number of finished episodes and of env steps so far."""
Task: TypeAlias = tuple[str, str | int]

_SUCCESS = ("is_success", "success")


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode.

    Attributes:
        seed: what the env was reset with.
        return_: sum of the rewards.
        length: steps.
        success: what the env's info said at the last step; `None` if it never says.
        max_reward: the largest reward of a step.
        end: `terminated`, `truncated` by the env, or `cut` at `max_steps`.
    """

    seed: int
    return_: float
    length: int
    success: bool | None
    max_reward: float
    end: str

    def as_dict(self) -> dict[str, Any]:
        """The fields by the names that people know, ready for JSON."""
        return {
            "seed": self.seed,
            "return": self.return_,
            "length": self.length,
            "success": self.success,
            "max_reward": self.max_reward,
            "end": self.end,
        }


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a policy did in an env.

    Attributes:
        episodes: in the order of their seeds.
        steps: env steps taken, those after the end of an episode included.
        seconds: time spent in the policy and in the env.
    """

    episodes: tuple[Episode, ...]
    steps: int
    seconds: float

    @property
    def steps_per_second(self) -> float:
        """Env steps per second, over all sub-envs."""
        return self.steps / self.seconds if self.seconds else 0.0

    @property
    def mean_return(self) -> float:
        """Mean of the episodes' returns."""
        return float(np.mean([episode.return_ for episode in self.episodes]))

    @property
    def mean_length(self) -> float:
        """Mean of the episodes' lengths, in steps."""
        return float(np.mean([episode.length for episode in self.episodes]))

    @property
    def success_rate(self) -> float | None:
        """Share of episodes that succeeded, in [0, 1]; `None` if the env never says."""
        known = [episode.success for episode in self.episodes if episode.success is not None]
        return sum(known) / len(known) if known else None

    def as_dict(self) -> dict[str, Any]:
        """Means, speed and every episode, ready for JSON."""
        return {
            "mean_return": self.mean_return,
            "mean_length": self.mean_length,
            "success_rate": self.success_rate,
            "steps": self.steps,
            "seconds": self.seconds,
            "steps_per_second": self.steps_per_second,
            "episodes": [episode.as_dict() for episode in self.episodes],
        }


@dataclass(frozen=True, slots=True)
class TaskRollout:
    """What happened in one task: a rollout, or the error that ended it."""

    suite: str
    task: str | int
    rollout: Rollout | None
    error: Exception | None = None


def rollout(
    env: AnyVectorEnv,
    policy: Policy,
    *,
    episodes: int,
    max_steps: int | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
    record: Record | None = None,
) -> Rollout:
    """Run `policy` in `env` for `episodes` episodes.

    Args:
        env: any vector env; it is reset, and left open.
        policy: batched observations → batched actions, both of `num_envs` rows.
        episodes: how many.
        max_steps: steps after which an episode is cut; `None` waits for its end.
        seed: episode `k` is reset with `seed + k`.
        on_step: told about the progress.
        record: films the first round, see `video.Recorder.capture`.

    Raises:
        ArgumentError: a number is out of range.
    """
    _check(episodes=episodes, max_steps=max_steps, seed=seed)
    player = _Player(env, policy, max_steps, on_step or _ignore)
    for first in range(0, episodes, env.num_envs):
        count = min(env.num_envs, episodes - first)
        player.play(seed + first, count, record if first == 0 else None)
    return Rollout(_known_success(player.episodes), player.steps, player.seconds)


def rollout_tasks(
    envs: Mapping[str, Mapping[Any, AnyVectorEnv]],
    run: Callable[[Task, AnyVectorEnv], Rollout],
    *,
    wanted: Callable[[Task], bool] | None = None,
) -> Iterator[TaskRollout]:
    """Run something in each task, and go on with the others if one fails.

    Args:
        envs: suites of tasks; a task's env is asked for when its turn comes.
        run: `rollout` with a policy of its own, so that no policy's state leaks into the next task.
        wanted: which tasks to run; all by default.
    """
    for task in [(suite, key) for suite, members in envs.items() for key in members]:
        if wanted and not wanted(task):
            continue
        try:
            yield TaskRollout(*task, run(task, envs[task[0]][task[1]]))
        except Exception as error:  # noqa: BLE001 - a stranger's env may raise anything, and the other tasks' results must not be lost with it
            yield TaskRollout(*task, None, error)


class _Player:
    """Plays rounds in one env and keeps the finished episodes."""

    def __init__(
        self, env: AnyVectorEnv, policy: Policy, max_steps: int | None, on_step: OnStep
    ) -> None:
        self.env = env
        self.policy = policy
        self.max_steps = max_steps
        self.on_step = on_step
        self.mode = autoreset_mode(env)
        self.episodes: list[Episode] = []
        self.steps = 0
        self.seconds = 0.0

    def play(self, seed: int, count: int, record: Record | None) -> None:
        """One episode in each of the first `count` sub-envs."""
        tally = _Tally(self.env.num_envs, count, self.mode)
        observations, _ = self.env.reset(seed=seed)
        getattr(self.policy, "reset", _ignore)()
        if record:
            record(self.env, tally.alive.copy())
        while tally.alive.any():
            filmed = tally.alive
            observations, ended = self._step(observations, tally)
            if record:
                # In SAME_STEP a finished sub-env already shows the next episode.
                same = self.mode is AutoresetMode.SAME_STEP
                record(self.env, filmed & ~ended if same else filmed.copy())
            self.on_step(len(self.episodes) + count - int(tally.alive.sum()), self.steps)
        self.episodes += tally.episodes(seed, count)

    def _step(self, observations: Any, tally: _Tally) -> tuple[Any, Mask]:
        begin = time.perf_counter()
        observations, *outcome, info = self.env.step(self.policy(observations))
        reward, terminated, truncated = map(_numpy, outcome)
        ended = np.asarray(terminated | truncated, dtype=np.bool_)
        tally.add(reward, terminated, truncated, info)
        if tally.steps == self.max_steps:
            tally.cut(info)
        if self.mode is AutoresetMode.DISABLED and ended.any() and tally.alive.any():
            # A finished sub-env must not be stepped, and the others wait for their end.
            observations, _ = self.env.reset(options={"reset_mask": ended})
        self.seconds += time.perf_counter() - begin
        self.steps += self.env.num_envs
        return observations, ended


class _Tally:
    """Adds up one episode per sub-env, and nothing of what comes after its end.

    Attributes:
        alive: which sub-envs are in an episode that counts, shape `(num_envs,)`.
        steps: steps taken in this round.
    """

    def __init__(self, num_envs: int, count: int, mode: AutoresetMode) -> None:
        self.alive: Mask = np.arange(num_envs) < count
        self.steps = 0
        self._mode = mode
        self._returns = np.zeros(num_envs)
        self._max = np.full(num_envs, -np.inf)
        self._lengths = np.zeros(num_envs, dtype=np.int64)
        self._success: list[bool | None] = [None] * num_envs
        self._ends = [""] * num_envs

    def add(
        self, reward: NDArray[Any], terminated: NDArray[Any], truncated: NDArray[Any], info: Any
    ) -> None:
        """Count one step of all sub-envs."""
        self.steps += 1
        self._returns[self.alive] += reward[self.alive]
        self._lengths[self.alive] += 1
        self._max = np.where(self.alive, np.maximum(self._max, reward), self._max)
        self._finish(self.alive & terminated.astype(np.bool_), "terminated", info)
        self._finish(self.alive & truncated.astype(np.bool_), "truncated", info)

    def cut(self, info: Any) -> None:
        """End all episodes that are still going."""
        self._finish(self.alive, "cut", info)

    def episodes(self, seed: int, count: int) -> list[Episode]:
        """The finished episodes; sub-env `i` was seeded with `seed + i`."""
        return [
            Episode(
                seed + index,
                float(self._returns[index]),
                int(self._lengths[index]),
                self._success[index],
                float(self._max[index]),
                self._ends[index],
            )
            for index in range(count)
        ]

    def _finish(self, which: Mask, end: str, info: Any) -> None:
        for index in map(int, np.flatnonzero(which)):
            self._ends[index] = end
            cut = end == "cut"
            self._success[index] = _flag(info, index) if cut else _success(info, index, self._mode)
        self.alive = self.alive & ~which


def autoreset_mode(env: AnyVectorEnv) -> AutoresetMode:
    """What `env` does when an episode ends; Gymnasium's default where it does not say."""
    metadata = getattr(env, "metadata", None) or {}
    mode = metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
    return mode if isinstance(mode, AutoresetMode) else AutoresetMode(mode)


def _success(info: Any, index: int, mode: AutoresetMode) -> bool | None:
    """Whether the episode that sub-env `index` just ended succeeded."""
    final = _final_info(info, index)
    if final is not None:
        return _flag(*final)
    # In SAME_STEP everything outside final_info is of the next episode.
    return None if mode is AutoresetMode.SAME_STEP else _flag(info, index)


def _final_info(info: Any, index: int | None) -> tuple[Any, int | None] | None:
    """The info of the last step where a vector env keeps it apart, and the index to read it at."""
    final = info.get("final_info")
    if final is None or not _is_set(info, "final_info", index):
        return None
    if isinstance(final, Mapping):
        return final, index
    # A list or object array has one dict per sub-env.
    return (final[index] or {}, None) if index is not None else None


def _flag(info: Any, index: int | None) -> bool | None:
    """The first known success key that is set, here or in a `final_info` of the env's own."""
    for name in _SUCCESS:
        if name not in info or not _is_set(info, name, index):
            continue
        values = _numpy(info[name])
        value = np.asarray(values[index] if values.ndim and index is not None else values)
        if value.size == 1 and isinstance(value.item(), bool | int | float):
            return bool(value.item())
    final = _final_info(info, index)
    return _flag(*final) if final else None


def _is_set(info: Any, name: str, index: int | None) -> bool:
    """Whether the vector env says that sub-env `index` reported `name`."""
    mask = info.get(f"_{name}")
    return mask is None or index is None or bool(mask[index])


def _known_success(episodes: list[Episode]) -> tuple[Episode, ...]:
    """Silence means failure, once an env has reported a success or a failure at all.

    Many envs report a success and say nothing otherwise: leaving those episodes out would make
    every rate 100 %.
    """
    if all(episode.success is None for episode in episodes):
        return tuple(episodes)
    return tuple(replace(episode, success=bool(episode.success)) for episode in episodes)


def _numpy(values: Any) -> NDArray[Any]:
    """An array of a batch that may live on an accelerator."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def _ignore(*_: int) -> None:
    """Nobody wants to know."""


def _check(**numbers: int | None) -> None:
    for name, value in numbers.items():
        least = 0 if name == "seed" else 1
        if value is None and name == "max_steps":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ArgumentError(
                f"{name} must be a whole number of at least {least}, got {value!r}",
                hint=f"{name}={least}",
            )
