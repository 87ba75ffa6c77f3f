"""Attacks on the trainer through what it hears from the env: each is a repo of its own.

Without a cage the same repo runs in the trainer's process; where that process has no such door, the
control is a few lines of the usual way, multiprocessing's pipes and unsealed memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.battery.attacks import ALL, CAGES

ROOT: Final = Path(__file__).parents[2]
LIMIT: Final = 25.0
"""Seconds after which a trainer hangs; more than all of its own deadlines together."""

_ENV: Final = """
import atexit, ctypes, os, signal, struct, sys, threading, time
import gymnasium as gym
import numpy as np
{before}

class Env(gym.Env):
    observation_space = {space}
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        seen, info = np.zeros(1, np.float32), {{}}
        {reset}
        return seen, info

    def step(self, action):
        seen, info = np.zeros(1, np.float32), {{}}
        {step}
        return seen, 0.0, False, False, info

    def close(self):
        {close}

def make_env(n_envs=1, use_async_envs=False):
    {make}
    kind = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return kind([Env for _ in range(n_envs)])
"""
_PIPES: Final = """for fd in range(3, 256):
            try:
                os.write(fd, {data})
            except OSError:
                pass"""
_PICKLED: Final = """
class Payload:
    def __reduce__(self):
        return (open, (CANARY, "w"))
"""
_NAIVE_PIPE: Final = """
import multiprocessing, os
ours, theirs = multiprocessing.Pipe()
if os.fork() == 0:
    os.write(theirs.fileno(), {data})
    import time; time.sleep(60)
ours.recv()
"""
_FOREVER: Final = "time.sleep(3600)"


@dataclass(frozen=True)
class Attack:
    """One attack on the trainer.

    Attributes:
        name: a short name.
        title: for the table.
        parts: what the repo does: `before`, `make`, `reset`, `step`, `close`, `space`.
        packages: files in a folder of installed packages.
        control: what is run instead where there is no cage.
        asynchronous: the env is asked for with `use_async_envs`.
        stopped: the levels that must stop it.
    """

    name: str
    title: str
    parts: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    control: str = ""
    asynchronous: bool = False
    stopped: frozenset[str] = ALL

    def repo(self, canary: Path) -> str:
        """The file `env.py`."""
        space = "gym.spaces.Box(0, 1, (1,), np.float32)"
        usual = {"before": "", "make": "pass", "reset": "pass", "step": "pass", "close": "pass"}
        text = _ENV.format(**{**usual, "space": space, **self.parts})
        return f"CANARY = {str(canary)!r}\n{text}"


def _step(name: str, title: str, code: str, **more: Any) -> Attack:
    return Attack(name, title, {"step": code}, **more)


ENDS: Final = (
    Attack("exit_in_import", "ends the process while it is imported", {"before": "os._exit(0)"}),
    _step("exit_in_step", "ends the process in a step", "os._exit(0)"),
    _step("leave_in_step", "SystemExit in a step", "sys.exit(0)"),
    _step("interrupt", "KeyboardInterrupt in a step", "raise KeyboardInterrupt"),
    _step("segfault", "segmentation fault", "ctypes.string_at(0)"),
    _step("abort", "abort", "os.abort()"),
    _step("kill_itself", "kills itself", "os.kill(os.getpid(), signal.SIGKILL)"),
    Attack(
        "hostile_words",
        "exception whose text ends the process",
        {
            "before": "class Words(Exception):\n    def __str__(self):\n        os._exit(0)\n",
            "step": "raise Words()",
        },
    ),
)
HANGS: Final = (
    Attack("hang_in_import", "hangs while it is imported", {"before": _FOREVER}),
    Attack("hang_in_make", "hangs in make_env", {"make": _FOREVER}),
    Attack("hang_in_reset", "hangs in reset", {"reset": _FOREVER}),
    _step("hang_in_step", "hangs in a step", _FOREVER),
    Attack("hang_in_close", "hangs in close", {"close": _FOREVER}),
    _step("spin", "computes for ever in a step", "while True: pass"),
    _step("halt_itself", "halts itself", "os.kill(os.getpid(), signal.SIGSTOP)"),
    _step("hang_at_exit", "hangs when Python ends", f"atexit.register(lambda: {_FOREVER})"),
    _step(
        "thread_for_ever",
        "thread that never ends",
        "threading.Thread(target=time.sleep, args=(3600,)).start()",
    ),
)
LIES: Final = (
    _step("flood", "prints 64 MB", 'sys.stdout.write("x" * (21 << 20)); sys.stdout.flush()'),
    _step(
        "read_the_terminal",
        "reads the terminal",
        "seen[0] = len(vars(self).setdefault('typed', os.read(0, 100)))",
    ),
    _step("long_words", "exception of 50 MB", 'raise ValueError("x" * 50_000_000)'),
    _step(
        "escape_codes",
        "codes for the terminal in an error",
        'raise ValueError("\\x1b]0;pwned\\x07\\x1b[2J")',
    ),
    Attack(
        "pickle_in_info",
        "pickle in an info",
        {"before": _PICKLED, "step": 'info["x"] = Payload()'},
        asynchronous=True,
    ),
    Attack(
        "pickle_in_the_pipe",
        "pickle in the pipe",
        {"before": _PICKLED, "step": _PIPES.format(data="__import__('pickle').dumps(Payload())")},
        control=_PICKLED
        + "import pickle, struct\n"
        + _NAIVE_PIPE.format(
            data="struct.pack('!i', len(pickle.dumps(Payload()))) + pickle.dumps(Payload())"
        ),
    ),
    _step(
        "huge_message",
        "message that says it is 2 GB",
        _PIPES.format(data="struct.pack('<I', 2**31 - 1)"),
        control="import struct\n" + _NAIVE_PIPE.format(data="struct.pack('!i', 2**31 - 1)"),
    ),
    _step(
        "false_bells",
        "answers that nobody asked for",
        _PIPES.format(data="os.urandom(12) * 20"),
        control="import struct\n" + _NAIVE_PIPE.format(data="struct.pack('!i', 9) + bytes(9)"),
    ),
    _step(
        "cut_the_memory",
        "truncates the shared memory",
        """for fd in range(3, 256):
            try:
                os.ftruncate(fd, 0)
            except OSError:
                pass""",
        control="""
import mmap, os
fd = os.memfd_create("naive")
os.ftruncate(fd, 1 << 16)
memory = mmap.mmap(fd, 1 << 16)
if os.fork() == 0:
    os.ftruncate(fd, 0)
    os._exit(0)
os.wait()
memory[100]
""",
    ),
    _step("close_everything", "closes all descriptors", "os.closerange(0, 1024)"),
    _step(
        "deep_info",
        "info too deep to walk",
        "x = []\n        for _ in range(100_000): x = [x]\n        info['x'] = x",
    ),
    _step(
        "wide_info",
        "info with a million entries",
        "info.update({str(i): [float(i)] for i in range(1_000_000)})",
    ),
    _step("poison", "changes the trainer's environment", 'os.environ["POISON"] = "1"'),
    _step(
        "poison_a_module", "changes a module of the trainer's", "import json; json.poison = True"
    ),
    _step("change_folder", "changes the trainer's folder", "os.chdir('/')"),
    _step(
        "ignore_signals", "makes the trainer deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    ),
)
_PLANT: Final = "open({canary!r}, 'w').close()"
PACKAGES: Final = (
    Attack(
        "code_in_pth",
        "code in an installed .pth file",
        packages={"evil.pth": "import evil\n", "evil.py": _PLANT},
        control="import site; site.addsitedir(PACKAGES)",
        stopped=CAGES,
    ),
    Attack(
        "sitecustomize",
        "sitecustomize among packages",
        packages={"sitecustomize.py": _PLANT, "zz.pth": "import sitecustomize\n"},
        stopped=CAGES,
        control="import site; site.addsitedir(PACKAGES)",
    ),
    Attack(
        "shadow",
        "package with a module of Python's",
        {"before": "import this_shadow"},
        packages={"this_shadow.py": _PLANT},
        stopped=CAGES,
    ),
)
ATTACKS: Final = (*ENDS, *HANGS, *LIES, *PACKAGES)


def happened(attack: Attack, level: str) -> list[str]:
    """Run a trainer with the env; what became of it that should not have."""
    with tempfile.TemporaryDirectory(prefix="battery-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        canary = root / "canary"
        (root / "repo").mkdir()
        (root / "packages").mkdir()
        (root / "repo" / "env.py").write_text(attack.repo(canary))
        for name, text in attack.packages.items():
            (root / "packages" / name).write_text(text.replace("{canary!r}", repr(str(canary))))
        if attack.asynchronous:
            (root / "async").touch()
        words = [sys.executable, "-m", "tests.battery.client", folder, level]
        if level == "none" and attack.control:
            head = f"CANARY = {str(canary)!r}\nPACKAGES = {str(root / 'packages')!r}\n"
            words = [sys.executable, "-c", head + attack.control]
        found = _judge(*_run(words, root, LIMIT if level != "none" else LIMIT / 2), level)
        return [*found, *(["a file was planted"] if canary.exists() else [])]


def _run(words: list[str], root: Path, limit: float) -> tuple[int | None, bytes]:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    variables["PYTHONPATH"] += os.pathsep + os.environ.get("PYTHONPATH", "")
    process = subprocess.Popen(
        words,
        cwd=root,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(b"typed by the user\n", timeout=limit)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, b""
    return process.returncode, said


def _judge(code: int | None, said: bytes, level: str) -> list[str]:
    if code is None:
        return ["the trainer hangs"]
    lines = said.splitlines()
    if code or not lines or not lines[-1].startswith(b"{"):
        return [f"the trainer ended ({code})"]
    told = json.loads(lines[-1])
    signs = {
        "the error is no error of ours": told["foreign"] and level == "none",
        "megabytes in the error": told["long"] > 100_000,
        "codes for the terminal": told["escape"],
        "memory of the trainer": told["grown"] > 150,
        "its folder": told["folder"],
        "its environment": told["poison"],
        "its signals": told["deaf"],
        "its terminal": told["seen"] > 0 or len(said) > 1 << 20,
    }
    return [name for name, sign in signs.items() if sign]
