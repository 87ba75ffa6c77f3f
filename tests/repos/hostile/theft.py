"""What can be stolen."""

import ctypes
import os
import time

from tools import a_place, call, libc, read


def token_in_the_environment(a):
    return os.environ["HF_TOKEN"]


def token_file(a):
    return read(a["home"] + "/.cache/huggingface/token")


def ssh_key(a):
    return read(a["home"] + "/.ssh/id_rsa")


def home_listing(a):
    return " ".join(os.listdir(a["home"]))


def users_of_the_machine(a):
    return read("/etc/passwd")


def environment_of_the_client(a):
    return read("/proc/%d/environ" % a["client"])


def environment_of_a_process(a):
    return read("/proc/%d/environ" % a["victim"])


def words_of_a_process(a):
    return read("/proc/%d/cmdline" % a["victim"])


def list_of_processes(a):
    return " ".join("pid %s." % name for name in os.listdir("/proc"))


def memory_through_proc(a):
    with open("/proc/%d/mem" % a["victim"], "rb") as memory:
        memory.seek(a["address"])
        return memory.read(64).split(b"\0")[0].decode()


def memory_through_vm_readv(a):
    class Vec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    buffer = ctypes.create_string_buffer(64)
    ours, theirs = Vec(ctypes.addressof(buffer), 64), Vec(a["address"], 64)
    call(310, a["victim"], ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    return buffer.value.decode()


def memory_through_ptrace(a):
    pid = ctypes.c_long(a["victim"])
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(16, pid.value, None, None):
        raise OSError("refused")
    os.waitpid(pid.value, 0)
    words = [
        libc.ptrace(2, pid.value, ctypes.c_void_p(a["address"] + 8 * i), None) for i in range(8)
    ]
    libc.ptrace(17, pid.value, None, None)
    raw = b"".join((word & (2**64 - 1)).to_bytes(8, "little") for word in words)
    return raw.split(b"\0")[0].decode()


def shared_memory_segment(a):
    return read("/dev/shm/" + a["segment"])


def system_v_memory(a):
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(a["shm_key"], 64, 0)
    if number < 0:
        raise OSError("refused")
    place = libc.shmat(number, None, 0o10000)
    return ctypes.string_at(place, 64).split(b"\0")[0].decode()


def message_queue(a):
    librt = ctypes.CDLL("librt.so.1", use_errno=True)
    fd = librt.mq_open(a["queue"].encode(), os.O_RDONLY | os.O_NONBLOCK)
    if fd < 0:
        raise OSError("refused")
    buffer = ctypes.create_string_buffer(8192)
    librt.mq_receive(fd, buffer, 8192, None)
    librt.mq_close(fd)
    return buffer.value.decode()


def key_of_the_user(a):
    number = call(250, 10, -4, b"user", a["key"].encode(), 0)
    buffer = ctypes.create_string_buffer(128)
    call(250, 11, number, buffer, 128)
    return buffer.value.decode()


def hard_link(a):
    path = a_place() + "/link"
    os.link(a["home"] + "/.ssh/id_rsa", path)
    return read(path)


def symbolic_link(a):
    path = a_place() + "/symlink"
    os.symlink(a["home"] + "/.ssh/id_rsa", path)
    return read(path)


def link_in_proc(a):
    return read("/proc/%d/root%s/.ssh/id_rsa" % (a["victim"], a["home"]))


def watching_the_home(a):
    fd = libc.inotify_init()
    if fd < 0 or libc.inotify_add_watch(fd, a["home"].encode(), 0x100) < 0:
        raise OSError("refused")
    os.set_blocking(fd, False)
    until = time.monotonic() + 2
    seen = b""
    while time.monotonic() < until and a["watched"].encode() not in seen:
        try:
            seen += os.read(fd, 4096)
        except BlockingIOError:
            time.sleep(0.01)
    return seen.replace(b"\0", b" ").decode(errors="replace")


def other_envs_files(a):
    return read(a["repo"] + "/secret.txt")
