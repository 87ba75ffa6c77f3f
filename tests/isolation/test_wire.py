"""The control line and the scribe: plain JSON with a cap, descriptors, and bounded last words."""

from __future__ import annotations

import array
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import envhub.isolation
import envhub.worker
from envhub.isolation import spawner
from envhub.worker import block, forking, lastwords, wire
from envhub.worker.doorbell import GarbledError, HangupError, LateError
from envhub.worker.scribe import Scribe
from envhub.worker.zygote import hold_standard

Ends = tuple[wire.Line, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A line, and the socket at its other end."""
    line, other = wire.pair()
    yield line, other
    line.close()
    other.close()


def soon() -> float:
    """A deadline."""
    return time.monotonic() + 0.2


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text(), plain, max_size=3), max_size=3))
def test_messages_arrive(messages: list[wire.Message]) -> None:
    """Any JSON objects arrive in order, as they were."""
    line, theirs = wire.pair()
    other = wire.Line(theirs)
    for message in messages:
        line.say(message)
    assert [other.hear(soon())[0] for _ in messages] == messages
    line.close()
    with pytest.raises(HangupError):
        other.hear()
    assert other.hung_up()
    with pytest.raises(HangupError):
        other.say({})
    other.close()


def test_descriptors_arrive(ends: Ends) -> None:
    """Descriptors ride along, and are new ones at the other end."""
    line, theirs = ends
    read, write = os.pipe()
    wire.Line(theirs).say({"a": 1}, [write])
    os.close(write)
    message, (fd,) = line.hear(soon())
    assert message == {"a": 1}
    os.write(fd, b"x")
    assert os.read(read, 9) == b"x"
    wire.close_all([fd, read, fd])


BAD = {
    "2 GB": (wire.LENGTH.pack(1 << 31), GarbledError),
    "no JSON": (wire.LENGTH.pack(3) + b"{a}", GarbledError),
    "no object": (wire.LENGTH.pack(2) + b"[]", GarbledError),
    "deep": (wire.LENGTH.pack(200_000) + b"[" * 200_000, GarbledError),
    "half a length": (b"ab", LateError),
    "half a message": (wire.LENGTH.pack(9) + b"{}", LateError),
}


@pytest.mark.parametrize(("data", "kind"), BAD.values(), ids=BAD)
def test_nonsense_is_found_out(ends: Ends, data: bytes, kind: type[Exception]) -> None:
    """Nothing is believed: neither a length nor that more will come; descriptors are let go."""
    line, theirs = ends
    read, write = os.pipe()
    before = len(list(Path("/proc/self/fd").iterdir()))
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write]))
    theirs.sendmsg([data], [rights])
    with pytest.raises(kind):
        line.hear(soon())
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    wire.close_all([read, write])


def test_limits_of_saying(ends: Ends) -> None:
    """What the other end would refuse is not sent, and nobody waits for ever to be heard."""
    line, _ = ends
    with pytest.raises(GarbledError):
        line.say({"a": "x" * wire.LIMIT})
    with pytest.raises(LateError):
        line.say({"a": "x" * (wire.LIMIT - 100)}, deadline=soon())


def test_the_scribe(tmp_path: Path) -> None:
    """It remembers the end of what several pipes say, and removes the folder when all is said."""
    folder = tmp_path / "private"
    (folder / "home").mkdir(parents=True)
    logs = [block.create(), block.create()]
    scribe = Scribe(str(folder), [])
    pipes = [scribe.attach(log) for log in logs]
    os.write(pipes[0], b"one\n")
    for _ in range(40):
        os.write(pipes[1], b"x" * 9999 + b"\n")
    os.write(pipes[1], b"last\n")
    scribe.sync()
    assert lastwords.recall(logs[0]) == "one"
    assert lastwords.recall(logs[1]).endswith("last")
    wire.close_all([*pipes, *logs])
    scribe.close()
    assert os.waitpid(scribe.pid, 0)[1] == 0
    assert not folder.exists()


def test_a_scribe_that_is_gone() -> None:
    """Without its scribe a process goes on."""
    scribe = Scribe("", [])
    os.kill(scribe.pid, 9)
    os.waitpid(scribe.pid, 0)
    log = block.create()
    scribe.sync()
    wire.close_all([scribe.attach(log), log])
    scribe.close()


def test_standard_files_are_held() -> None:
    """A number of a standard file that is free is taken before another file gets it."""
    saved = os.dup(0)
    os.close(0)
    hold_standard()
    os.fstat(0)
    os.dup2(saved, 0)
    os.close(saved)


def test_children_are_known() -> None:
    """Processes that were started and not waited for are seen."""
    pid = os.fork()
    if pid == 0:
        time.sleep(100)
    assert pid in forking.children()
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert pid not in forking.children()


def test_the_spawner_lasts() -> None:
    """What another thread spawns is spawned by one thread that outlives it, errors included."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import current_thread

    seen = []
    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(spawner.spawn, current_thread).result())
            with pytest.raises(ZeroDivisionError):
                pool.submit(spawner.spawn, lambda: 1 // 0).result()
    assert seen[0] is seen[1]
    assert seen[0].is_alive()
    assert spawner.spawn(current_thread) is current_thread()


def test_no_pickle_at_the_border() -> None:
    """No file on the way between an isolated env and us unpickles anything."""
    worker = Path(envhub.worker.__file__).parent
    names = ["wire", "zygote", "scribe", "roster", "reach", "adapt", "batch", "host", "doorbell"]
    files = [worker / f"{name}.py" for name in names]
    files += Path(envhub.isolation.__file__).parent.rglob("*.py")
    for file in files:
        code = file.read_text()
        assert not re.search(r"^\s*(import|from) (cloud)?pickle|\bPickled\b", code, re.M), file
