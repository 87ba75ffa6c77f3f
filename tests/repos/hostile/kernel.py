"""Doors in the kernel."""

import ctypes
import fcntl
import mmap
import os
import shutil
import subprocess

from tools import a_place, call, kept, libc, read


def in_a_child(action):
    """Try what would change this process in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise OSError("refused")


def user_namespace(a):
    in_a_child(lambda: call(272, 0x10000000))
    return a["done"]


def user_namespace_by_clone(a):
    pid = call(56, 0x10000000 | 17, None, None, None, None)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return a["done"]


def mount_a_folder(a):
    if libc.mount(b"none", a_place().encode(), b"tmpfs", 0, None):
        raise OSError("refused")
    libc.umount2(a_place().encode(), 2)
    return a["done"]


def change_the_root(a):
    in_a_child(lambda: os.chroot(a_place()))
    return a["done"]


def io_uring(a):
    kept.append(call(425, 4, ctypes.create_string_buffer(120)))
    return a["done"]


def bpf(a):
    attributes = ctypes.create_string_buffer((1).to_bytes(4, "little") * 4, 120)
    kept.append(call(321, 0, attributes, 120))
    return a["done"]


def performance_counters(a):
    attributes = ctypes.create_string_buffer(
        (1).to_bytes(4, "little") + (120).to_bytes(4, "little"), 120
    )
    kept.append(call(298, attributes, 0, -1, -1, 0))
    return a["done"]


def userfaultfd(a):
    kept.append(call(323, 1))
    return a["done"]


def keystrokes_for_the_terminal(a):
    pid, fd = os.forkpty()
    if pid == 0:
        try:
            fcntl.ioctl(0, 0x5412, b"!")
            os._exit(0)
        except OSError:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    os.close(fd)
    return a["done"] if status == 0 else ""


def kernel_log(a):
    call(103, 10, None, 0)
    return a["done"]


def handle_of_a_file(a):
    handle = ctypes.create_string_buffer((128).to_bytes(4, "little"), 136)
    mount = ctypes.c_int()
    call(303, -100, b"/", handle, ctypes.byref(mount), 0)
    fd = os.open("/", os.O_RDONLY)
    os.close(call(304, fd, handle, os.O_RDONLY))
    return a["done"]


def run_what_was_written(a):
    path = a_place() + "/program"
    shutil.copyfile("/usr/bin/printf", path)
    os.chmod(path, 0o755)
    return subprocess.run([path, a["done"]], stdout=subprocess.PIPE).stdout.decode()


def more_rights(a):
    return read("/proc/self/status")


def run_from_memory(a):
    fd = os.memfd_create("program", 0)
    with open("/usr/bin/printf", "rb") as program:
        os.write(fd, program.read())
    return subprocess.run(
        ["printf", a["done"]], executable="/proc/self/fd/%d" % fd, pass_fds=[fd],
        stdout=subprocess.PIPE,
    ).stdout.decode()  # fmt: skip


def call_of_another_machine(a):
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(
        b"\xb8\x1a\x00\x00\x00\x53\xbb\x00\x00\x00\x00\x31\xc9\x31\xd2\x31\xf6\xcd\x80\x5b\xc3"
    )
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def action():
        if function():
            raise OSError("refused")

    in_a_child(action)  # ptrace, by its number for 32 bits
    return a["done"]
