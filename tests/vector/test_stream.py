"""`send` and `recv`: first come, first served, and nothing lost, doubled or mixed up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.vector import SyncVectorEnv
from tests.vector.zoo import DYNAMIC, Counter, Frames, Sampler, difference

from envhub.errors import ArgumentError, WorkerTimeoutError
from envhub.vector import AsyncVectorEnv


class Late(Counter):
    """Takes as many tenths of a second as its action says."""

    def step(self, action: Any) -> Any:
        time.sleep(float(action) / 10)
        return super().step(action)


def play(envs: AsyncVectorEnv, turns: int) -> list[list[Any]]:
    """Send what depends on the env only; for each env the list of its outcomes."""
    envs.async_reset(seed=3)
    found: list[list[Any]] = [[] for _ in range(envs.num_envs)]
    for _ in range(turns):
        obs, rewards, ended, cut, infos = envs.recv()
        ids = infos.pop("env_id")
        for place, env in enumerate(ids.tolist()):
            found[env].append((_row(obs, place), rewards[place], ended[place], cut[place]))
        envs.send(ids % 3, ids)
    for _ in range(envs.num_envs // len(ids)):
        envs.recv()
    return found


def _row(obs: Any, place: int) -> Any:
    if isinstance(obs, dict):
        return {key: part[place] for key, part in obs.items()}
    return obs[place].copy() if isinstance(obs, np.ndarray) else obs[place]


@pytest.mark.parametrize("space", [None, DYNAMIC, spaces.Text(4)], ids=["box", "nested", "text"])
@pytest.mark.parametrize("batch", [2, 4, 6])
def test_each_env_is_its_own(space: Any, batch: int) -> None:
    """Whatever comes first, each env's outcomes are those that it has in lock-step."""
    make = partial(Sampler, space) if space else Sampler
    envs = AsyncVectorEnv([make] * 6, batch_size=batch, num_workers=3)
    found = play(envs, 30)
    envs.close()
    sync = SyncVectorEnv([make] * 6)
    obs, _ = sync.reset(seed=3)
    expected = [[(_row(obs, env), np.float64(0), np.False_, np.False_)] for env in range(6)]
    for _ in range(max(map(len, found))):
        obs, rewards, ended, cut, _ = sync.step(np.arange(6) % 3)
        for env in range(6):
            expected[env].append((_row(obs, env), rewards[env], ended[env], cut[env]))
    for ours, theirs in zip(found, expected, strict=True):
        assert not difference(ours, theirs[: len(ours)])


def test_batches_of_envs_at_different_steps() -> None:
    """Where two observations are kept for a replay, a batch takes each env's own last one."""
    envs = AsyncVectorEnv([Counter] * 6, batch_size=4, num_workers=3, on_worker_failure="replay")
    envs.reset(seed=0)
    counts = np.zeros(6, int)
    envs.send(np.zeros(6, np.int64))
    for _ in range(40):
        obs, *_, infos = envs.recv()
        ids = infos["env_id"]
        counts[ids] += 1
        assert (obs[:, 0] == counts[ids] % 6).all()
        envs.send(np.zeros(4, np.int64), ids)
    envs.close()


def test_the_first_are_served_first() -> None:
    """Fast envs are not held up by slow ones."""
    envs = AsyncVectorEnv([Late] * 4, batch_size=1, num_workers=4)
    envs.reset()
    envs.send(np.array([3, 0, 2, 1]))
    order = [int(envs.recv()[4]["env_id"][0]) for _ in range(4)]
    envs.close()
    assert order == [1, 3, 2, 0]


def test_some_envs_again() -> None:
    """Envs that were served step again while others are still at their first step."""
    envs = AsyncVectorEnv([Late] * 2, batch_size=1, num_workers=2)
    envs.reset()
    envs.send(np.array([3, 0]))
    for count in (1, 2, 3):
        obs, *_, infos = envs.recv()
        assert infos["env_id"].tolist() == [1]
        assert obs[0, 0] == count
        envs.send(np.array([0]), infos["env_id"])
    assert {int(envs.recv()[4]["env_id"][0]) for _ in "ab"} == {0, 1}
    assert (envs.step(np.array([0, 0]))[0][:, 0] == [2, 5]).all()
    envs.close()


def test_order_of_ids() -> None:
    """Actions belong to the ids beside them, in whatever order those are."""
    envs = AsyncVectorEnv([Counter] * 4, num_workers=2)
    envs.reset()
    envs.send(np.array([3, 0, 2, 1]), [3, 0, 2, 1])
    _, rewards, _, _, infos = envs.recv()
    assert rewards.tolist() == infos["env_id"].tolist()
    envs.send([2, 1, 0, 3], [1, 0, 3, 2])
    _, rewards, _, _, infos = envs.recv()
    assert rewards[np.argsort(infos["env_id"])].tolist() == [1, 2, 3, 0]
    envs.close()


def test_infos_of_a_batch() -> None:
    """Infos have the length of the batch, and say which envs they are of."""
    envs = AsyncVectorEnv([Counter] * 4, batch_size=2, num_workers=2)
    envs.reset()
    envs.send(np.zeros(4, np.int64))
    for _ in range(2):
        infos = envs.recv()[4]
        assert infos["count"].tolist() == [1, 1]
        assert infos["_count"].tolist() == [True, True]
        assert infos["env_id"].tolist() in ([0, 1], [2, 3])
    envs.close()


def test_mistakes() -> None:
    """What cannot be served is refused, and nothing is disturbed by it."""
    envs = AsyncVectorEnv([Counter] * 4, batch_size=2, num_workers=2)
    envs.reset()
    with pytest.raises(NoAsyncCallError, match="without a prior `send`"):
        envs.recv()
    with pytest.raises(ArgumentError, match="each once"):
        envs.send(np.zeros(1, np.int64), [0])
    with pytest.raises(ArgumentError, match="each once"):
        envs.send(np.zeros(2, np.int64), [0, 0])
    with pytest.raises(ValueError, match="argument 2 is longer"):
        envs.send(np.zeros(3, np.int64), [0, 1])
    envs.send(np.zeros(2, np.int64), [0, 1])
    for again in (
        lambda: envs.send(np.zeros(2, np.int64), [0, 1]),
        lambda: envs.step(np.zeros(4, np.int64)),
        envs.reset,
        lambda: envs.call("length"),
    ):
        with pytest.raises(AlreadyPendingCallError):
            again()
    envs.recv()
    envs.step_async(np.zeros(4, np.int64))
    with pytest.raises(AlreadyPendingCallError):
        envs.send(np.zeros(4, np.int64))
    assert (envs.step_wait()[0][:, 0] == [2, 2, 1, 1]).all()
    envs.close()


@pytest.mark.parametrize(("num_envs", "workers", "batch"), [(4, 2, 1), (5, 2, 2), (4, 1, 2)])
def test_batches_of_whole_shards(num_envs: int, workers: int, batch: int) -> None:
    """A batch is made of whole shards, or the vector env is refused with what would work."""
    with pytest.raises(ArgumentError, match="multiple of num_envs / num_workers"):
        AsyncVectorEnv([Counter] * num_envs, num_workers=workers, batch_size=batch)


def test_patience() -> None:
    """`recv` gives up when it was told to; what is late is received the next time."""
    envs = AsyncVectorEnv([Late] * 2, num_workers=2)
    envs.reset()
    envs.send(np.array([2, 0]))
    with pytest.raises(multiprocessing.TimeoutError, match="`recv` has timed out"):
        envs.recv(timeout=0.05)
    assert (envs.recv()[0][:, 0] == 1).all()
    envs.close()


def test_large_observations() -> None:
    """Large observations are copied out, beside those that are leased in lock-step."""
    envs = AsyncVectorEnv([lambda: Frames(64)] * 2, batch_size=1, num_workers=2)
    held, _ = envs.reset(seed=0)
    kept = {key: array.copy() for key, array in held.items()}
    envs.send(envs.action_space.sample())
    for _ in range(6):
        *_, infos = envs.recv()
        envs.send(np.zeros((1, 2), np.float32), infos["env_id"])
    assert not difference(held, kept)
    envs.close()


def test_a_loss_in_between() -> None:
    """A worker that dies or hangs while others are served is replaced, and its step repeated."""
    options: Any = {"on_worker_failure": "replay", "step_timeout": 0.3}
    envs = AsyncVectorEnv([Counter] * 4, batch_size=2, num_workers=2, **options)
    envs.reset(seed=0)
    envs.send(np.zeros(4, np.int64))
    counts = np.zeros(4, int)
    for turn in range(20):
        obs, *_, infos = envs.recv()
        ids = infos["env_id"]
        counts[ids] += 1
        assert (obs[:, 0] == counts[ids] % 6).all()
        if turn % 5 == 2:
            os.kill(envs.workers[turn % 2].pid, (signal.SIGKILL, signal.SIGSTOP)[turn % 3 % 2])
        envs.send(np.zeros(2, np.int64), ids)
    assert envs.failures
    envs.close()


def test_hung_for_good() -> None:
    """Without recovery, a worker that hangs is an error that names it."""
    envs = AsyncVectorEnv([Late] * 2, batch_size=1, num_workers=2, step_timeout=0.1)
    envs.reset()
    envs.send(np.array([0, 90]))
    envs.recv()
    with pytest.raises(WorkerTimeoutError, match=r"worker 1 .* did not answer in time.*at env 1"):
        envs.recv()
    envs.close()
