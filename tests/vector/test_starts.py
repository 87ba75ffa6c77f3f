"""How workers begin, what they inherit, and that they end with those who started them."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import TimeoutError as TimeoutErrors
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv as GymnasiumAsyncVectorEnv
from gymnasium.vector import async_vector_env
from tests.vector.zoo import Counter, Insider, pipes

from envhub.errors import ArgumentError, WorkerError
from envhub.vector import AsyncVectorEnv
from envhub.worker import forking

ROOT = Path(__file__).parents[2]


@pytest.fixture
def thread() -> Iterator[threading.Thread]:
    """A thread of ours that lives for the time of the test."""
    over = threading.Event()
    living = threading.Thread(target=over.wait, name="bystander")
    living.start()
    yield living
    over.set()
    living.join()


def ended(pid: int) -> bool:
    """Whether a process is over, within some seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        os.sched_yield()
    return False


def check(envs: AsyncVectorEnv) -> None:
    """Step a little, and see the right numbers."""
    observations, _ = envs.reset(seed=1)
    assert (observations == 0).all()
    observations, rewards, *_ = envs.step(np.array([1, 2, 3]))
    assert (observations == 1).all()
    assert rewards.tolist() == [1, 2, 3]


@pytest.mark.parametrize("method", ["exec", "fork", "spawn"])
def test_start_methods(method: str) -> None:
    """However workers begin, they step the same, ignore ^C, and may have children."""
    envs = AsyncVectorEnv([Insider] * 3, start_method=method)
    check(envs)
    assert envs.call("ignores_interrupt") == (True,) * 3
    assert envs.call("children") == (0,) * 3
    assert all(worker.is_alive() for worker in envs.workers)
    pids = [worker.pid for worker in envs.workers]
    assert set(envs.call("pid")) == set(pids)
    envs.close()
    assert all(ended(pid) for pid in pids)


@pytest.mark.envhub_leaves("the fork server stays for the whole program")
def test_forkserver() -> None:
    """A context of multiprocessing's is taken, too."""
    envs = AsyncVectorEnv([Insider] * 3, context="forkserver")
    check(envs)
    envs.close()


def test_local_classes_reach_clean_workers() -> None:
    """A class that no module holds, and an id that only this process knows, reach the worker."""

    class Local(Insider):
        pass

    gym.register("Local-v7", entry_point=lambda **_: Local())
    make: list[Callable[[], Any]] = [Local, lambda: gym.make("Local-v7", disable_env_checker=True)]
    envs = AsyncVectorEnv([*make, Local], start_method="exec")
    del gym.registry["Local-v7"]
    check(envs)
    assert envs.call("environ", "OMP_NUM_THREADS") == ("1",) * 3
    envs.close()
    envs = AsyncVectorEnv([Insider], start_method="exec", threads=0)
    assert envs.call("environ", "OMP_NUM_THREADS") == (os.environ.get("OMP_NUM_THREADS"),)
    envs.close()


def test_threads_of_a_forked_worker() -> None:
    """BLAS computes in one thread, and has started no other, unless it may."""
    code = (
        "from envhub.vector import AsyncVectorEnv\n"
        "from tests.vector.zoo import Insider\n"
        "for threads in (1, 0):\n"
        "    envs = AsyncVectorEnv([Insider], start_method='fork', threads=threads)\n"
        "    print(*envs.call('threads_of_blas'))\n"
        "    envs.close()\n"
    )
    variables = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=variables, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.split() == [b"1", b"2"]


def test_a_clean_worker_is_clean() -> None:
    """It has imported neither pytest nor the rest of envhub, and our folder lends it no names."""
    envs = AsyncVectorEnv([Insider], start_method="exec")
    assert envs.call("knows", "pytest") == (False,)
    assert envs.call("knows", "envhub.client") == (False,)
    assert envs.call("knows", "codec") == (False,)
    envs.close()


def test_dangers_are_looked_at(thread: threading.Thread) -> None:
    """A thread of ours is a reason not to fork, so the worker is a clean program."""
    assert "thread 'bystander'" in forking.dangers()  # other tests may have left some of their own
    envs = AsyncVectorEnv([Insider])
    assert envs.call("knows", "pytest") == (False,)
    envs.close()


def test_libraries_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that does not survive a fork is a reason, once."""
    paths = [
        "/usr/lib/libtorch_cpu.so",
        "/usr/lib/libtorch.so",
        "/usr/lib/libEGL.so.1",
        "/x/libc.so",
    ]
    threads = [danger for danger in forking.dangers() if danger.startswith("thread ")]
    monkeypatch.setattr(forking, "loaded_libraries", lambda: paths)
    assert forking.dangers() == [*threads, "torch", "EGL"]


def test_what_cannot_be_sent_is_forked_with_a_warning(thread: threading.Thread) -> None:
    """Factories that cannot be pickled are forked after all; if told otherwise, refused."""
    lock = threading.Lock()

    def make() -> Any:
        with lock:
            return Insider()

    with pytest.warns(RuntimeWarning, match="bystander.*cannot be pickled"):
        envs = AsyncVectorEnv([make] * 3)
    check(envs)
    envs.close()
    with pytest.raises(ArgumentError, match="cannot be sent"):
        AsyncVectorEnv([make], start_method="exec")


def test_unknown_methods() -> None:
    """A start method that does not exist is refused with those that do."""
    with pytest.raises(ArgumentError, match="one of auto, exec"):
        AsyncVectorEnv([Insider], start_method="teleport")


def ends(envs: AsyncVectorEnv) -> list[set[str]]:
    """For each worker the two pipes between it and us."""
    bells = [worker.bell for worker in envs.workers]
    return [
        {str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in (bell.read_fd, bell.write_fd)}
        for bell in bells
    ]


def test_siblings_hold_no_ends() -> None:
    """A worker holds its own two pipes and nothing of its siblings, not of another vector env's."""
    first = AsyncVectorEnv([Insider] * 2, num_workers=2, start_method="fork")
    second = AsyncVectorEnv([Insider] * 2, num_workers=2, start_method="fork")
    all_ends = set().union(*ends(first), *ends(second))
    assert len(all_ends) == 8
    # Other threads of this process may open pipes of their own meanwhile.
    for envs in (first, second):
        assert [held & all_ends for held in envs.call("pipes")] == ends(envs)
    check_two(first, second)
    assert not pipes() & all_ends


def check_two(first: AsyncVectorEnv, second: AsyncVectorEnv) -> None:
    """Step two vector envs in turn, and close them."""
    for envs in (first, second, first):
        envs.reset()
        assert (envs.step(np.array([0, 0]))[0] == 1).all()
    first.close()
    assert (second.step(np.array([0, 0]))[0] == 2).all()
    second.close()


CLIENT = """
    import os, sys, threading
    sys.path.append({root!r})
    from tests.vector.zoo import Insider
    from envhub.vector import AsyncVectorEnv

    def start():
        global envs
        envs = AsyncVectorEnv([Insider] * 2, num_workers=2, start_method={method!r})

    if {threaded}:
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
    else:
        start()
    envs.reset()
    envs.step([0, 0])
    print(*[worker.pid for worker in envs.workers], flush=True)
    {ending}
"""


@pytest.mark.parametrize("method", ["exec", "fork"])
@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "pass", "os._exit(0)", "os.abort()"])
def test_death_of_the_client(method: str, threaded: bool, ending: str) -> None:
    """However the client ends, its workers end with it; a thread that started them may end."""
    code = textwrap.dedent(CLIENT).format(
        root=str(ROOT), method=method, threaded=threaded, ending=ending
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    assert all(ended(pid) for pid in pids)
    assert "Traceback" not in done.stderr


class Sleeper(Counter):
    """Takes its time."""

    def step(self, action: Any) -> Any:
        time.sleep(0.2)
        return super().step(action)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_interrupts_are_the_callers() -> None:
    """^C ends the wait of the caller only; the next call first hears out what was interrupted."""
    envs = AsyncVectorEnv([Sleeper] * 2, num_workers=2)
    envs.reset()
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            envs.step(np.array([0, 0]))
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert (envs.step(np.array([0, 0]))[0] == 2).all()
    envs.close()


def test_a_wait_that_was_given_up() -> None:
    """After a timeout of the caller's, the late answer is taken for no other."""
    envs = AsyncVectorEnv([Sleeper, Counter], num_workers=2)
    envs.reset()
    envs.step_async(np.array([0, 0]))
    with pytest.raises(TimeoutErrors, match=r"has timed out after 0\.01 second"):
        envs.step_wait(timeout=0.01)
    assert envs.reset()[1]["resets"].tolist() == [2, 2]
    assert (envs.step(np.array([0, 0]))[0] == 1).all()
    envs.close()


def test_asyncio() -> None:
    """Two vector envs step side by side in an event loop's threads."""

    async def play() -> list[Any]:
        both = [AsyncVectorEnv([Counter] * 2, num_workers=1, start_method="fork") for _ in "ab"]
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, envs.reset) for envs in both))
        steps = (loop.run_in_executor(None, envs.step, np.array([1, 2])) for envs in both)
        rewards = [outcome[1].tolist() for outcome in await asyncio.gather(*steps)]
        for envs in both:
            envs.close()
        return rewards

    assert asyncio.run(play()) == [[1, 2]] * 2


def test_a_daemon_may_have_workers() -> None:
    """Inside a daemonic process of multiprocessing's, where that refuses children, ours work."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=play_into, args=(queue,), daemon=True)
    process.start()
    assert queue.get() == [1, 2, 3]
    process.join()
    queue.close()


def play_into(queue: Any) -> None:
    """Step once and tell the rewards."""
    envs = AsyncVectorEnv([Counter] * 3)
    envs.reset()
    queue.put(envs.step(np.array([1, 2, 3]))[1].tolist())
    envs.close()


def test_a_forked_copy_of_the_caller() -> None:
    """A copy of the caller is told that the envs are not its own, and does them no harm."""
    envs = AsyncVectorEnv([Counter] * 2, num_workers=2)
    envs.reset()
    pid = os.fork()
    if pid == 0:
        try:
            envs.step(np.array([0, 0]))
        except WorkerError as error:
            os._exit(7 if "forked from" in str(error) else 1)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert (envs.step(np.array([0, 0]))[0] == 1).all()
    envs.close()


def test_forgotten_envs_end() -> None:
    """A vector env that nobody closed takes its workers with it."""
    envs = AsyncVectorEnv([Counter] * 2, num_workers=2)
    pids = [worker.pid for worker in envs.workers]
    del envs
    gc.collect()
    assert all(ended(pid) for pid in pids)


def test_a_worker_of_ones_own() -> None:
    """With a worker function of the caller's, Gymnasium's own class is made."""
    envs = AsyncVectorEnv([Counter] * 2, worker=async_vector_env._async_worker)
    assert type(envs) is GymnasiumAsyncVectorEnv
    envs.close()


def test_many_envs() -> None:
    """1,024 envs in two workers start, step and end within seconds."""
    begun = time.monotonic()
    envs = AsyncVectorEnv([Counter] * 1024, num_workers=2)
    envs.reset()
    assert (envs.step(np.zeros(1024, np.int64))[0] == 1).all()
    envs.close()
    assert time.monotonic() - begun < 10


def test_many_workers() -> None:
    """One worker per env for envs that wait."""
    envs = AsyncVectorEnv([Counter] * 40, step="wait")
    assert len(envs.workers) == 40
    envs.reset()
    assert (envs.step(np.zeros(40, np.int64))[0] == 1).all()
    envs.close()


def test_an_idle_worker_is_idle() -> None:
    """A vector env that nobody steps uses no processor."""
    envs = AsyncVectorEnv([Counter] * 4, num_workers=2)
    envs.reset()
    time.sleep(0.1)  # workers listen awake for a moment
    used = [busy(worker.pid) for worker in envs.workers]
    time.sleep(0.5)  # the time itself is what is tested
    assert [busy(worker.pid) for worker in envs.workers] == used
    envs.close()


def busy(pid: int) -> int:
    """Nanoseconds of processor that a process has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
