"""What this machine can do, each mechanism proven by doing it, in some 10 ms, once per process."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from envhub import proc
from envhub.errors import CommandError
from envhub.isolation.sandbox import bubblewrap
from envhub.worker import landlock, privileges, seccomp, syscalls

PATIENCE = 5.0
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Abilities:
    """What was proven, and why the rest was not.

    Attributes:
        platform: `linux`, `darwin` or `win32`.
        root: whether this is root.
        bubblewrap: the program that made namespaces; empty if none did.
        landlock: Landlock's version, if it kept a file away; else 0.
        seccomp: whether a filter kept a system call away.
        drops: whether root can become somebody else; true for anybody else.
        seatbelt: whether macOS's `sandbox-exec` is there.
        why: for each mechanism that is not there, the reason.
    """

    platform: str
    root: bool = False
    bubblewrap: str = ""
    landlock: int = 0
    seccomp: bool = False
    drops: bool = True
    seatbelt: bool = False
    why: tuple[tuple[str, str], ...] = ()

    def reason(self, name: str) -> str:
        """Why a mechanism is not there; empty if it is."""
        return dict(self.why).get(name, "")


@cache
def abilities() -> Abilities:
    """What this machine can do."""
    return probe()


def probe() -> Abilities:
    """Find out what this machine can do, now."""
    if sys.platform == "darwin":
        there = os.access("/usr/bin/sandbox-exec", os.X_OK)
        why = (("bubblewrap", "it needs Linux"), ("landlock", "it needs Linux"))
        return Abilities(sys.platform, seatbelt=there, why=why)
    if sys.platform != "linux":
        reason = f"there is none for {sys.platform}"
        return Abilities(sys.platform, why=(("bubblewrap", reason), ("landlock", reason)))
    root = os.geteuid() == 0
    why: list[tuple[str, str]] = []

    def tried(name: str, action: Callable[[], object]) -> object:
        try:
            return action()
        except (OSError, CommandError) as error:
            why.append((name, str(error)))
            return None

    return Abilities(
        sys.platform,
        root,
        bubblewrap=str(tried("bubblewrap", lambda: _bubblewrap(root)) or ""),
        landlock=int(bool(tried("landlock", lambda: _apart(_landlock)))) * landlock.version(),
        seccomp=bool(tried("seccomp", lambda: _apart(_seccomp))),
        drops=not root or bool(tried("drops", lambda: _apart(_become_nobody))),
        why=tuple(why),
    )


def _bubblewrap(root: bool) -> str:
    """The first bubblewrap that can do what is wanted of it."""
    said = "the program bwrap was not found"
    for program in bubblewrap.find():
        words = [*bubblewrap.alone(program, root=root, network=False), *bubblewrap.skeleton(4096)]
        try:
            done = proc.run([*words, "--", "/usr/bin/true"], timeout=PATIENCE, check=False)
        except (CommandError, OSError) as error:
            said = str(error)
            continue
        if not done.returncode:
            return program
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
    raise OSError(said)


def _apart(action: Callable[[], object]) -> object:
    """Call what gives up rights in a thread of its own, with which they are forgotten.

    Raises:
        OSError: as `action` does.
    """
    answers: list[object] = []

    def work() -> None:
        try:
            answers.append(action())
        except OSError as error:
            answers.append(error)

    thread = threading.Thread(target=work, name="envhub-probe")
    try:
        thread.start()
    except RuntimeError as error:  # no more threads for this user
        raise OSError(str(error)) from error
    thread.join()
    answer = answers[0] if answers else OSError("the probe ended without an answer")
    if isinstance(answer, OSError):
        raise answer
    return answer


def _landlock() -> bool:
    privileges.no_new_privileges()
    landlock.restrict({"read": [], "write": [], "devices": [], "tcp": True, "scope": False})
    with contextlib.suppress(PermissionError):
        os.close(os.open("/", os.O_RDONLY))
        raise OSError("a folder that was given up could still be read")
    return True


def _seccomp() -> bool:
    privileges.no_new_privileges()
    seccomp.install(seccomp.program((), namespaces=True), threads=False)
    try:
        syscalls.call("keyctl", 0, 0, 0)
    except PermissionError:
        return True
    raise OSError("a system call that was given up could still be made")


def _become_nobody() -> bool:
    # Not through the C library, which would do it to all threads of this process.
    syscalls.call("setgroups", 0, None)
    syscalls.call("setresgid", _NOBODY, _NOBODY, _NOBODY)
    syscalls.call("setresuid", _NOBODY, _NOBODY, _NOBODY)
    return True
