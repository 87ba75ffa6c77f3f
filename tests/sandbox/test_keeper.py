"""The keeper: starts, watches, ends; nothing of what it kept is there afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envhub.isolation.launch import PROGRAM
from envhub.worker import sweep, usage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the keeper is Linux's")

DAEMON = """
import os, sys, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.write(write, b"x")
        time.sleep(60)
    os._exit(0)
os.wait()
os.read(read, 1)
{then}
"""


@contextlib.contextmanager
def kept(
    body: str, folder: Path | None = None, *, parent: int | None = None, **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """A program under a keeper."""
    told = {
        "parent": parent or os.getpid(),
        "folder": str(folder or ""),
        "shell": False,
        "budget": {},
        **more,
    }
    words = [sys.executable, "-I", "-S", str(PROGRAM), "keeper", json.dumps(told)]
    process = subprocess.Popen(
        [*words, sys.executable, "-c", body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def gone(pid: int, seconds: float = 5) -> bool:
    """Whether a process has ended, or ends soon."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("body", "shell", "code"),
    [
        ("pass", False, 0),
        ("raise SystemExit(7)", False, 7),
        ("import os; os.abort()", False, -signal.SIGABRT),
        ("import os; os.kill(os.getpid(), 9)", False, -signal.SIGKILL),
        ("raise SystemExit(139)", True, -signal.SIGSEGV),  # as bubblewrap tells it
        ("raise SystemExit(139)", False, 139),
        ("raise SystemExit(255)", True, 255),
    ],
)
def test_it_ends_as_its_program_does(body: str, shell: bool, code: int) -> None:
    """Exit statuses and signals pass through."""
    with kept(body, shell=shell) as keeper:
        assert keeper.wait(20) == code


def test_a_program_that_is_not_there_is_told() -> None:
    """The reason is on standard error."""
    told = {"parent": os.getpid(), "folder": "", "shell": False, "budget": {}}
    words = [sys.executable, "-I", "-S", str(PROGRAM), "keeper", json.dumps(told), "/no/such"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 127
    assert "/no/such: " in done.stderr


@pytest.mark.parametrize("then", ["time.sleep(60)", "pass", "os._exit(3)"])
def test_what_it_started_ends_with_it(then: str, tmp_path: Path) -> None:
    """A daemon in a session of its own ends when its keeper is told to, or its program ends."""
    folder = tmp_path / "own"
    (folder / "deep").mkdir(parents=True)
    with kept(DAEMON.format(then=then), folder) as keeper:
        assert keeper.stdout
        daemon = int(keeper.stdout.readline())
        if "sleep" in then:
            keeper.send_signal(signal.SIGTERM)
        keeper.wait(20)
        assert gone(daemon)
    assert not folder.exists()


def test_it_ends_when_the_client_does(tmp_path: Path) -> None:
    """A killed client leaves nothing, although one of its threads and children go on."""
    folder = tmp_path / "own"
    folder.mkdir()
    told = {"folder": str(folder), "shell": False, "budget": {}}
    words = [sys.executable, "-I", "-S", str(PROGRAM), "keeper"]
    child = [
        sys.executable,
        "-c",
        "import os, time; print(os.getpid(), flush=True); time.sleep(60)",
    ]
    client = f"""
import json, os, subprocess, threading, time
told = dict({told!r}, parent=os.getpid())
def start():
    subprocess.Popen([*{words!r}, json.dumps(told), *{child!r}])
thread = threading.Thread(target=start); thread.start(); thread.join()
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", client], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout
        inner = int(one.stdout.readline())
        assert not gone(inner, 0.3)  # the thread that started it has ended, and it lives
        one.kill()
        assert gone(inner)
    until = time.monotonic() + 5
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.01)  # the keeper is no child of ours, so nothing tells when it has ended
    assert not folder.exists()


def test_a_client_that_is_gone_already() -> None:
    """Nothing is started for a client that has ended before the keeper could look."""
    with kept("print('started')", parent=1) as keeper:
        assert keeper.wait(20) == 1
        assert keeper.stdout
        assert keeper.stdout.read() == ""


WAIT = "\nimport time; time.sleep(30)"
EAT = f"x = bytearray(200 << 20){WAIT}"
FORK = f"""
import os
for _ in range(30):
    if os.fork() == 0:
        break
{WAIT}"""
FILL = f"open({{path!r}}, 'wb').write(bytes(20 << 20)){WAIT}"
HIDE = f"""
import os
file = open({{path!r}}, 'wb')
os.remove({{path!r}})
file.write(bytes(20 << 20))
file.flush()
{WAIT}"""
MANY = f"for i in range(200): open({{path!r}} + str(i), 'w').close()\n{WAIT}"
DEEP = f"""
import os
os.chdir({{folder!r}})
for _ in range(700):
    os.mkdir('deep')
    os.chdir('deep')
{WAIT}"""


@pytest.mark.parametrize(
    ("body", "budget", "words"),
    [
        (EAT, {"memory": 100 << 20}, "more than 100 MiB of memory"),
        (FORK, {"processes": 20}, "more than 20 processes and threads"),
        (FILL, {"disk": 10 << 20}, "it wrote more than 10 MiB"),
        (HIDE, {"disk": 10 << 20}, "it wrote more than 10 MiB"),
        (MANY, {"files": 100}, "more than 100 files"),
        (DEEP, {"files": 10_000}, "more than 10000 files"),
        (WAIT, {"reserve": 1 << 60}, "of memory was left"),
    ],
)
def test_who_takes_too_much_is_ended(
    body: str, budget: dict[str, int], words: str, tmp_path: Path
) -> None:
    """Memory, processes, disk and files are counted for all together, and the reason is said."""
    folder = tmp_path / "own"
    folder.mkdir()
    body = body.format(path=str(folder / "file"), folder=str(folder))
    scratch = str(folder) if "disk" in budget or "files" in budget else ""
    with kept(body, folder, budget={**budget, "scratch": scratch}) as keeper:
        _, said = keeper.communicate(timeout=25)
        assert words in said
        assert keeper.returncode == -signal.SIGKILL
    assert not folder.exists()


def test_closed_and_deep_folders_are_removed(tmp_path: Path) -> None:
    """Modes, depth, links and odd names do not keep a folder; what links lead to stays."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("x")
    folder = tmp_path / "own"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "link").symlink_to(victim)
    (folder / "link").symlink_to(victim)
    (folder / "a" / "b" / "odd\n\udcff").touch()
    os.mkfifo(folder / "pipe")
    at = os.open(folder, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("deep", dir_fd=at)
        deeper = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)
    (folder / "a" / "b").chmod(0)
    (folder / "a").chmod(0)
    sweep.clear(str(folder))
    assert not folder.exists()
    assert (victim / "file").exists()
    sweep.clear(str(folder))  # what is not there is gone
    sweep.clear("")


def test_usage_counts_a_family() -> None:
    """All descendants are found, with their threads."""
    body = "import os, time\nif os.fork(): print('x', flush=True)\ntime.sleep(30)"
    before, threads = usage.family(os.getpid())
    with subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        now, more = usage.family(os.getpid())
        assert len(now) == len(before) + 2
        assert more == threads + 2
        for pid in set(now) - set(before):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("size", "text"),
    [(5, "5 bytes"), (1536, "1.5 KiB"), (300 << 20, "300 MiB"), (1 << 40, "1024 GiB")],
)
def test_sizes_in_words(size: int, text: str) -> None:
    """Sizes are said with the unit that fits."""
    assert usage.size_text(size) == text


def test_a_process_that_is_gone_takes_nothing() -> None:
    """Between looking and counting, processes end."""
    assert usage._share(1 << 30) == 0
    assert usage._nameless(1 << 30, 0) == 0
    assert usage.weigh("/no/such/folder", 5) == (0, 0)
