"""seccomp: which system calls a process may still make, as a filter that it cannot take off.

The filter is a list of denials: numeric libraries use too many calls for a list of permissions. It
is a program for Linux's classic BPF, written down here instruction by instruction
(`linux/filter.h`, `linux/seccomp.h`), since the process that wears it has no library for that.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

from . import syscalls

# Instructions: load a word of the call's data, jump if equal, at least, or a bit is set; answer.
LOAD, EQUAL, AT_LEAST, ANY_BIT, ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
SET_MODE_FILTER = 1

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000

UNIX, INET, INET6, NETLINK = 1, 2, 10, 16

# CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
NEW_NAMESPACES = 0x7E020000
TIOCSTI, TIOCLINUX = 0x5412, 0x541C


def _names(text: str) -> List[str]:
    return text.split()


# Nobody who computes needs these: they reach into other processes, mounts or the kernel.
NEVER = _names(
    "acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init "
    "finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl kcmp kexec_file_load "
    "kexec_load keyctl lookup_dcookie mount mount_setattr move_mount nfsservctl "
    "name_to_handle_at open_by_handle_at open_tree open_tree_attr perf_event_open pidfd_getfd "
    "pivot_root process_madvise process_mrelease process_vm_readv process_vm_writev ptrace "
    "quotactl quotactl_fd reboot request_key setdomainname sethostname setns settimeofday swapoff "
    "swapon sysfs syslog umount2 unshare userfaultfd uselib vhangup"
)

# Programs ask whether these are there and go on without them.
ABSENT = ("clone3", "io_uring_enter", "io_uring_register", "io_uring_setup")

# Without namespaces of its own a process shares these with all others of its user.
SHARED = ("mq_open", "msgget", "semget", "shmget", "inotify_add_watch")
# … may give these orders to the others (the argument that names a process must be 0: oneself),
TO_OTHERS: Mapping[str, Mapping[int, Sequence[int]]] = {
    "ioprio_set": {0: (1,), 1: (0,)},
    "migrate_pages": {0: (0,)},
    "move_pages": {0: (0,)},
    "prlimit64": {0: (0,)},
    "sched_setaffinity": {0: (0,)},
    "sched_setattr": {0: (0,)},
    "sched_setparam": {0: (0,)},
    "sched_setscheduler": {0: (0,)},
    "setpriority": {0: (0,), 1: (0,)},
}
# … and may change these of any file of its user, which Landlock does not look at. They are said to
# have worked: who copies a file wants its contents, and would fail for the sake of its mode.
PRETENDED = _names(
    "chmod chown fchmod fchmodat fchmodat2 fchown fchownat file_setattr futimesat lchown utime "
    "utimensat utimes"
)
UNSUPPORTED = _names(
    "fremovexattr fsetxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat"
)


class Instruction(NamedTuple):
    """One step of a filter: what to do, how far to jump if true and if false, and an operand."""

    code: int
    yes: int
    no: int
    operand: int


Program = List[Instruction]


def program(families: Sequence[int], *, namespaces: bool, machine: str = "") -> Program:
    """The filter.

    Args:
        families: which kinds of sockets may be made, `UNIX` and the like.
        namespaces: whether the process is alone in namespaces of its own.
        machine: for which processor, a key of `ARCHITECTURES`; this one if empty.

    Raises:
        OSError: the machine's numbers are not known.
    """
    machine = machine or syscalls.machine()
    numbers = syscalls.table(machine)
    if not numbers:
        raise OSError(errno.ENOSYS, "no seccomp filter for {}".format(machine))
    steps = _preamble(machine)
    for name, body in _rules(families, namespaces).items():
        if name in numbers:
            steps.append(Instruction(EQUAL, 0, len(body), numbers[name]))
            steps += body
    return [*steps, _answer(ALLOW)]


def install(steps: Program, *, threads: bool = True) -> None:
    """Wear a filter. `no_new_privs` must be set.

    Args:
        steps: the filter.
        threads: put it on all threads of the process, not on the calling one alone.

    Raises:
        OSError: the kernel does not take it.
    """
    packed = b"".join(struct.pack("=HBBI", *step) for step in steps)
    code = ctypes.create_string_buffer(packed, len(packed))
    head = struct.pack("=H6xQ", len(steps), ctypes.addressof(code))
    left = syscalls.call(
        "seccomp", SET_MODE_FILTER, int(threads), ctypes.create_string_buffer(head, len(head))
    )
    if left:
        raise OSError(errno.EBUSY, "thread {} cannot wear the filter".format(left))


def _preamble(machine: str) -> Program:
    # Another architecture's calls (int 0x80, x32) have other numbers and would slip through.
    steps = [
        Instruction(LOAD, 0, 0, ARCHITECTURE),
        Instruction(EQUAL, 1, 0, ARCHITECTURES[machine]),
        _answer(ERRNO | errno.ENOSYS),
        Instruction(LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        steps += [Instruction(AT_LEAST, 0, 1, X32), _answer(ERRNO | errno.ENOSYS)]
    return steps


def _rules(families: Sequence[int], namespaces: bool) -> Dict[str, Program]:
    refused, absent = [_answer(ERRNO | errno.EPERM)], [_answer(ERRNO | errno.ENOSYS)]
    pretended, unsupported = [_answer(ERRNO)], [_answer(ERRNO | errno.EOPNOTSUPP)]
    rules: Dict[str, Program] = dict.fromkeys(NEVER, refused)
    rules.update(dict.fromkeys(ABSENT, absent))
    rules["clone"] = [
        Instruction(LOAD, 0, 0, ARGUMENTS),
        Instruction(ANY_BIT, 0, 1, NEW_NAMESPACES),
        _answer(ERRNO | errno.EPERM),
        _answer(ALLOW),
    ]
    rules["ioctl"] = _none_of(1, (TIOCSTI, TIOCLINUX))
    rules["socket"] = _only({0: families}, errno.EACCES)
    rules["socketpair"] = _only({0: (UNIX,)}, errno.EACCES)
    if not namespaces:
        rules.update(dict.fromkeys(SHARED, refused))
        rules.update({name: _only(allowed, errno.EPERM) for name, allowed in TO_OTHERS.items()})
        rules.update(dict.fromkeys(PRETENDED, pretended))
        rules.update(dict.fromkeys(UNSUPPORTED, unsupported))
    return rules


def _answer(value: int) -> Instruction:
    return Instruction(ANSWER, 0, 0, value)


def _only(allowed: Mapping[int, Sequence[int]], code: int) -> Program:
    """Refuse unless each argument is one of its values."""
    steps: Program = []
    for index, values in allowed.items():
        steps.append(Instruction(LOAD, 0, 0, ARGUMENTS + 8 * index))
        steps += [
            Instruction(EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)
        ]
        steps.append(_answer(ERRNO | code))
    return [*steps, _answer(ALLOW)]


def _none_of(index: int, denied: Sequence[int]) -> Program:
    """Refuse if an argument is one of some values."""
    jumps = [
        Instruction(EQUAL, len(denied) - place, 0, value) for place, value in enumerate(denied)
    ]
    return [
        Instruction(LOAD, 0, 0, ARGUMENTS + 8 * index),
        *jumps,
        _answer(ALLOW),
        _answer(ERRNO | errno.EPERM),
    ]


def wear(orders: Mapping[str, Any]) -> None:
    """Put on the filter that is ordered: `{"families": […], "namespaces": bool}`.

    Raises:
        OSError: the kernel does not take it.
    """
    install(program(orders["families"], namespaces=orders["namespaces"]))
