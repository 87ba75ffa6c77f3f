"""Workers that nobody trusts: only plain values are taken, and nonsense is an error."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tests.vector.zoo import DYNAMIC, Counter, Frames, Native, Sampler, difference

from envhub.errors import EnvRaisedError, WorkerProtocolError
from envhub.vector import AsyncVectorEnv, BatchedVectorEnv, starts
from envhub.vector.options import Options
from envhub.vector.planning import Wanted
from envhub.worker import birth, protocol
from envhub.worker.codec import Codec, Plain
from envhub.worker.doorbell import HEADER, Bell
from envhub.worker.host import Host
from envhub.worker.local import Ends
from envhub.worker.places import Spot

Twist = Callable[[Host], None]
MODES = list(AutoresetMode)


class Strangers:
    """Forks workers that are not trusted.

    Args:
        makes: the env factories.
        twist: changes a worker before it serves.
    """

    def __init__(self, makes: list[Callable[[], Any]], twist: Twist = lambda host: None) -> None:
        self.codec: Codec = Plain()
        self.makes = makes
        self.twist = twist

    def start(self, spot: Spot, ends: Ends, *, spin: bool) -> starts.Started:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                birth.begin(ends.log_fd, parent, die_with_parent=True)
                bell = Bell(ends.read_fd, ends.write_fd, spin=spin)
                find = lambda told: self.makes[spot.lo : spot.hi]  # noqa: E731 — one line, once
                host = Host(bell, self.codec, spot, ends.memory_fd, find)
                self.twist(host)
                host.serve()
            finally:
                os._exit(0)
        return starts.Started(starts.Child(pid), {})

    def cause(self, process: starts.Process) -> str:
        return ""


def strange(
    makes: list[Callable[[], Any]],
    twist: Twist = lambda host: None,
    mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    **options: Any,
) -> AsyncVectorEnv:
    """A vector env of workers that are not trusted."""
    wanted = Wanted("same", mode)
    return AsyncVectorEnv.started_by(
        Strangers(makes, twist), len(makes), wanted, Options(num_workers=2, **options)
    )


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
@pytest.mark.parametrize(
    "make",
    [
        partial(gym.make, "CartPole-v1"),
        partial(Sampler, DYNAMIC),
        partial(Sampler, action_space=spaces.Tuple((spaces.Text(2), spaces.Discrete(3)))),
        partial(Sampler, infos=lambda rng: {"list": [1, 2], "array": rng.random(2), "t": "text"}),
        Frames,
    ],
    ids=["cartpole", "dynamic", "tuple-actions", "infos", "frames"],
)
def test_plain_values_pass(make: Any, mode: AutoresetMode) -> None:
    """What is plain passes the border unchanged: the envs are those of `SyncVectorEnv`."""
    envs, sync = strange([make] * 3, mode=mode), SyncVectorEnv([make] * 3, autoreset_mode=mode)
    assert envs.observation_space == sync.observation_space
    assert not difference(envs.reset(seed=4), sync.reset(seed=4))
    sync.action_space.seed(2)
    ended = np.zeros(3, bool)
    for _ in range(60):
        if ended.any() and mode is AutoresetMode.DISABLED:
            options = [{"reset_mask": ended.copy()} for _ in "ab"]
            assert not difference(envs.reset(options=options[0]), sync.reset(options=options[1]))
        actions = sync.action_space.sample()
        got, expected = envs.step(actions), sync.step(actions)
        assert not difference(got, expected)
        ended = got[2] | got[3]
    assert envs.call("odds" if "odds" in dir(make()) else "metadata")
    envs.close()


def test_replay_passes_the_border() -> None:
    """Recovery works without trust, too."""
    envs = strange([Sampler] * 2, on_worker_failure="replay")
    sync = SyncVectorEnv([Sampler] * 2)
    assert not difference(envs.reset(seed=4), sync.reset(seed=4))
    for turn in range(30):
        if turn % 10 == 5:
            envs.workers[turn // 10 % 2].process.kill()
        actions = np.array([turn % 3, 1])
        assert not difference(envs.step(actions), sync.step(actions))
    assert len(envs.failures) == 3
    envs.close()


def test_what_is_not_plain_stays_behind() -> None:
    """An info that could be code is left out, with one warning."""
    envs = strange([partial(Sampler, infos=lambda rng: {"x": 1.0, "code": print, "s": "s"})] * 2)
    with pytest.warns(UserWarning, match="infos code stay behind"):
        _, infos = envs.reset(seed=1)
    assert infos.keys() == {"x", "_x", "s", "_s"}
    assert envs.step([0, 0])[4].keys() == infos.keys()
    envs.close()


def test_private_memory() -> None:
    """A large observation is copied out: what a worker writes later does not reach the caller."""
    envs = strange([lambda: Frames(64)] * 2)
    held, _ = envs.reset(seed=1)
    kept = {key: array.copy() for key, array in held.items()}
    for slot in envs._engine.slab.slots:
        for array in slot:
            array[...] = 99
    assert not difference(held, kept)
    envs.close()


def test_exceptions_are_text() -> None:
    """What an env raises is told, but not brought over."""
    envs = strange([Counter] * 2)
    envs.reset()
    with pytest.raises(EnvRaisedError, match="env 0 raised AttributeError") as caught:
        envs.call("no_such_thing")
    assert "Traceback" in caught.value.why
    envs.close()


def test_a_whole_stranger() -> None:
    """A vector env can be hosted without trust."""
    hosted = BatchedVectorEnv.started_by(Strangers([Native]), Options())
    own = Native()
    assert not difference(hosted.reset(seed=1), own.reset(seed=1))
    actions = np.ones((8, 3), np.float32)
    assert not difference(hosted.step(actions), own.step(actions))
    hosted.close()


def telling(told: Any, status: int = protocol.DONE) -> Twist:
    """Add something to the answers to steps."""
    return stepping(lambda host, slot: (status, Plain().encode(told)))


def stepping(answer: Callable[[Host, int], tuple[int, bytes]]) -> Twist:
    """Answer steps in another way."""

    def twist(host: Host) -> None:
        host._step = lambda slot, payload: answer(host, slot)  # type: ignore[method-assign]  # for this test

    return twist


def scribble(host: Host, slot: int) -> tuple[int, bytes]:
    """Write a flag that is none."""
    host.stepper._flags[0][0] = 7
    return protocol.DONE, b""


def write(host: Host, data: bytes) -> tuple[int, bytes]:
    """Write raw bytes into the pipe, and end."""
    os.write(host.bell.write_fd, data)
    os._exit(0)


def ring_early(host: Host, slot: int) -> tuple[int, bytes]:
    """Answer a command that was not given."""
    host.bell.ring(99, 0, slot)
    return protocol.DONE, b""


def echo(host: Host, number: int, slot: int) -> tuple[int, bytes]:
    """Answer with another sequence number or slot."""
    host.bell.ring(number, 0, slot)
    return protocol.DONE, b""


HOSTILE: dict[str, Twist] = {
    "early-ring": stepping(ring_early),
    "wrong-slot": stepping(lambda host, slot: echo(host, 3, slot + 1)),
    "half-a-header": stepping(lambda host, slot: write(host, b"abc")),
    "half-a-payload": stepping(lambda host, slot: write(host, HEADER.pack(3, 0, slot, 50) + b"x")),
    "too-long": stepping(lambda host, slot: write(host, HEADER.pack(3, 0, slot, 1 << 31))),
    "noise": stepping(lambda host, slot: (protocol.DONE, b"noise")),
    "scribbled-flag": stepping(scribble),
    "unknown-kind": stepping(lambda host, slot: (protocol.RECORDS, b"")),
    "no-dict": telling([1, 2]),
    "odd-kinds": telling({"kinds": [[1, ["a"], ["object"]]]}),
    "no-infos": telling({"infos": 3}),
    "foreign-infos": telling({"infos": {77: {"a": 1}}}),
    "infos-of-no-dict": telling({"infos": {0: 3}}),
    "troubles-without-text": telling({"troubles": [{}]}, protocol.FAILED),
    "troubles-of-nothing": telling({"troubles": []}, protocol.FAILED),
    "no-troubles": telling({}, protocol.FAILED),
    "no-status": stepping(lambda host, slot: (77, b"")),
}


@pytest.mark.parametrize("twist", HOSTILE.values(), ids=HOSTILE)
def test_nonsense_is_an_error(twist: Twist) -> None:
    """Whatever a worker answers that is no answer, the caller lives and is told."""
    envs = strange([Sampler] * 2, twist)
    envs.reset(seed=1)
    with pytest.raises(WorkerProtocolError):
        envs.step([0, 0])
    envs.close()


@pytest.mark.parametrize("told", [{"objects": [["a"]]}, {"objects": []}, {}])
def test_missing_objects(told: Any) -> None:
    """A worker that leaves out observations is found out."""
    envs = strange([partial(Sampler, spaces.Text(3))] * 4, telling(told))
    envs.reset(seed=1)
    with pytest.raises(WorkerProtocolError, match="makes no sense"):
        envs.step([0] * 4)
    envs.close()


def building(told: Any) -> Twist:
    """Answer otherwise when asked what the envs are."""

    def twist(host: Host) -> None:
        answer = protocol.DONE, Plain().encode(told)
        host._handlers[protocol.BUILD] = lambda _: answer

    return twist


BOX = spaces.Box(0.0, 1.0, (3,))
HUGE = spaces.MultiBinary([1 << 20, 1 << 20])


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({}, WorkerProtocolError),
        ({"observation_space": 3, "action_space": 4}, WorkerProtocolError),
        ({"observation_space": BOX, "action_space": BOX, "metadata": 1}, WorkerProtocolError),
        ([], WorkerProtocolError),
        (
            {"observation_space": HUGE, "action_space": BOX, "metadata": {}, "render_mode": None},
            ValueError,
        ),
    ],
    ids=["nothing", "no-spaces", "no-metadata", "no-dict", "huge"],
)
def test_nonsense_about_spaces(told: Any, error: type[Exception]) -> None:
    """A worker that does not say what its envs are, or says that they are absurd, is refused."""
    with pytest.raises(error):
        strange([Sampler] * 2, building(told))


def test_nonsense_about_a_whole() -> None:
    """The same holds for a vector env."""
    with pytest.raises(WorkerProtocolError, match="does not say"):
        BatchedVectorEnv.started_by(Strangers([Native], building({"num_envs": 3})), Options())
