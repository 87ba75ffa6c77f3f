"""Landlock's rules, in fresh processes: what was not granted is out of reach."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
from tests.sandbox import caged

from envhub.worker import landlock

DENIED = os.strerror(errno.EACCES)
REFUSED = os.strerror(errno.EPERM)

pytestmark = pytest.mark.skipif(
    landlock.version() < landlock.SCOPE_SINCE, reason="this kernel's Landlock is older, or off"
)


def test_only_what_is_granted_can_be_read(tmp_path: Path) -> None:
    """A granted folder is readable as deep as it goes; its neighbour is not even listed."""
    (tmp_path / "granted" / "deep").mkdir(parents=True)
    (tmp_path / "granted" / "deep" / "a").write_text("a")
    (tmp_path / "secret").write_text("s")
    found = caged.run(
        f"""
root = {str(tmp_path)!r}
found["granted"] = tried(lambda: open(root + "/granted/deep/a").read())
found["secret"] = tried(lambda: open(root + "/secret").read())
found["list"] = tried(lambda: os.listdir(root))
found["write"] = tried(lambda: open(root + "/granted/deep/a", "w"))
found["make"] = tried(lambda: open(root + "/granted/new", "w"))
found["remove"] = tried(lambda: os.remove(root + "/granted/deep/a"))
found["truncate"] = tried(lambda: os.truncate(root + "/granted/deep/a", 0))
found["link"] = tried(lambda: os.link(root + "/secret", root + "/granted/s"))
""",
        {"landlock": caged.orders(read=[*caged.READ, f"{tmp_path}/granted"])},
    )
    assert found.pop("granted") == "a"
    assert found.pop("link") in {DENIED, os.strerror(errno.EXDEV)}
    assert set(found.values()) == {DENIED}
    assert (tmp_path / "granted" / "deep" / "a").read_text() == "a"


def test_what_was_written_is_not_run(tmp_path: Path) -> None:
    """A writable folder takes any file, of which none can be started as a program."""
    found = caged.run(
        f"""
path = {str(tmp_path)!r} + "/program"
with open("/bin/true", "rb") as true, open(path, "wb") as copy:
    copy.write(true.read())
os.chmod(path, 0o755)
found["run"] = tried(lambda: subprocess.run([path]).returncode)
os.rename(path, path + "2")
os.mkdir(path)
found["node"] = tried(lambda: os.mknod(path + "3", 0o020666, os.makedev(1, 3)))
""",
        {"landlock": caged.orders(write=[str(tmp_path)])},
    )
    assert found == {"run": DENIED, "node": DENIED}
    assert (tmp_path / "program2").exists()


def test_a_path_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    """Machines differ; what one lacks is not granted on it, and the rest is."""
    (tmp_path / "file").write_text("x")
    found = caged.run(
        f"""
found["file"] = tried(lambda: open({str(tmp_path / "file")!r}).read())
found["null"] = tried(lambda: open("/dev/null", "w").write("x"))
found["zero"] = tried(lambda: open("/dev/zero"))
""",
        {
            "landlock": caged.orders(
                read=[*caged.READ, str(tmp_path / "file"), "/no/such", f"{tmp_path}/file/below"],
                devices=["/dev/null"],
            )
        },
    )
    assert found == {"file": "x", "null": 1, "zero": DENIED}


@pytest.mark.parametrize("tcp", [True, False])
def test_tcp_is_given_up_unless_granted(tcp: bool) -> None:
    """Without the grant, no connection leaves and no port is opened."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = caged.run(
            f"""
found["connect"] = tried(lambda: socket.create_connection(("127.0.0.1", {port})).fileno() > 0)
found["bind"] = tried(lambda: socket.create_server(("127.0.0.1", 0)).fileno() > 0)
""",
            {"landlock": caged.orders(tcp=tcp)},
        )
        server.settimeout(0.2)
        assert found == dict.fromkeys(("connect", "bind"), True if tcp else DENIED)
        if tcp:
            server.accept()[0].close()
        else:
            with pytest.raises(TimeoutError):
                server.accept()


def test_other_processes_are_out_of_reach() -> None:
    """Signals, abstract sockets and memory of processes outside are refused; own children's not.

    Root must be nobody by then: who may watch the whole machine's performance may read its memory.
    """
    name = f"envhub-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        found = caged.run(
            f"""
found["signal"] = tried(lambda: os.kill(os.getppid(), 0))
found["abstract"] = tried(lambda: socket.socket(socket.AF_UNIX).connect("\\0{name}"))
found["environ"] = tried(lambda: open("/proc/%d/environ" % os.getppid()).read())
child = os.fork()
if child == 0:
    signal.pause()
found["own"] = tried(lambda: os.kill(child, signal.SIGKILL))
os.waitpid(child, 0)
""",
            {
                "landlock": caged.orders(read=[*caged.READ, "/proc"]),
                "uid": 61999 if os.geteuid() == 0 else None,
            },
        )
    assert found == {"signal": REFUSED, "abstract": REFUSED, "environ": DENIED, "own": None}


@pytest.mark.parametrize(
    ("abi", "rights"), [(1, 13), (2, 14), (3, 15), (4, 15), (5, 16), (6, 16), (9, 16)]
)
def test_each_version_is_asked_for_what_it_knows(abi: int, rights: int) -> None:
    """A right that a kernel does not know would make it refuse all of them."""
    assert landlock.file_rights(abi) == (1 << rights) - 1


def test_a_version_that_lets_files_be_emptied_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before version 3 any file of the user's could be truncated: that is no sandbox."""
    monkeypatch.setattr(landlock, "version", lambda: 2)
    with pytest.raises(OSError, match="Landlock 2 is older than 3"):
        landlock.restrict(caged.orders())


@pytest.mark.parametrize("abi", [3, 4, 5, 6])
def test_older_versions_still_guard_files(abi: int, tmp_path: Path) -> None:
    """The rules for an older kernel are accepted by a newer one, and hold."""
    (tmp_path / "secret").write_text("s")
    found = caged.run(
        f"""
from worker import landlock, privileges
landlock.version = lambda: {abi}
privileges.no_new_privileges()
found["version"] = landlock.restrict(json.loads(sys.argv[2])["later"])
found["secret"] = tried(lambda: open({str(tmp_path / "secret")!r}).read())
""",
        {"later": caged.orders()},
    )
    assert found == {"version": abi, "secret": DENIED}
