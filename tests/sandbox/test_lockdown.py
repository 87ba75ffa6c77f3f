"""Locking a process down: each order is carried out, or the process ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from tests.sandbox import caged

from envhub.worker import landlock, lockdown, privileges, seccomp, syscalls
from envhub.worker.faults import Fault

ROOT = os.geteuid() == 0
NOBODY = 61999 if ROOT else None
OLDEST = next(iter(Path.home().glob(".pyenv/versions/3.8*/bin/python3.8")), None)

as_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
with_landlock = pytest.mark.skipif(
    landlock.version() < landlock.OLDEST, reason="this kernel has no Landlock"
)


def everything(**chosen: Any) -> dict[str, Any]:
    """All orders at once."""
    return {
        "limits": {"open_files": 256, "core": 0, "processes": 40 if ROOT else 4096},
        "uid": NOBODY,
        "landlock": caged.orders(**chosen),
        "seccomp": {"families": [], "namespaces": False},
    }


@with_landlock
def test_limits_hold_and_never_rise_again(tmp_path: Path) -> None:
    """A file stops growing, memory stops growing, files stop opening."""
    tmp_path.chmod(0o777)
    found = caged.run(
        f"""
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def grow():
    with open({str(tmp_path / "big")!r}, "wb", buffering=0) as file:
        for _ in range(4):
            file.write(bytes(1 << 20))
def rise():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
found["file"] = tried(grow)
found["score"] = open("/proc/self/oom_score_adj").read().strip()
found["files"] = tried(lambda: [os.open("/usr", os.O_RDONLY) for _ in range(100)])
try:
    bytearray(1 << 31)
except MemoryError:
    found["memory"] = "refused"
try:
    rise()
except ValueError:
    found["rise"] = "refused"
""",
        {
            **everything(write=[str(tmp_path)], read=[*caged.READ, "/proc"]),
            "limits": {"file_size": 1 << 20, "open_files": 64, "address_space": 1 << 30, "core": 0},
        },
    )
    assert found["file"] is None or found["file"] == os.strerror(errno.EFBIG)
    assert (tmp_path / "big").stat().st_size == 1 << 20
    assert found["files"] == os.strerror(errno.EMFILE)
    assert (found["memory"], found["rise"], found["score"]) == ("refused", "refused", "1000")


def test_a_limit_that_is_already_lower_stays() -> None:
    """Orders only lower."""
    found = caged.run(
        """
from worker import limits
limits.limit({"open_files": 500})
found["files"] = resource.getrlimit(resource.RLIMIT_NOFILE)
""",
        {"limits": {"open_files": 100}},
    )
    assert found == {"files": [100, 100]}


@as_root
@with_landlock
def test_root_becomes_nobody_who_can_read_only_what_is_granted(tmp_path: Path) -> None:
    """A private folder of root's stays readable where it is granted, by programs too; no more."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "granted").mkdir(mode=0o700)
    (private / "granted" / "file").write_text("x")
    (private / "granted" / "file").chmod(0o600)
    (private / "secret").write_text("s")
    found = caged.run(
        f"""
root = {str(private)!r}
found["who"] = [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()]
found["granted"] = tried(lambda: open(root + "/granted/file").read())
found["program"] = subprocess.run(
    ["/bin/cat", root + "/granted/file"], stdout=subprocess.PIPE).stdout.decode()
found["secret"] = tried(lambda: open(root + "/secret").read())
found["write"] = tried(lambda: open(root + "/granted/file", "w"))
found["back"] = tried(lambda: os.setuid(0))
found["own"] = "granted" in str(os.listdir("/proc/self/fd")) or bool(os.listdir("/proc/self/fd"))
children = []
def fork():
    for _ in range(200):
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
found["forks"] = tried(fork)
for pid in children:
    os.kill(pid, signal.SIGKILL)
found["stopped"] = len(children) < 40
""",
        everything(read=[*caged.READ, "/proc", f"{private}/granted"]),
    )
    assert found == {
        "who": [NOBODY, NOBODY, NOBODY, []],
        "granted": "x",
        "program": "x",
        "secret": os.strerror(errno.EACCES),
        "write": os.strerror(errno.EACCES),
        "back": os.strerror(errno.EPERM),
        "own": True,
        "forks": os.strerror(errno.EAGAIN),
        "stopped": True,
    }


@as_root
def test_without_rules_for_files_root_keeps_no_right_to_read_all(tmp_path: Path) -> None:
    """The right to read root's files is only kept where something else says which."""
    tmp_path.chmod(0o700)
    (tmp_path / "secret").write_text("s")
    found = caged.run(
        f"""
found["secret"] = tried(lambda: open({str(tmp_path / "secret")!r}).read())
libc = ctypes.CDLL(None)
signal_number = ctypes.c_int()
libc.prctl(2, ctypes.byref(signal_number))
found["death"] = signal_number.value
""",
        {"uid": NOBODY},
    )
    assert found == {"secret": os.strerror(errno.EACCES), "death": 0}


@as_root
def test_who_becomes_nobody_still_dies_with_its_parent() -> None:
    """The kernel forgets the wish when the user changes; it is made again."""
    found = caged.run(
        """
from worker import privileges, syscalls
syscalls.prctl(1, signal.SIGKILL)
privileges.become(61998, read_all=False)
number = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(number))
found["death"] = number.value
""",
        {},
    )
    assert found == {"death": 9}


@with_landlock
@pytest.mark.skipif(OLDEST is None, reason="no Python 3.8 here")
def test_all_orders_work_under_the_oldest_python() -> None:
    """Python 3.8 locks itself down as the newest does, and can go on importing."""
    found = caged.run(
        """
import decimal, sqlite3
found["done"] = sorted(done)
found["passwd"] = tried(lambda: open("/etc/passwd").read())
""",
        everything(read=[*caged.READ, str(Path(str(OLDEST)).parents[1])]),
        python=str(OLDEST),
    )
    names = ["landlock", "limits", "seccomp", *(["uid"] if ROOT else [])]
    assert found == {"done": names, "passwd": os.strerror(errno.EACCES)}


def test_an_order_that_fails_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that does not close is an error of its own, which names it."""

    def broken(_: Any) -> int:
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(landlock, "restrict", broken)
    monkeypatch.setattr(privileges, "no_new_privileges", lambda: None)
    with pytest.raises(Fault, match="the sandbox could not be closed: landlock") as caught:
        lockdown.apply({"landlock": caged.orders()})
    assert caught.value.code == "isolation-unavailable"
    assert "not here" in caught.value.why


def test_no_orders_change_nothing() -> None:
    """Without orders the process stays as it is."""
    before = os.getuid()
    assert lockdown.apply({}) == {}
    assert lockdown.apply({"uid": None, "landlock": None}) == {}
    assert os.getuid() == before


def test_a_filter_that_other_threads_cannot_wear_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel names the thread that keeps an own filter; that is not taken for success."""
    monkeypatch.setattr(syscalls, "call", lambda *_: 4711)
    with pytest.raises(OSError, match="thread 4711"):
        seccomp.install(seccomp.program((), namespaces=True))
