"""Whatever the env's process does: an error in time, with its last words, and no remains."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.isolation.conftest import Make, Prepare

from envhub import errors
from envhub.isolation.remote import HostedVectorEnv
from envhub.isolation.world import callers
from envhub.make import make
from envhub.vector import caller
from envhub.vector.options import Options

PATIENT = Options(step_timeout=60, reset_timeout=60)
SOON = 15.0

Faulty = Callable[..., HostedVectorEnv]

pytestmark = pytest.mark.filterwarnings("ignore:[^E]*ERROR:UserWarning")

ENV = r"""
import contextlib, ctypes, mmap, os, signal, socket, struct, sys, threading, time
import gymnasium as gym
import numpy as np

STAGE = {stage!r}

def fault():
    {fault}

def blocks():
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if "memfd" in os.readlink(f"/proc/self/fd/{{fd}}"):
                yield fd
        except OSError:
            pass

def kinds(kind):
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.readlink(f"/proc/self/fd/{{fd}}").startswith(kind) and fd > 2:
                yield fd
        except OSError:
            pass

def scribble():
    for fd in blocks():
        if size := os.fstat(fd).st_size:
            mmap.mmap(fd, size)[:] = b"\xff" * size

def say(data):
    for fd in kinds("socket"):
        os.write(fd, data)

def ring(data):
    for fd in kinds("pipe"):
        try:
            os.write(fd, data)
        except OSError:
            pass

def at(stage):
    if stage == STAGE:
        with contextlib.suppress(OSError):
            print("last words", flush=True)
        fault()

at("import")

class Env(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gym.spaces.Discrete(2)
    def __init__(self):
        at("init")
    def reset(self, *, seed=None, options=None):
        at("reset")
        return np.zeros(3, np.float32), {{}}
    def step(self, action):
        answer = at("step")
        return np.zeros(3, np.float32), 0.0, False, False, {{}}
    def close(self):
        at("close")

def make_env(n_envs=1, use_async_envs=False):
    at("make_env")
    return gym.vector.SyncVectorEnv([Env] * n_envs)
"""
STAGES = ["import", "make_env", "init", "reset", "step"]

FAULTS = {
    "hangs": ("time.sleep(1000)", errors.WorkerTimeoutError),
    "spins": ("while True: pass", errors.WorkerTimeoutError),
    "stops": ("os.kill(os.getpid(), signal.SIGSTOP)", errors.WorkerTimeoutError),
    "exits": ("os._exit(3)", errors.WorkerDiedError),
    "crashes": ("ctypes.string_at(0)", errors.WorkerDiedError),
    "kills": ("os.kill(os.getpid(), signal.SIGKILL)", errors.WorkerDiedError),
    "closes all": ("os.closerange(0, 1000)", errors.WorkerDiedError),
}
SAMPLE = {
    "hangs": ["import", "init", "step"],
    "spins": ["reset"],
    "stops": ["step"],
    "exits": ["make_env", "step"],
    "crashes": ["make_env", "step"],
    "kills": ["init"],
    "closes all": ["step"],
}


def cells() -> Iterator[Any]:
    """Each fault at each stage; most only in the long run, since hanging takes time."""
    for name, (fault, kind) in FAULTS.items():
        for stage in STAGES:
            marks = [] if stage in SAMPLE[name] else [pytest.mark.heavy]
            yield pytest.param(stage, fault, kind, id=f"{name}-{stage}", marks=marks)


@pytest.fixture(autouse=True)
def private_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder in which nothing but this test's hosts put folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def remains(folder: Path) -> list[str]:
    """Processes whose home or command line is in a folder, and folders in it."""
    found = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has just ended
            continue
        if str(folder).encode() in words:
            found.append(str(process))
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    until = time.monotonic() + SOON
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)


def eventually_none(folder: Path) -> None:
    """Nothing remains, soon."""
    wait_until(lambda: not remains(folder))
    assert not remains(folder)


@pytest.fixture
def faulty(isolated: Make) -> Faulty:
    """Makes a vector env that has a fault at a stage."""

    def make_faulty(stage: str, fault: str, **options: Any) -> HostedVectorEnv:
        given = {"vector": PATIENT, "sandbox": "off", **options}
        env = isolated(ENV.format(stage=stage, fault=fault), **given).only
        assert isinstance(env, HostedVectorEnv)
        return env

    return make_faulty


@pytest.fixture(scope="module")
def pace() -> float:
    """Seconds that a start takes here and now, at least."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import gymnasium.vector"], check=True)
    return time.monotonic() - begin


def use(env: Any) -> None:
    """Reset an env and step it."""
    env.reset(seed=1)
    for _ in range(3):
        env.step([0] * env.num_envs)


@pytest.mark.parametrize(("stage", "fault", "kind"), list(cells()))
def test_faults(faulty: Faulty, pace: float, stage: str, fault: str, kind: type[Exception]) -> None:
    """A hung, crashed or stopped process is an error within the deadline and a second."""
    startup, deadline = 1 + 4 * pace, 0.5 + pace
    world = replace(callers(), startup_timeout=startup)
    options = Options(step_timeout=deadline, reset_timeout=deadline)
    begin = time.monotonic()
    with pytest.raises(kind) as caught:
        use(faulty(stage, fault, world=world, vector=options))
    # Twice the start: an env that hangs when it is built does so after a start that went well.
    limit = startup * (2 if stage == "init" else 1) + deadline
    assert time.monotonic() - begin < limit + 1 + pace
    assert "last words" in str(caught.value)


def test_nothing_remains(faulty: Faulty, private_tmp: Path) -> None:
    """After close there is no process and no folder, whatever the env has started."""
    daemon = """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    open(os.path.expanduser("~/file"), "w").close()
"""
    env = faulty("step", daemon)
    use(env)
    # Folder, keeper, zygote and worker, and the three daemons, each as soon as it has been forked.
    wait_until(lambda: len(remains(private_tmp)) > 6)
    assert len(remains(private_tmp)) > 6
    env.close()
    eventually_none(private_tmp)


def test_forgotten(faulty: Faulty, private_tmp: Path, prepare: Prepare) -> None:
    """Envs that nobody closed end with the last reference to them."""
    source, allowed = prepare({"env.py": ENV.format(stage="", fault="pass")})
    envs = make(source, allowed, isolation="process", sandbox="off")
    use(envs.only)
    assert remains(private_tmp)
    del envs
    gc.collect()
    eventually_none(private_tmp)


def test_no_python(isolated: Make, private_tmp: Path) -> None:
    """A Python that is not there is an error, and leaves nothing."""
    world = replace(callers(), python=private_tmp / "python")
    with pytest.raises((errors.CommandError, errors.WorkerDiedError)):
        isolated(ENV.format(stage="", fault="pass"), world=world, sandbox="off")
    eventually_none(private_tmp)


def test_a_hung_close(faulty: Faulty, private_tmp: Path) -> None:
    """An env that hangs in `close` is given the time that the caller gives it."""
    env = faulty("close", "time.sleep(1000)")
    use(env)
    begin = time.monotonic()
    env.close(timeout=0.3)
    assert time.monotonic() - begin < 5  # and not the ten seconds that it has by itself
    eventually_none(private_tmp)


def zygote(env: Any) -> int:
    """The process id of the zygote, of whom the workers are children."""
    stat = Path(f"/proc/{env.workers[0].pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_zygote(faulty: Faulty, private_tmp: Path, number: int) -> None:
    """Without its zygote no worker lives; a stopped zygote does not keep one from being ended."""
    env = faulty("", "pass")
    use(env)
    os.kill(zygote(env), number)
    if number == signal.SIGKILL:
        wait_until(lambda: not env.workers[0].is_alive())
        with pytest.raises(errors.WorkerDiedError):
            use(env)
    env.close()
    eventually_none(private_tmp)


def test_recovery(faulty: Faulty) -> None:
    """A killed worker is forked again, and one of a killed zygote is started anew."""
    vector = replace(PATIENT, on_worker_failure="restart")
    env = faulty("", "pass", vector=vector)
    use(env)
    env.workers[0].process.kill()
    use(env)
    os.kill(zygote(env), signal.SIGKILL)
    wait_until(lambda: not env.workers[0].is_alive())
    use(env)
    assert len(env.failures) == 2


def test_the_client_is_killed(private_tmp: Path) -> None:
    """When the caller's program is killed, nothing of its envs is left, hung ones included."""
    repo = private_tmp.parent / "hung"
    repo.mkdir()
    (repo / "env.py").write_text(ENV.format(stage="step", fault="time.sleep(1000)"))
    program = f"""
import envhub, os, tempfile, threading
tempfile.tempdir = {str(private_tmp)!r}
envs = envhub.make_env({str(repo)!r}, trust_remote_code=True, isolation="process", sandbox="off")
envs.only.reset(seed=1)
envs.only.step_async([0])
print("ready", flush=True)
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as client:
        assert client.stdout
        assert client.stdout.readline() == b"ready\n"
        assert remains(private_tmp)
        client.kill()
    eventually_none(private_tmp)


HARMLESS = {
    "logs": "[os.write(1, bytes(1 << 20)) for _ in range(48)]",  # 144 MB in three steps
    "prints": "print('hello'); print('there', file=sys.stderr)",
    "closes stdin": "os.closerange(0, 1)",
    "closes stdout": "os.closerange(1, 2)",
    "native": "ctypes.CDLL(None).puts(b'hello')",
    "warns": "import warnings; warnings.filterwarnings('error')",
    "thread": "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
    "scribbles": "scribble()",
}


@pytest.mark.parametrize("fault", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize("stage", [pytest.param("import", marks=pytest.mark.heavy), "step"])
def test_harmless(faulty: Faulty, stage: str, fault: str) -> None:
    """What an env prints, reads, closes or starts, and what it writes over its own block."""
    env = faulty(stage, fault)
    try:
        use(env)
    except errors.WorkerProtocolError:
        assert fault == "scribble()"


HOSTILE = {
    "claims 2 GB": ("import", "say(struct.pack('<I', 1 << 31))", errors.WorkerProtocolError),
    "says nonsense": ("import", "say(struct.pack('<I', 4) + b'nope')", errors.WorkerProtocolError),
    "is no object": ("make_env", "say(struct.pack('<I', 2) + b'[]')", errors.WorkerProtocolError),
    "rings": ("step", "ring(bytes(12))", errors.WorkerProtocolError),
    "rings long": ("step", r"ring(b'\xff' * 12)", errors.WorkerProtocolError),
    "reads input": ("make_env", "input()", EOFError),
    "raises at exit": ("import", "raise KeyboardInterrupt", errors.EnvRaisedError),
}


@pytest.mark.parametrize(("stage", "fault", "kind"), HOSTILE.values(), ids=HOSTILE)
def test_hostile(faulty: Faulty, stage: str, fault: str, kind: type[Exception]) -> None:
    """A process that writes to its lines itself is found out."""
    with pytest.raises(kind):
        use(faulty(stage, fault))


WRONG = {
    "shape": ("np.zeros(4, np.float32)", errors.EnvRaisedError, "shape"),
    "dtype": ("np.array(['a', 'b', 'c'])", errors.EnvRaisedError, "ValueError"),
    "none": ("None", errors.EnvRaisedError, "Error"),
}


@pytest.mark.parametrize(("observation", "kind", "message"), WRONG.values(), ids=WRONG)
def test_wrong_observations(
    isolated: Make, observation: str, kind: type[Exception], message: str
) -> None:
    """An observation that does not fit its space is an error that names the env."""
    repo = ENV.replace("return np.zeros(3, np.float32), 0.0", f"return {observation}, 0.0")
    env = isolated(repo.format(stage="", fault="pass"), sandbox="off").only
    with pytest.raises(kind, match=message):
        use(env)


def test_an_absurd_space(isolated: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of 30 GB is refused before anything is that large, if there is not so much memory."""
    monkeypatch.setattr(caller, "memory", lambda: 16 * 10**9)
    box, absurd = "Box(-1, 1, (3,), np.float32)", "MultiBinary([30000, 10**6])"
    repo = ENV.replace(box, absurd).format(stage="", fault="pass")
    with pytest.raises(errors.ArgumentError, match=r"would take 30\.0 GB"):
        isolated(repo, sandbox="off")
