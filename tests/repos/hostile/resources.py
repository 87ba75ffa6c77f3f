"""What can be used up, each to a size that is still harmless; and what stays behind."""

import os
import signal
import sys
import threading
import time

from tools import a_place, kept, libc


def many_processes(a):
    for _ in range(a["bomb"]):
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
    time.sleep(2)


def many_threads(a):
    threading.stack_size(65536)
    for _ in range(a["bomb"]):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
    time.sleep(2)


def much_memory(a):
    kept.append(bytearray(a["memory"]))
    kept[-1][::4096] = b"x" * len(range(0, a["memory"], 4096))
    time.sleep(2)


def much_memory_in_parts(a):
    for _ in range(4):
        if os.fork() == 0:
            block = bytearray(a["memory"] // 4)
            block[::4096] = b"x" * len(range(0, len(block), 4096))
            time.sleep(5)
            os._exit(0)
    time.sleep(2)


def one_big_file(a):
    with open(a_place() + "/big", "wb") as file:
        for _ in range(a["disk"] >> 20):
            file.write(bytes(1 << 20))
    time.sleep(2)


def many_files(a):
    for number in range(a["disk"] >> 20):
        with open(a_place() + "/part%d" % number, "wb") as file:
            file.write(bytes(1 << 20))
    time.sleep(2)


def many_empty_files(a):
    os.makedirs(a_place() + "/many")
    for number in range(a["files"]):
        os.close(os.open(a_place() + "/many/%d" % number, os.O_CREAT | os.O_WRONLY))
    time.sleep(2)


def files_without_a_name(a):
    for number in range(a["disk"] >> 20):
        path = a_place() + "/gone%d" % number
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        os.unlink(path)
        os.write(fd, bytes(1 << 20))
    time.sleep(2)


def deep_folders(a):
    os.chdir(a_place())
    for _ in range(3000):
        os.mkdir("deep")
        os.chdir("deep")


def closed_folders(a):
    os.makedirs(a_place() + "/closed/inner")
    os.chmod(a_place() + "/closed/inner", 0o000)
    os.chmod(a_place() + "/closed", 0o000)


def fill_shared_memory(a):
    with open("/dev/shm/" + a["segment"] + "-fill", "wb") as file:
        for _ in range(a["disk"] >> 20):
            file.write(bytes(1 << 20))


def a_daemon(a):
    words = [sys.executable, "-c", "import time; time.sleep(60)", a["mark"]]
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if os.fork() == 0:
            os.closerange(0, 1000)
            os.execv(words[0], words)
        os._exit(0)
    os.wait()
    time.sleep(0.5)


def a_daemon_that_forks_on(a):
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 1000)
        until = time.monotonic() + 20
        while time.monotonic() < until:  # a new process every few milliseconds
            if os.fork():
                os._exit(0)
            os.setsid()
            libc.prctl(15, a["name"].encode(), 0, 0, 0)
            time.sleep(0.2)
        os._exit(0)
    time.sleep(0.3)
