"""Who a process is: rights are given up here, and never come back."""

from __future__ import annotations

import ctypes
import os
import struct

from . import syscalls

SET_DUMPABLE, SET_KEEPCAPS, SET_NO_NEW_PRIVS, AMBIENT = 4, 8, 38, 47
AMBIENT_RAISE = 2
SET_DEATH_SIGNAL, GET_DEATH_SIGNAL = 1, 2
# To read what only root may: the env's own files can lie in root's folders. It is kept only where
# Landlock or mounts say which files there are.
READ_ALL = 2
CAPABILITY_VERSION = 0x20080522


def no_new_privileges() -> None:
    """From now on, no program that is run has more rights than this one (setuid is ignored).

    Raises:
        OSError: the kernel does not know of it.
    """
    syscalls.prctl(SET_NO_NEW_PRIVS, 1)


def become(uid: int, *, read_all: bool) -> None:
    """Stop being root.

    Args:
        uid: the user and group to become; they need no entry anywhere.
        read_all: keep the right to read all files, and no other.

    Raises:
        OSError: it is not allowed.
    """
    if read_all:
        syscalls.prctl(SET_KEEPCAPS, 1)
    death = ctypes.c_int()
    ctypes.CDLL(None).prctl(GET_DEATH_SIGNAL, ctypes.byref(death), 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if read_all:
        _keep(1 << READ_ALL)
        syscalls.prctl(AMBIENT, AMBIENT_RAISE, READ_ALL)  # programs that it runs have it, too
    # With the user went the wish to die with the parent.
    syscalls.prctl(SET_DEATH_SIGNAL, death.value)
    # The kernel hides /proc/self from who has changed its user, until it is told not to.
    syscalls.prctl(SET_DUMPABLE, 1)


def _keep(capabilities: int) -> None:
    header = struct.pack("=II", CAPABILITY_VERSION, 0)
    sets = struct.pack("=6I", capabilities, capabilities, capabilities, 0, 0, 0)
    syscalls.call(
        "capset",
        ctypes.create_string_buffer(header, len(header)),
        ctypes.create_string_buffer(sets, len(sets)),
    )
