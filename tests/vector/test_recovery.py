"""What happens after a worker was lost, to the bit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tests.vector.zoo import DYNAMIC, Counter, Frames, Sampler, difference

from envhub.errors import EnvRaisedError, WorkerDiedError, WorkerTimeoutError
from envhub.vector import AsyncVectorEnv, diary
from envhub.vector.diary import Diary
from envhub.vector.options import Options
from envhub.vector.patience import Patience
from envhub.vector.pool import Worker
from envhub.worker import protocol
from envhub.worker.doorbell import Bell, LateError
from envhub.worker.places import Spot
from envhub.worker.stepper import TURN

MODES = list(AutoresetMode)


class Doomed(Counter):
    """Ends its process, or raises, when a file says so.

    Args:
        file: the file.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(length=50)
        self.file = file

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self._obey("reset")
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        self._obey("step")
        return super().step(action)

    def _obey(self, when: str) -> None:
        where, _, what = self.file.read_text().partition(" ")
        if where == when:
            sys.stderr.write("last words\n")
            ENDS[what]()


def fail() -> None:
    raise IndexError("not there")


ENDS: dict[str, Callable[[], Any]] = {
    "exit": lambda: os._exit(5),
    "raise": fail,
    "hang": signal.pause,
}


class Drifting(Sampler):
    """Starts from somewhere else in each process."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.full(3, os.getpid() % 1000, np.float32), {}


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """The file that a `Doomed` env obeys."""
    file = tmp_path / "orders"
    file.write_text("")
    return file


def play(envs: Any, steps: int, lose: bool) -> Iterator[Any]:
    """Step; lose a worker now and then."""
    envs.action_space.seed(3)
    yield envs.reset(seed=5)
    ended = np.zeros(envs.num_envs, bool)
    for number in range(steps):
        if lose and number % 7 == 3:
            os.kill(envs.workers[number % 2].pid, signal.SIGKILL)
        if ended.any() and envs.autoreset_mode is AutoresetMode.DISABLED:
            yield envs.reset(options={"reset_mask": ended.copy()})
        outcome = envs.step(envs.action_space.sample())
        ended = outcome[2] | outcome[3]
        yield outcome


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
@pytest.mark.parametrize(
    "make",
    [
        partial(gym.make, "CartPole-v1"),
        partial(Sampler, infos=lambda rng: {"x": float(rng.random())}),
        partial(Sampler, DYNAMIC),
        partial(Sampler, action_space=gym.spaces.Text(3)),
        Frames,
    ],
    ids=["cartpole", "sampler", "dynamic", "text-actions", "frames"],
)
def test_replay_is_as_if_nothing_had_happened(make: Any, mode: AutoresetMode) -> None:
    """With replay, a run that loses workers is the run that loses none, bit for bit."""
    sync = SyncVectorEnv([make] * 4, autoreset_mode=mode)
    envs = AsyncVectorEnv(
        [make] * 4, autoreset_mode=mode, num_workers=2, on_worker_failure="replay"
    )
    pairs = zip(play(envs, 20, lose=True), play(sync, 20, lose=False), strict=True)
    for step, (got, expected) in enumerate(pairs):
        assert not (found := difference(got, expected)), f"step {step}{found}"
    assert len(envs.failures) == 3
    assert all("SIGKILL" in str(failure) for failure in envs.failures)
    envs.close()
    sync.close()


def test_replay_from_the_systems_entropy() -> None:
    """An unseeded run is replayed, too: its random state was noted before it was used."""
    envs = AsyncVectorEnv([Sampler] * 2, num_workers=1, on_worker_failure="replay")
    first, _ = envs.reset()
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    states = [generator.bit_generator.state for generator in envs.np_random]
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    again = [generator.bit_generator.state for generator in envs.np_random]
    assert states == again
    assert first.shape == (2, 3)
    envs.close()


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
@pytest.mark.parametrize("seed", [3, None])
def test_restart_truncates(mode: AutoresetMode, seed: int | None) -> None:
    """With restart, the lost episodes are truncated at their last observation, with the cause."""
    envs = AsyncVectorEnv(
        [partial(Sampler, odds=0.0)] * 4,
        autoreset_mode=mode,
        num_workers=2,
        on_worker_failure="restart",
    )
    envs.reset(seed=seed)
    actions = np.zeros(4, np.int64)
    before = envs.step(actions)[0]
    os.kill(envs.workers[1].pid, signal.SIGKILL)
    obs, rewards, ended, cut, infos = envs.step(actions)
    assert cut.tolist() == [False, False, True, True]
    assert not ended.any()
    assert rewards[2:].tolist() == [0, 0]
    same_step = mode is AutoresetMode.SAME_STEP
    last = np.stack(infos["final_obs"][2:]) if same_step else obs[2:]
    told = infos["final_info"] if same_step else infos
    assert np.array_equal(last, before[2:])
    assert told["worker_restarted"].tolist() == [False, False, True, True]
    assert "SIGKILL" in told["worker_failure"][2]
    if mode is AutoresetMode.DISABLED:
        envs.reset(options={"reset_mask": cut})
    assert not envs.step(actions)[3].any()
    envs.close()


def test_restart_is_the_same_in_each_run() -> None:
    """The episodes after a loss are others, and the same ones whenever it happens again."""

    def run() -> Any:
        envs = AsyncVectorEnv([Sampler], on_worker_failure="restart")
        outcomes = [envs.reset(seed=3)[0]]
        for _ in range(2):
            os.kill(envs.workers[0].pid, signal.SIGKILL)
            outcomes += [envs.step(np.zeros(1, np.int64))[0] for _ in range(3)]
        envs.close()
        return outcomes

    first = run()
    assert not difference(first, run())
    assert not np.array_equal(first[3], first[6])


def test_divergence_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """An env that does not go the same way again is truncated, and the cause says so."""
    envs = AsyncVectorEnv([Drifting] * 2, num_workers=1, on_worker_failure="replay")
    envs.reset(seed=0)
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    *_, cut, infos = envs.step(np.zeros(2, np.int64))
    assert cut.all()
    assert "could not be replayed" in infos["worker_failure"][0]
    assert "starting a new one" in caplog.text
    envs.close()


def test_attributes_are_set_again() -> None:
    """What was set in an env is set in its successor, too."""
    envs = AsyncVectorEnv([Counter] * 2, on_worker_failure="replay", num_workers=1)
    envs.set_attr("length", [3, 4])
    envs.set_attr("length", [8, 9])
    envs.reset()
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    assert envs.get_attr("length") == (8, 9)
    envs.close()


def test_losses_in_a_reset(orders: Path) -> None:
    """A reset whose worker was lost is done by its successor."""
    make = partial(Doomed, orders)
    envs = AsyncVectorEnv([make] * 2, num_workers=2, on_worker_failure="restart")
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    assert (envs.reset(seed=1)[0] == 0).all()
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    observations, _ = envs.reset(options={"reset_mask": np.array([False, True])})
    assert (observations == 0).all()
    *_, cut, _ = envs.step(np.zeros(2, np.int64))
    assert cut.tolist() == [True, False]
    envs.close()


def step_on(envs: AsyncVectorEnv) -> None:
    """Step a few times."""
    for _ in range(9):
        envs.step(np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("order", "kind", "words"),
    [
        ("step exit", WorkerDiedError, "exit code 5"),
        ("step raise", EnvRaisedError, "had an env that raised"),
        ("step hang", WorkerTimeoutError, "did not answer in time"),
        ("reset exit", WorkerDiedError, r"during (replay|lose)"),
    ],
)
@pytest.mark.parametrize("mode", ["restart", "replay"])
def test_a_crash_loop_ends(
    order: str, kind: type[Exception], words: str, mode: str, orders: Path
) -> None:
    """Failure after failure without a step between ends in an error, with what was printed last."""
    envs = AsyncVectorEnv(
        [partial(Doomed, orders)] * 2,
        num_workers=1,
        on_worker_failure=mode,
        max_restarts=2,
        step_timeout=0.2,
        start_timeout=5,
    )
    envs.reset(seed=0)
    orders.write_text(order)
    if order == "reset exit":
        os.kill(envs.workers[0].pid, signal.SIGKILL)
    with pytest.raises(kind, match=words) as caught:
        step_on(envs)
    error: Any = caught.value
    assert "2 times in a row" in error.hint
    assert "last words" in error.why
    assert order != "step raise" or "IndexError" in error.why
    envs.close()


def test_an_exception_is_a_loss_of_the_shard(orders: Path) -> None:
    """With recovery, an env that raises once is replaced like a worker that died."""
    envs = AsyncVectorEnv([partial(Doomed, orders)] * 2, num_workers=1, on_worker_failure="restart")
    envs.reset(seed=0)
    orders.write_text("step raise")
    *_, cut, infos = envs.step(np.zeros(2, np.int64))
    assert cut.all()
    assert "at env 0" in infos["worker_failure"][0]
    orders.write_text("")
    assert not envs.step(np.zeros(2, np.int64))[3].any()
    envs.close()


def test_timeouts_without_recovery(orders: Path) -> None:
    """A step or reset beyond its time is an error that names the env."""
    for when in ("step", "reset"):
        orders.write_text("")
        options: Any = {f"{when}_timeout": 0.1}
        envs = AsyncVectorEnv([partial(Doomed, orders)] * 2, num_workers=2, **options)
        envs.reset()
        orders.write_text(f"{when} hang")
        call = envs.reset if when == "reset" else partial(envs.step, np.zeros(2, np.int64))
        with pytest.raises(WorkerTimeoutError, match=f"during {when}, at env 0"):
            call()
        envs.close()


@pytest.mark.parametrize("when", ["step", "reset"])
def test_a_replay_that_hangs(when: str, orders: Path) -> None:
    """Each step and reset of a replay has the time that it would have had, and no more."""
    options: Any = {f"{when}_timeout": 0.2, "max_restarts": 2}
    envs = AsyncVectorEnv(
        [partial(Doomed, orders)] * 2, num_workers=1, on_worker_failure="replay", **options
    )
    envs.reset(seed=0)
    envs.step(np.zeros(2, np.int64))
    orders.write_text(f"{when} hang")
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    begun = time.monotonic()
    with pytest.raises(WorkerTimeoutError, match="during replay, at env 0"):
        envs.step(np.zeros(2, np.int64))
    assert 0.4 < time.monotonic() - begun < 10
    envs.close()


class Slow(Counter):
    """Takes 20 ms for a step."""

    def step(self, action: Any) -> Any:
        time.sleep(0.02)
        return super().step(action)


def test_a_replay_of_many_steps() -> None:
    """A replay may take longer than a step: what counts is how long each of its steps takes."""
    options: Any = {"step_timeout": 0.5, "reset_timeout": 0.5}
    envs = AsyncVectorEnv([partial(Slow, length=99)], on_worker_failure="replay", **options)
    envs.reset(seed=0)
    for _ in range(30):
        envs.step(np.zeros(1, np.int64))
    os.kill(envs.workers[0].pid, signal.SIGKILL)
    assert envs.step(np.zeros(1, np.int64))[0][0, 0] == 31
    assert [failure.code for failure in envs.failures] == [-signal.SIGKILL]
    envs.close()


def test_a_replay_for_ever() -> None:
    """A worker that says that it goes on and on has no more time than all of its steps have."""
    worker = Worker(Spot(0, 0, 1))
    read, write = os.pipe()
    worker.bell = Bell(read, os.dup(write))
    cursor, over = np.full(16, protocol.STEP, np.int32), threading.Event()

    def go_on() -> None:
        while not over.wait(0.01):
            cursor[TURN] += 1

    liar = threading.Thread(target=go_on)
    liar.start()
    with pytest.raises(LateError):
        Patience(Options(step_timeout=0.1, reset_timeout=1)).watch(worker, cursor, (0, 3))
    over.set()
    liar.join()
    worker.bell.close()
    os.close(write)


def test_a_start_that_hangs() -> None:
    """A factory beyond its time is an error."""
    with pytest.raises(WorkerTimeoutError, match="during build"):
        AsyncVectorEnv([signal.pause], start_timeout=0.1)  # type: ignore[list-item]  # never returns


def rows(number: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Actions, rewards and flags of a step of two envs."""
    return np.full(2, number), np.full(2, float(number)), np.zeros((2, 2), np.uint8)


def test_a_diary_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A diary keeps what is needed and no more; beyond its bound, episodes cannot be replayed."""
    pages = Diary(2, steps=True)
    pages.note_reset({"seeds": [1, 2], "options": None, "mask": None}, {})
    for number in range(10):
        pages.note_step(*rows(number), {0: "state"} if number == 6 else {})
    told = pages.tell(pages.replayable(), bytes)
    assert [episode["start"] for episode in told["episodes"]] == [7, 0]
    assert len(told["actions"]) == 10
    pages.note_step(*rows(10), {1: "state"})
    told = pages.tell([0, 1], bytes)
    assert [episode["start"] for episode in told["episodes"]] == [0, 4]
    assert len(pages._steps) == 4
    monkeypatch.setattr(diary, "MAX_BYTES", 300)
    for number in range(10):
        pages.note_step(*rows(number), {0: "state"} if number == 9 else {})
    assert pages._bytes <= 300
    assert pages.replayable() == [0]
    pages.note_loss([0])
    assert pages.replayable() == []
