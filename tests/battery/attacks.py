"""The table of attacks: which there are, and which cages stop them.

The words are those of `tests/repos/hostile/env.py` and `tests/battery/protocol.py`. `process` is a
process of its own without a sandbox; what no level stops is in the table all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEVELS: Final = ("process", "landlock", "bubblewrap")
ALL: Final = frozenset(LEVELS)
CAGES: Final = frozenset(LEVELS[1:])
NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: the function that carries it out.
        title: what it is after, for the table.
        stopped: the levels that must stop it.
        fresh: it needs a process of its own, because it harms the one that it is in.
        root: it works for root only, even without a cage.
        why: why it is harmless where it is not stopped.
    """

    name: str
    title: str
    stopped: frozenset[str] = CAGES
    fresh: bool = False
    root: bool = False
    why: str = ""


THEFT: Final = (
    Attack("token_in_the_environment", "token from an environment variable", ALL),
    Attack("token_file", "token from the Hub's file"),
    Attack("ssh_key", "private SSH key"),
    Attack("home_listing", "names in the home folder"),
    Attack("users_of_the_machine", "users of the machine"),
    Attack("environment_of_the_client", "environment of the trainer"),
    Attack("environment_of_a_process", "environment of another process"),
    Attack("words_of_a_process", "command line of another process"),
    Attack("list_of_processes", "which processes run"),
    Attack("memory_through_proc", "memory of a process, /proc/PID/mem"),
    Attack("memory_through_vm_readv", "memory of a process, process_vm_readv"),
    Attack("memory_through_ptrace", "memory of a process, ptrace"),
    Attack("link_in_proc", "files through /proc/PID/root"),
    Attack("shared_memory_segment", "shared memory of other programs"),
    Attack("system_v_memory", "System V shared memory"),
    Attack("message_queue", "POSIX message queue"),
    Attack("key_of_the_user", "the kernel's keyring"),
    Attack("hard_link", "hard link to a secret"),
    Attack("symbolic_link", "symbolic link to a secret"),
    Attack("watching_the_home", "watching which files change"),
)
HARM: Final = (
    Attack("append_to_the_shells_file", "append to ~/.bashrc"),
    Attack("start_with_the_desktop", "start with the desktop"),
    Attack("file_in_tmp", "file in the machine's /tmp"),
    Attack("own_repo", "change its own repo"),
    Attack("installed_packages", "add to installed packages"),
    Attack("package_that_is_there", "change an installed package"),
    Attack("envhubs_own_code", "change envhub itself"),
    Attack("cache_of_envhub", "write into envhub's cache"),
    Attack("delete_a_file", "delete a file"),
    Attack("empty_a_file", "empty a file"),
    Attack("empty_while_opening", "empty a file while opening it to read"),
    Attack("change_a_mode", "open a file to everybody"),
    Attack("change_a_time", "change a file's time"),
    Attack("change_an_attribute", "change a file's attributes"),
    Attack("rename_a_file", "rename a file"),
    Attack("replace_by_a_link", "plant a link"),
    Attack("pipe_in_the_home", "plant a named pipe"),
    Attack("other_shared_memory", "change others' shared memory"),
    Attack("new_shared_memory", "leave shared memory behind"),
    Attack("end_a_process", "kill another process"),
    Attack("stop_a_process", "halt another process"),
    Attack("signal_through_a_pipe", "kill by the owner of a socket"),
    Attack("signal_through_a_descriptor", "kill through a pidfd"),
    Attack("limits_of_a_process", "take another process's limits away"),
    Attack("slow_a_process_down", "slow another process down"),
    Attack("pin_a_process", "pin another process to one core"),
    Attack("last_for_the_disk", "let another process wait for the disk"),
)
NETWORK: Final = (
    Attack("tcp_connection", "TCP connection"),
    Attack("tcp_over_ipv6", "TCP over IPv6"),
    Attack("tcp_port", "open a port"),
    Attack("udp_packet", "UDP packet"),
    Attack("name_server", "question to a name server"),
    Attack("socket_of_a_server", "unix socket: docker, ssh-agent, D-Bus"),
    Attack("socket_without_a_path", "abstract unix socket"),
    Attack("datagram_to_a_socket", "datagram to a unix socket"),
    Attack("raw_packets", "listening to the wire", root=True),
    Attack("addresses_of_the_machine", "network interfaces"),
)
KERNEL: Final = (
    Attack("user_namespace", "user namespace"),
    Attack("user_namespace_by_clone", "user namespace by clone"),
    Attack("mount_a_folder", "mount", root=True),
    Attack("change_the_root", "chroot", root=True),
    Attack("io_uring", "io_uring"),
    Attack("bpf", "bpf", root=True),
    Attack("performance_counters", "performance counters", root=True),
    Attack("userfaultfd", "userfaultfd"),
    Attack("keystrokes_for_the_terminal", "keystrokes into a terminal"),
    Attack("kernel_log", "the kernel's log", root=True),
    Attack("handle_of_a_file", "files by handle", root=True),
    Attack("call_of_another_machine", "32-bit system calls"),
    Attack("more_rights", "rights through setuid programs"),
    Attack("run_what_was_written", "run a program that it wrote"),
    Attack(
        "run_from_memory",
        "run a program from memory",
        NOBODY,
        why="it has the rights that its process had before, and no more",
    ),
)
RESOURCES: Final = (
    Attack("many_processes", "fork bomb", fresh=True),
    Attack("many_threads", "thread bomb", fresh=True),
    Attack("much_memory", "memory bomb", fresh=True),
    Attack("much_memory_in_parts", "memory bomb in many processes", fresh=True),
    Attack("one_big_file", "one big file", fresh=True),
    Attack("many_files", "many files", fresh=True),
    Attack("many_empty_files", "many empty files", fresh=True),
    Attack("files_without_a_name", "files that were deleted and are open", fresh=True),
    Attack("fill_shared_memory", "fill /dev/shm", fresh=True),
    Attack("a_daemon", "daemon that stays behind", ALL, fresh=True),
    Attack("a_daemon_that_forks_on", "daemon that forks away from its killer", ALL, fresh=True),
    Attack("deep_folders", "folders too deep to delete", ALL, fresh=True),
    Attack("closed_folders", "folders closed against deletion", ALL, fresh=True),
)
GENTLE: Final = (*THEFT, *HARM, *NETWORK, *KERNEL)
GROUPS: Final = {
    "Theft": THEFT,
    "Harm": HARM,
    "Network": NETWORK,
    "Kernel": KERNEL,
    "Resources": RESOURCES,
}
