"""The seccomp filter: asked about calls in a simulator, and worn for real."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
from pathlib import Path

import pytest
from tests.sandbox import caged
from tests.sandbox.bpf import ask

from envhub.worker import seccomp, syscalls
from envhub.worker.seccomp import ALLOW, ERRNO

MACHINES = syscalls.MACHINES
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
FAMILIES = (seccomp.UNIX, seccomp.INET, seccomp.INET6, seccomp.NETLINK)
READ_CALL = {"x86_64": 0, "aarch64": 63}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    """Each call has the number that Linux's own header gives it; newer ones are in none yet."""
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed here")
    text = HEADERS[machine].read_text(encoding="utf-8")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text))
    ours = syscalls.table(machine)
    wrong = {name for name in ours if name in known and int(known[name]) != ours[name]}
    assert not wrong
    assert all(ours[name] > 450 for name in ours if name not in known)
    absent = [name for name, both in syscalls._BOTH.items() if both[MACHINES.index(machine)] < 0]
    assert not [name for name in absent if name in known]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("namespaces", [True, False])
def test_what_nobody_needs_is_refused(machine: str, namespaces: bool) -> None:
    """Mounts, other processes' memory, the kernel: refused at every level, on every machine."""
    steps = seccomp.program(FAMILIES, namespaces=namespaces, machine=machine)
    known = syscalls.table(machine)
    for name in set(seccomp.NEVER) & set(known):
        assert ask(steps, name, machine=machine) == ERRNO | errno.EPERM, name
    for name in seccomp.ABSENT:
        assert ask(steps, name, machine=machine) == ERRNO | errno.ENOSYS, name
    assert ask(steps, READ_CALL[machine], machine=machine) == ALLOW
    assert ask(steps, "prlimit64", [0], machine=machine) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_only_without_namespaces_others_must_be_kept_out_by_the_filter(machine: str) -> None:
    """What is shared with the user's other processes is refused where no namespace hides it."""
    alone = seccomp.program((), namespaces=True, machine=machine)
    among = seccomp.program((), namespaces=False, machine=machine)
    known = syscalls.table(machine)
    for name in set(seccomp.SHARED) & set(known):
        assert ask(alone, name, machine=machine) == ALLOW
        assert ask(among, name, machine=machine) == ERRNO | errno.EPERM
    for name in set(seccomp.PRETENDED) & set(known):
        assert ask(alone, name, machine=machine) == ALLOW
        assert ask(among, name, machine=machine) == ERRNO  # "it worked", and nothing happened
    for name in set(seccomp.UNSUPPORTED) & set(known):
        assert ask(among, name, machine=machine) == ERRNO | errno.EOPNOTSUPP


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "args", "allowed"),
    [
        ("prlimit64", [0, 7], True),
        ("prlimit64", [4711, 7], False),
        ("sched_setaffinity", [1], False),
        ("setpriority", [0, 0], True),
        ("setpriority", [0, 4711], False),
        ("setpriority", [2, 0], False),  # PRIO_USER: all processes of the user
        ("ioprio_set", [1, 0], True),
        ("ioprio_set", [3, 0], False),
    ],
)
def test_orders_may_only_be_given_to_oneself(
    machine: str, call: str, args: list[int], allowed: bool
) -> None:
    """A process number other than 0 is refused where it could be a stranger's."""
    steps = seccomp.program((), namespaces=False, machine=machine)
    wanted = ALLOW if allowed else ERRNO | errno.EPERM
    assert ask(steps, call, args, machine=machine) == wanted
    assert ask(seccomp.program((), namespaces=True, machine=machine), call, args, machine=machine)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("families", [(), (seccomp.INET,), FAMILIES])
def test_sockets_are_of_the_families_that_are_allowed(
    machine: str, families: tuple[int, ...]
) -> None:
    """Any other family is refused; pairs of connected sockets are always there."""
    steps = seccomp.program(families, namespaces=True, machine=machine)
    for family in range(46):
        wanted = ALLOW if family in families else ERRNO | errno.EACCES
        assert ask(steps, "socket", [family, 1], machine=machine) == wanted
    assert ask(steps, "socketpair", [socket.AF_UNIX], machine=machine) == ALLOW
    assert ask(steps, "socketpair", [40], machine=machine) == ERRNO | errno.EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_are_looked_at(machine: str) -> None:
    """New namespaces and keystrokes for the terminal are refused; threads and forks are not."""
    steps = seccomp.program((), namespaces=True, machine=machine)
    threads, fork = 0x3D0F00, 17
    for flags in (threads, fork):
        assert ask(steps, "clone", [flags], machine=machine) == ALLOW
    for bit in (17, 25, 26, 27, 28, 29, 30):
        assert ask(steps, "clone", [fork | 1 << bit], machine=machine) == ERRNO | errno.EPERM
    for order in (0x5412, 0x541C, 0x1_0000_5412):  # the kernel looks at 32 bits, and so do we
        assert ask(steps, "ioctl", [0, order], machine=machine) == ERRNO | errno.EPERM
    assert ask(steps, "ioctl", [0, 0x5401], machine=machine) == ALLOW


def test_other_doors_into_the_kernel_are_shut() -> None:
    """32-bit calls and x32 have numbers of their own; they do not exist for the process."""
    steps = seccomp.program((), namespaces=True, machine="x86_64")
    i386 = 0x40000003
    assert ask(steps, 11, architecture=i386) == ERRNO | errno.ENOSYS
    assert ask(steps, 0x40000000 | 101) == ERRNO | errno.ENOSYS
    assert ask(steps, 0x40000000) == ERRNO | errno.ENOSYS
    arm = seccomp.program((), namespaces=True, machine="aarch64")
    assert ask(arm, 11, architecture=i386, machine="aarch64") == ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("namespaces", [True, False])
def test_every_path_through_the_filter_ends(machine: str, namespaces: bool) -> None:
    """Jumps stay inside the program, lead forward, and fit into a byte."""
    steps = seccomp.program(FAMILIES, namespaces=namespaces, machine=machine)
    assert len(steps) < 4096
    assert steps[-1].code == seccomp.ANSWER
    for place, step in enumerate(steps):
        assert 0 <= step.yes < 256
        assert 0 <= step.no < 256
        assert place + 1 + max(step.yes, step.no) < len(steps) or step.code == seccomp.ANSWER
        struct.pack("=HBBI", *step)


def test_a_machine_that_is_not_known_has_no_filter() -> None:
    """Nothing is guessed: another processor's numbers would forbid the wrong calls."""
    with pytest.raises(OSError, match="no seccomp filter for riscv64"):
        seccomp.program((), namespaces=True, machine="riscv64")
    assert syscalls.table("riscv64") == {}
    assert syscalls.machine() == os.uname().machine


def test_a_failing_call_says_its_name() -> None:
    """The message names the call and the kernel's reason."""
    with pytest.raises(OSError, match="landlock_create_ruleset: "):
        syscalls.call("landlock_create_ruleset", None, 7, 0)
    with pytest.raises(OSError, match="not known on"):
        syscalls.call("no_such_call")
    with pytest.raises(OSError, match="prctl 9999: "):
        syscalls.prctl(9999)


def test_the_filter_holds_in_a_process_and_all_its_children() -> None:
    """Worn for real: no sockets, no tracing, no other's limits; threads and programs still run."""
    found = caged.run(
        """
found["inet"] = tried(lambda: socket.socket().fileno() and "open")
found["unix"] = tried(lambda: socket.socket(socket.AF_UNIX).fileno() and "open")
found["pair"] = tried(lambda: len(socket.socketpair()))
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    result = libc.syscall(*args)
    return result if result >= 0 else os.strerror(ctypes.get_errno())
found["ptrace"] = call(101, 16, os.getppid(), 0, 0)
found["clone3"] = call(435, 0, 0)
found["unshare"] = call(272, 0x10000000)
found["others"] = tried(lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU))
found["own"] = len(resource.prlimit(0, resource.RLIMIT_CPU))
found["child"] = subprocess.run(["/bin/echo", "ok"], stdout=subprocess.PIPE).stdout.decode()
heard = []
thread = threading.Thread(target=lambda: heard.append(tried(lambda: socket.socket())))
thread.start(); thread.join()
found["thread"] = heard
found["done"] = done
""",
        {"seccomp": {"families": [], "namespaces": False}},
    )
    denied, absent = os.strerror(errno.EACCES), os.strerror(errno.ENOSYS)
    refused = os.strerror(errno.EPERM)
    assert found == {
        "inet": denied,
        "unix": denied,
        "pair": 2,
        "ptrace": refused,
        "clone3": absent,
        "unshare": refused,
        "others": refused,
        "own": 2,
        "child": "ok\n",
        "thread": [denied],
        "done": {"seccomp": True},
    }
