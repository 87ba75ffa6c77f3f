"""The machine and its user as an attacker finds them: secrets, files, servers, other processes.

Everything is made for one run and is known to the last byte, so that what an attack did is read off
the machine itself. The attacker's own word counts in one case only, against him: what he returns
contains a secret, or the proof that the kernel did as he said.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envhub.isolation.launch import PROGRAM

_VICTIM = """
import ctypes, os, socket, sys, time
text = ctypes.create_string_buffer(sys.argv[1].encode(), 64)
print(ctypes.addressof(text), flush=True)
there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    time.sleep(0.05)
    path = os.path.join(sys.argv[2], sys.argv[3])
    try:
        open(path, "w").close()
        os.remove(path)
        there.sendto(sys.argv[3].encode(), ("127.0.0.1", 9))
    except OSError:
        pass
"""
_FILES = (
    "delete-me",
    "empty-me",
    "empty-me-too",
    "lock-me",
    "age-me",
    "mark-me",
    "rename-me",
    ".bashrc",
)
_LIBC = ctypes.CDLL(None, use_errno=True)
SHM_KEYS = 1 << 30


class Arena:
    """The attacker's targets.

    Args:
        root: an empty folder.

    Attributes:
        secret: what is to be stolen.
        done: what the kernel's doors give when they open.
        mark: a word on the command line of whatever stays behind.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.secret = f"secret-{secrets.token_hex(8)}"
        self.done = f"done-{secrets.token_hex(4)}"
        self.mark = f"mark-{secrets.token_hex(4)}"
        self.name = f"bt{secrets.token_hex(4)}"
        self.watched = f"watched-{secrets.token_hex(4)}"
        # "sem.": to the leak checks of tests that run beside it is a semaphore of somebody's.
        self.segment = f"sem.battery-{secrets.token_hex(4)}"
        self.home, self.packages = root / "home", root / "packages"
        self.cache, self.tmp = root / "cache", root / "tmp"
        self.repo = root / "repo"
        self.planted = Path("/tmp") / f"planted-{secrets.token_hex(4)}"
        self.shm_key = secrets.randbelow(SHM_KEYS)
        self._environ = Path("/proc/self/environ").read_bytes()[:200].decode()
        self._stack = contextlib.ExitStack()
        self.victim: subprocess.Popen[str] | None = None
        self.address = 0

    def __enter__(self) -> Arena:
        for folder in (self.tmp, self.cache):
            folder.mkdir(parents=True)
        hostile = Path(__file__).parents[1] / "repos" / "hostile"
        shutil.copytree(hostile, self.repo, ignore=shutil.ignore_patterns("__pycache__"))
        (self.repo / "secret.txt").write_text("of another env")
        self._furnish()
        self._serve()
        self._share()
        self.new_victim()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_victim()
        self.forget_stragglers()
        self._stack.close()

    def told(self, **more: Any) -> dict[str, Any]:
        """What the attacker knows."""
        assert self.victim is not None
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.addresses["free"] = server.getsockname()[1]
        return {
            "home": str(self.home),
            "packages": str(self.packages),
            "program": str(PROGRAM),
            "cache": str(self.cache),
            "repo": str(self.repo),
            "tmp": str(self.planted),
            "client": os.getpid(),
            "victim": self.victim.pid,
            "address": self.address,
            "segment": self.segment,
            "shm_key": self.shm_key,
            "queue": f"/{self.segment}",
            "key": self.segment,
            "watched": self.watched,
            "done": self.done,
            "mark": self.mark,
            "name": self.name,
            "interfaces": [name for _, name in socket.if_nameindex() if name != "lo"],
            **self.addresses,
            **more,
        }

    def stolen(self, loot: str) -> list[str]:
        """What of the targets is in what an attacker brought home."""
        assert self.victim is not None
        targets = {
            "the secret": self.secret,
            "the kernel's word": self.done,
            "the user's other process": f"pid {self.victim.pid}.",
            "a file's name": self.watched,
            "users": Path("/etc/passwd").read_text().splitlines()[0],
            "our environment": self._environ,
            "new rights": "NoNewPrivs:\t0",
        }
        return [name for name, target in targets.items() if target in loot]

    # What it looks like, and what has become of it.

    def _furnish(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.packages, ignore_errors=True)
        for path in (".ssh/id_rsa", ".cache/huggingface/token"):
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
            (self.home / path).write_text(self.secret)
        (self.home / f"file-{self.secret}").write_text("")
        for name in _FILES:
            (self.home / name).write_text("as it was")
        self.packages.mkdir()
        (self.packages / "victim_package.py").write_text("POISON = 0\n")
        self.remember()

    def remember(self) -> None:
        """Take everything as it is for how it should be."""
        self._before: dict[str, Any] = dict(self._look())

    def _look(self) -> Iterator[tuple[str, Any]]:
        folders = (self.home, self.packages, self.repo, self.cache)
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if "__pycache__" not in path.parts and path.name != self.watched:
                    with contextlib.suppress(FileNotFoundError):
                        yield str(path.relative_to(self.root)), _state(path)

    def damage(self) -> list[str]:
        """Files that are not as they were or were not there; all is put right again."""
        now: dict[str, Any] = dict(self._look())
        found = [
            name for name in {**self._before, **now} if now.get(name) != self._before.get(name)
        ]
        planted = [self.planted, PROGRAM / "poison.txt"]
        planted += list(Path("/dev/shm").glob(f"{self.segment}-[nf]*"))
        changed = Path(f"/dev/shm/{self.segment}-w")
        found += [str(path) for path in planted if path.exists()]
        if changed.exists() and changed.read_text() != "as it was":
            found.append(str(changed))
            changed.write_text("as it was")
        for path in planted:
            path.unlink(missing_ok=True)
        if found:
            self._put_right(now)
        return found

    def _put_right(self, now: dict[str, Any]) -> None:
        for name in now:
            path, then = self.root / name, self._before.get(name)
            if name.startswith(("repo", "cache")) and now[name] != then:
                if then is None:
                    path.unlink()
                else:
                    path.write_bytes(then[2])
        self._furnish()

    # Servers.

    def _serve(self) -> None:
        kinds: dict[str, tuple[int, int, Any]] = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": (socket.AF_UNIX, socket.SOCK_STREAM, str(self.root / "s")),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.segment}"),
            "datagram": (socket.AF_UNIX, socket.SOCK_DGRAM, str(self.root / "d")),
        }
        self.servers: dict[str, socket.socket] = {}
        self.addresses: dict[str, Any] = {}
        for name, (family, kind, where) in kinds.items():
            server = self._stack.enter_context(socket.socket(family, kind))
            try:
                server.bind(where)
            except OSError:  # a machine without IPv6
                self.addresses[name] = 9
                continue
            server.setblocking(False)
            if kind == socket.SOCK_STREAM:
                server.listen()
            self.servers[name] = server
            bound = server.getsockname()
            self.addresses[name] = bound[1] if isinstance(bound, tuple) else bound
        self.addresses["abstract"] = self.segment

    def heard(self) -> list[str]:
        """Servers that somebody reached, and the attacker's own if it can be reached."""
        found = []
        for name, server in self.servers.items():
            with contextlib.suppress(BlockingIOError):
                if server.type == socket.SOCK_STREAM:
                    server.accept()[0].close()
                else:
                    server.recv(100)
                found.append(f"server {name}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.addresses["free"]), 0.2).close()
            found.append("the attacker's own server")
        return found

    # What processes share.

    def _share(self) -> None:
        for name, text in ((self.segment, self.secret), (f"{self.segment}-w", "as it was")):
            path = Path("/dev/shm") / name
            path.write_text(text)
            path.chmod(0o666)
            self._stack.callback(path.unlink, missing_ok=True)
        _LIBC.shmat.restype = ctypes.c_void_p
        number = _LIBC.shmget(self.shm_key, 64, 0o1666)
        place = _LIBC.shmat(number, None, 0)
        ctypes.memmove(place, self.secret.encode(), len(self.secret))
        _LIBC.shmdt(ctypes.c_void_p(place))
        self._stack.callback(_LIBC.shmctl, number, 0, None)
        key = _LIBC.syscall(248, b"user", self.segment.encode(), self.secret.encode(), 23, -4)
        if key >= 0:
            self._stack.callback(_LIBC.syscall, 250, 9, key, -4)
        librt = ctypes.CDLL("librt.so.1")
        queue = librt.mq_open(f"/{self.segment}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
        if queue >= 0:
            for _ in range(9):
                librt.mq_send(queue, self.secret.encode(), len(self.secret), 0)
            self._stack.callback(librt.mq_unlink, f"/{self.segment}".encode())
            self._stack.callback(os.close, queue)

    # The other process.

    def new_victim(self) -> None:
        """Start the user's other process, in place of the one that was harmed."""
        self._end_victim()
        words = [self.secret, str(self.home), self.watched]
        self.victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _VICTIM, *words],
            env={"SECRET": self.secret},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.victim.stdout is not None
        self.address = int(self.victim.stdout.readline())
        self._whole = self._victims_state()

    def _victims_state(self) -> dict[str, object]:
        assert self.victim is not None
        pid = self.victim.pid
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return {
            "stopped": state in "Tt",
            "limits": resource.prlimit(pid, resource.RLIMIT_NOFILE),
            "priority": os.getpriority(os.PRIO_PROCESS, pid),
            "processors": os.sched_getaffinity(pid),
            "disk": _LIBC.syscall(252, 1, pid),
        }

    def harm(self) -> list[str]:
        """What was done to the user's other process; a new one takes its place."""
        assert self.victim is not None
        try:
            dead = self.victim.wait(0.05)
            found = [f"dead ({dead})"]
        except subprocess.TimeoutExpired:
            now = self._victims_state()
            found = [name for name in now if now[name] != self._whole[name]]
        if os.getpriority(os.PRIO_PROCESS, 0) > 10:
            found.append("our own priority")
        if found:
            self.new_victim()
        return found

    def _end_victim(self) -> None:
        if self.victim is not None:
            self.victim.kill()
            self.victim.send_signal(signal.SIGCONT)
            self.victim.communicate()

    def stragglers(self) -> list[int]:
        """Processes with the attacker's marks."""
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (path / "cmdline").read_bytes() + (path / "comm").read_bytes()
                    zombie = b") Z" in (path / "stat").read_bytes()
                    if not zombie and (self.mark.encode() in words or self.name.encode() in words):
                        found.append(int(path.name))
        return found

    def forget_stragglers(self) -> None:
        """End what an attack without a cage has left behind."""
        until = time.monotonic() + 25
        while (found := self.stragglers()) and time.monotonic() < until:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _state(path: Path) -> tuple[Any, ...]:
    told = path.lstat()
    content = path.read_bytes() if stat.S_ISREG(told.st_mode) else b""
    marks = os.listxattr(path, follow_symlinks=False)
    return told.st_mode, told.st_mtime if content else 0, content, tuple(marks)


@contextlib.contextmanager
def arena() -> Iterator[Arena]:
    """An arena in a new folder."""
    root = Path(tempfile.mkdtemp(prefix="battery-"))
    root.chmod(0o755)
    try:
        with Arena(root) as made:
            yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)
