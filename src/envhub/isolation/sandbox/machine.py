"""What a caged process needs of this machine: system libraries, a few files, a few devices."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from envhub.isolation.launch import PROGRAM, Launch

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC: Final = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/os-release",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/mime.types",
    "/etc/drirc",
    "/etc/glvnd",
    "/etc/egl",
    "/etc/vulkan",
    "/etc/OpenCL",
    "/nix/store",
)
PROC: Final = (
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
)
SYS: Final = ("/sys/devices/system/cpu", "/sys/devices/system/node")
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
NETWORK: Final = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
)
GPU: Final = ("/dev/dri", "/dev/kfd", "/dev/dxg", "/dev/nvidia*")
GPU_SYS: Final = (
    "/sys/bus/pci",
    "/sys/class/drm",
    "/sys/class/kfd",
    "/sys/dev/char",
    "/sys/devices",
    "/sys/module/nvidia*",
    "/proc/driver/nvidia",
)
DISPLAY: Final = "/tmp/.X11-unix"  # noqa: S108 — it is there, whether that is wise or not


def needed(launch: Launch) -> list[str]:
    """Folders and files of the env's and of Python's that the program must be able to read."""
    world = launch.world
    paths = [*pythons(world.python), PROGRAM, *launch.reads]
    paths += [_venv(folder) for folder in world.packages]
    if world.level == "process":  # the caller's own packages; a stranger's could name any folder
        paths += [path for folder in world.packages for path in _editable(folder)]
    return outermost(paths)


def devices(*, gpu: bool) -> list[str]:
    """The device files that are there."""
    return [*_there(DEVICES), *(_there(GPU) if gpu else ())]


def system(*, network: bool, gpu: bool) -> list[str]:
    """Files of the system that are there, but those in `/proc`."""
    return [
        *_there(SYS),
        *_there(ETC),
        *(_there(NETWORK) if network else ()),
        *(_there(GPU_SYS) if gpu else ()),
    ]


def pythons(program: Path) -> list[Path]:
    """What belongs to a Python: its whole prefix, unless that is more than a Python's."""
    program = program.resolve()
    prefix = program.parent.parent
    home = Path.home().resolve()
    if prefix != Path("/") and prefix not in {home, *home.parents}:
        return [prefix]
    library = prefix / "lib"
    return [program, *sorted(library.glob("python3*")), *sorted(library.glob("libpython3*"))]


def outermost(paths: Iterable[Path]) -> list[str]:
    """Paths without those that lie in another one, and without those that are not there."""
    kept: list[Path] = []
    for path in sorted({path.absolute() for path in paths}):
        if path.exists() and not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return [str(path) for path in kept]


def _venv(packages: Path) -> Path:
    """The venv of a folder with packages, whose data lies beside it; else the folder."""
    root = packages.parents[2] if len(packages.parents) > 3 else packages
    return root if (root / "pyvenv.cfg").is_file() else packages


def _editable(packages: Path) -> Iterator[Path]:
    """Folders that packages are run from where they are written: lines of `.pth` files."""
    for file in sorted(packages.glob("*.pth")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            path = Path(line.strip())
            if path.is_absolute() and path.is_dir() and _is_modest(path):
                yield path


def _is_modest(path: Path) -> bool:
    """Whether a folder is neither the user's home nor around it."""
    home = Path.home().resolve()
    return path.resolve() not in {home, *home.parents}


def _there(patterns: Iterable[str]) -> list[str]:
    return [path for pattern in patterns for path in sorted(glob.glob(pattern))]  # noqa: PTH207 — these are absolute
