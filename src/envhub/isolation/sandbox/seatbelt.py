"""The profile for macOS's `sandbox-exec`: everything is denied but what is named.

The language is Apple's own and is not documented; this uses what Bazel and Chromium use of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from envhub.isolation.launch import Launch
from envhub.isolation.sandbox import machine

PROGRAM: Final = "/usr/bin/sandbox-exec"
_SYSTEM: Final = (
    "/usr/lib",
    "/usr/bin",
    "/usr/share",
    "/bin",
    "/System",
    "/Library/Apple",
    "/Library/Frameworks",
    "/private/var/db/dyld",
    "/private/var/db/timezone",
    "/private/etc/localtime",
)
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_ALWAYS: Final = """\
(version 1)
(deny default)
(allow process-fork)
(allow process-exec)
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
(allow ipc-posix-sem)
(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))
"""


def profile(launch: Launch) -> str:
    """The profile for a launch."""
    asked = launch.world.permissions
    folder = launch.folder.resolve()
    own = [str(folder / "home"), str(folder / "tmp")]
    writable = [str((launch.reads[0] / name).resolve()) for name in asked.writable]
    reads = [*_SYSTEM, *(str(Path(path).resolve()) for path in machine.needed(launch))]
    lines = [
        *(f"(allow file-read* (subpath {quoted(path)}))" for path in reads),
        *(f"(allow file-read* file-write* (literal {quoted(path)}))" for path in _DEVICES),
        *(f"(allow file-read* file-write* (subpath {quoted(path)}))" for path in own + writable),
        # What was written there must not be run.
        *(f"(deny process-exec (subpath {quoted(path)}))" for path in own),
    ]
    if asked.network:
        lines += ["(allow network-outbound (remote ip))", "(allow network-bind (local ip))"]
        lines += ['(allow mach-lookup (global-name "com.apple.dnssd.service"))']
    if asked.gpu:
        lines += ["(allow iokit-open)"]
    if asked.display:
        lines += ['(allow mach-lookup (global-name "com.apple.windowserver.active"))']
    return _ALWAYS + "\n".join(lines) + "\n"


def words(launch: Launch) -> list[str]:
    """The words in front of the interpreter's command line."""
    return [PROGRAM, "-p", profile(launch)]


def quoted(path: str) -> str:
    """A path as a string of the profile's language."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
