"""Landlock: which files a process may still touch, as rules that it cannot take off.

By system calls alone (`linux/landlock.h`), because this runs before anything else can be imported.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from typing import Any, Iterable, List, Mapping

from . import syscalls

(
    EXECUTE,
    WRITE_FILE,
    READ_FILE,
    READ_DIR,
    REMOVE_DIR,
    REMOVE_FILE,
    MAKE_CHAR,
    MAKE_DIR,
    MAKE_REG,
    MAKE_SOCK,
    MAKE_FIFO,
    MAKE_BLOCK,
    MAKE_SYM,
    REFER,
    TRUNCATE,
    IOCTL_DEV,
) = (1 << bit for bit in range(16))

READ = EXECUTE | READ_FILE | READ_DIR
# Everything but to run what was written, and to make device files.
WRITE = 0xFFFF & ~(EXECUTE | MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV)
DEVICE = READ_FILE | WRITE_FILE | READ_DIR | TRUNCATE | IOCTL_DEV
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

BIND_TCP, CONNECT_TCP = 1, 2
ABSTRACT_UNIX, SIGNAL = 1, 2

NETWORK_SINCE, DEVICES_SINCE, SCOPE_SINCE = 4, 5, 6
# Before this one, any file of the user's could be emptied.
OLDEST = 3

_VERSION_FLAG = 1
_PATH_BENEATH = 1


def version() -> int:
    """What Landlock can do on this kernel, as its own number; 0 if it is not there."""
    try:
        return syscalls.call("landlock_create_ruleset", None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def file_rights(abi: int) -> int:
    """All rights to files that a version knows."""
    return (1 << (13, 14, 15, 15, 16)[min(abi, 5) - 1]) - 1


def restrict(orders: Mapping[str, Any]) -> int:
    """Give up all files but those that are ordered, for ever.

    `no_new_privs` must be set. Paths that do not exist are passed over.

    Args:
        orders: `read`, `write` and `devices`: lists of paths; `tcp`: whether TCP stays; `scope`:
            whether signals and abstract sockets of other processes are given up.

    Returns:
        Landlock's version.

    Raises:
        OSError: there is no Landlock, or none that would hold.
    """
    abi = version()
    if abi < OLDEST:
        raise OSError(errno.ENOSYS, "Landlock {} is older than {}".format(abi, OLDEST))
    ruleset = _create(abi, tcp=orders["tcp"], scope=orders["scope"])
    try:
        for name, rights in (("read", READ), ("write", WRITE | READ), ("devices", DEVICE)):
            if name == "write":
                rights &= ~EXECUTE
            _allow(ruleset, orders[name], rights & file_rights(abi))
        syscalls.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def _create(abi: int, *, tcp: bool, scope: bool) -> int:
    fields: List[int] = [file_rights(abi)]
    if abi >= NETWORK_SINCE:
        fields.append(0 if tcp else BIND_TCP | CONNECT_TCP)
    if abi >= SCOPE_SINCE:
        fields.append(ABSTRACT_UNIX | SIGNAL if scope else 0)
    packed = struct.pack("={}Q".format(len(fields)), *fields)
    attributes = ctypes.create_string_buffer(packed, len(packed))
    return syscalls.call("landlock_create_ruleset", attributes, len(packed), 0)


def _allow(ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                continue
            raise
        try:
            folder = stat.S_ISDIR(os.fstat(fd).st_mode)
            packed = struct.pack("=Qi", rights if folder else rights & OF_FILES, fd)
            attributes = ctypes.create_string_buffer(packed, len(packed))
            syscalls.call("landlock_add_rule", ruleset, _PATH_BENEATH, attributes, 0)
        finally:
            os.close(fd)
