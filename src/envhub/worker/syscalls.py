"""Numbers of system calls, and one way to make them: the C library has no names for the newest.

From Linux's `asm/unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64); from 424 on they are
the same everywhere.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict

_SHARED = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_open": 434,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_setattr": 469,
}

# name: (x86_64, aarch64); -1 where there is no such call.
_BOTH = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chmod": (90, -1),
    "chown": (92, -1),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "futimesat": (261, -1),
    "init_module": (175, 105),
    "inotify_add_watch": (254, 27),
    "ioctl": (16, 29),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lchown": (94, -1),
    "lookup_dcookie": (212, 18),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "request_key": (249, 218),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "setgroups": (116, 159),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sysfs": (139, -1),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "uselib": (134, -1),
    "utime": (132, -1),
    "utimensat": (280, 88),
    "utimes": (235, -1),
    "vhangup": (153, 58),
}

MACHINES = ("x86_64", "aarch64")


def machine() -> str:
    """This machine's kind, as `uname -m` says it; empty where nobody says it."""
    # `platform.machine` of old Pythons starts a program to find out.
    return os.uname().machine if hasattr(os, "uname") else ""


def table(kind: str = "") -> Dict[str, int]:
    """The calls of a machine by their names; empty for one that is not known.

    Args:
        kind: one of `MACHINES`, or any other word of `uname -m`; this one's if empty.
    """
    kind = kind or machine()
    if kind not in MACHINES:
        return {}
    own = {name: pair[MACHINES.index(kind)] for name, pair in _BOTH.items()}
    return {name: number for name, number in {**own, **_SHARED}.items() if number >= 0}


def call(name: str, *args: Any) -> int:
    """Make a system call.

    Raises:
        OSError: it failed; also if this machine's numbers are not known.
    """
    number = table().get(name)
    if number is None:
        raise OSError(38, "not known on {}: {}".format(machine(), name))
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    result: int = library.syscall(
        ctypes.c_long(number),
        *(ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args),
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, "{}: {}".format(name, os.strerror(code)))
    return result


def prctl(option: int, *args: int) -> int:
    """Make the system call that changes a process (`prctl`).

    Raises:
        OSError: it failed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    result: int = library.prctl(option, *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, "prctl {}: {}".format(option, os.strerror(code)))
    return result
