"""What can be destroyed or planted, and who can be harmed."""

import fcntl
import os
import resource
import signal
import socket

from tools import call, write


def append_to_the_shells_file(a):
    write(a["home"] + "/.bashrc")


def start_with_the_desktop(a):
    write(a["home"] + "/.config/autostart/evil.desktop")


def file_in_tmp(a):
    write(a["tmp"])


def own_repo(a):
    write(a["repo"] + "/env.py", "\n# pwned")


def installed_packages(a):
    write(a["packages"] + "/poison.py")


def package_that_is_there(a):
    write(a["packages"] + "/victim_package.py", "\nPOISON = 1")


def envhubs_own_code(a):
    write(a["program"] + "/poison.txt")


def cache_of_envhub(a):
    write(a["cache"] + "/poison.txt")


def delete_a_file(a):
    os.remove(a["home"] + "/delete-me")


def empty_a_file(a):
    os.truncate(a["home"] + "/empty-me", 0)


def empty_while_opening(a):
    os.close(os.open(a["home"] + "/empty-me-too", os.O_RDONLY | os.O_TRUNC))


def change_a_mode(a):
    os.chmod(a["home"] + "/lock-me", 0o777)


def change_a_time(a):
    os.utime(a["home"] + "/age-me", (0, 0))


def change_an_attribute(a):
    os.setxattr(a["home"] + "/mark-me", "user.pwned", b"1")


def rename_a_file(a):
    os.rename(a["home"] + "/rename-me", a["home"] + "/renamed")


def replace_by_a_link(a):
    os.symlink("/etc/passwd", a["home"] + "/planted")


def pipe_in_the_home(a):
    os.mkfifo(a["home"] + "/fifo")


def other_shared_memory(a):
    with open("/dev/shm/" + a["segment"] + "-w", "r+") as file:
        file.write("pwned")


def new_shared_memory(a):
    write("/dev/shm/" + a["segment"] + "-new")


def end_a_process(a):
    os.kill(a["victim"], signal.SIGKILL)


def stop_a_process(a):
    os.kill(a["victim"], signal.SIGSTOP)


def signal_through_a_pipe(a):
    ours, theirs = socket.socketpair()
    fcntl.fcntl(ours, fcntl.F_SETOWN, a["victim"])
    fcntl.fcntl(ours, 10, signal.SIGKILL)
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    theirs.send(b"x")


def signal_through_a_descriptor(a):
    fd = call(434, a["victim"], 0)
    call(424, fd, signal.SIGKILL, None, 0)


def limits_of_a_process(a):
    resource.prlimit(a["victim"], resource.RLIMIT_NOFILE, (3, 3))


def slow_a_process_down(a):
    os.setpriority(os.PRIO_PROCESS, a["victim"], 19)


def pin_a_process(a):
    os.sched_setaffinity(a["victim"], {0})


def last_for_the_disk(a):
    call(251, 1, a["victim"], 3 << 13)
