"""The cage for one env: the strongest that this machine has; nothing weaker is chosen silently."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

from envhub.errors import ArgumentError, IsolationError, UnsandboxedWarning
from envhub.interpreters import own
from envhub.isolation.launch import PROGRAM, Launch
from envhub.isolation.sandbox import bubblewrap, machine, seatbelt
from envhub.isolation.sandbox.levels import BUBBLEWRAP, LANDLOCK, NONE, OFF, SEATBELT, Level
from envhub.isolation.sandbox.probe import Abilities, abilities
from envhub.isolation.sandbox.quota import Quota, reserves
from envhub.permissions import Permissions
from envhub.worker import landlock, seccomp

WISHES: Final = ("auto", "require", "off")

# Users that nobody has (systemd gives this range to services that run for a while).
_FIRST_UID, _UIDS = 61184, 4336
_serial = count(os.getpid() * 31)


@dataclass(frozen=True, slots=True)
class Cage:
    """What is put around the processes of one env: a `launch.Fence`.

    Attributes:
        level: how strong it is, and what it does not cover.
        able: what the machine can do.
        quota: how much they may take.
    """

    level: Level = OFF
    able: Abilities = field(default_factory=abilities)
    quota: Quota = field(default_factory=Quota)

    def __call__(self, launch: Launch) -> Launch:
        """The launch, in the cage."""
        if self.able.platform == "darwin":
            return self._on_macos(launch)
        if self.able.platform != "linux":
            return launch
        if self.level.name == BUBBLEWRAP:
            return self._in_namespaces(launch)
        if self.level.name == LANDLOCK:
            return self._on_disk(launch)
        return self._kept(launch, lockdown={"limits": {"core": 0}})

    def _in_namespaces(self, launch: Launch) -> Launch:
        root = self.able.root
        uid = _new_uid() if root else None
        words = bubblewrap.words(launch, self.able.bubblewrap, self.quota, root=root)
        if uid is not None:
            _give(launch, uid, "writable-*")
        asked = launch.world.permissions
        orders = self._orders(launch, uid, counted=True)
        writable = [str(launch.reads[0] / name) for name in asked.writable]
        if self.able.landlock:
            orders["landlock"] = {
                # All that is there was put there for it; but what it writes must not be run.
                "read": [*machine.SYSTEM, "/etc", "/proc", "/sys", *machine.needed(launch)],
                "write": [bubblewrap.TMP, "/dev/shm", *writable],  # noqa: S108 — private ones
                "devices": machine.devices(gpu=asked.gpu),
                "tcp": True,  # in a network of its own, or in one that was granted
                "scope": True,
            }
        families = [seccomp.UNIX, seccomp.INET, seccomp.INET6, seccomp.NETLINK]
        orders["seccomp"] = {"families": families, "namespaces": True}
        variables = {"HOME": bubblewrap.HOME, "TMPDIR": bubblewrap.TMP}
        changed = replace(launch, variables={**launch.variables, **variables, **_who()})
        scratch = str(launch.folder) if asked.writable else ""
        return self._kept(changed, before=words, lockdown=orders, scratch=scratch, wrapped=True)

    def _on_disk(self, launch: Launch) -> Launch:
        uid = _new_uid() if self.able.root and self.able.drops else None
        asked = launch.world.permissions
        if uid is not None:
            _give(launch, uid, "home", "tmp")
        orders = self._orders(launch, uid, counted=uid is not None)
        orders["landlock"] = {
            "read": [
                *machine.SYSTEM,
                *machine.PROC,
                "/proc/self",
                *machine.system(network=asked.network, gpu=asked.gpu),
                *machine.needed(launch),
                *([machine.DISPLAY] if asked.display else []),
            ],
            "write": [str(launch.folder / "home"), str(launch.folder / "tmp")],
            "devices": machine.devices(gpu=asked.gpu),
            "tcp": asked.network,
            "scope": True,
        }
        families = [seccomp.INET, seccomp.INET6, seccomp.NETLINK] if asked.network else []
        families += [seccomp.UNIX] if asked.display else []
        orders["seccomp"] = {"families": families, "namespaces": False}
        changed = replace(launch, variables={**launch.variables, **_who()})
        return self._kept(changed, lockdown=orders, scratch=str(launch.folder))

    def _orders(self, launch: Launch, uid: int | None, *, counted: bool) -> dict[str, Any]:
        reserving = launch.world.permissions.gpu or reserves(launch.world.packages)
        limits = self.quota.limits(counted=counted, reserving=reserving)
        return {"limits": limits, "uid": uid}

    def _kept(
        self,
        launch: Launch,
        *,
        lockdown: dict[str, Any],
        before: list[str] | None = None,
        scratch: str = "",
        wrapped: bool = False,
    ) -> Launch:
        """The launch under a keeper, which ends all that was started in it."""
        sandboxed = self.level.is_sandbox
        told = {
            "parent": os.getpid(),
            "folder": str(launch.folder),
            "shell": wrapped,
            "budget": {
                "memory": self.quota.all_memory if sandboxed else 0,
                "processes": self.quota.processes if sandboxed else 0,
                "scratch": scratch,
                "disk": self.quota.disk,
                "files": self.quota.files,
                "reserve": self.quota.reserve if sandboxed else 0,
            },
        }
        python = (str(own().path), "-I", "-S", str(PROGRAM), "keeper", json.dumps(told))
        return replace(
            launch,
            before=(*launch.before, *python, *(before or [])),
            ending=signal.SIGTERM,
            # The keeper removes its folder: who is in the cage may not find it.
            told={**launch.told, "lockdown": lockdown, "folder": ""},
        )

    def _on_macos(self, launch: Launch) -> Launch:
        if self.level.name != SEATBELT:
            return launch
        return replace(launch, before=(*launch.before, *seatbelt.words(launch)))


def choose(
    wish: str = "auto",
    asked: Permissions | None = None,
    *,
    able: Abilities | None = None,
    quota: Quota | None = None,
) -> Cage:
    """The strongest cage that the machine has.

    Args:
        wish: `"auto"`: the strongest there is, with a warning if there is none; `"require"`: that,
            or an error; `"off"`: none.
        asked: what the user granted to the env.
        able: what the machine can do; it is looked at if not given.
        quota: how much the env may take.

    Raises:
        ArgumentError: there is no such wish.
        IsolationError: a sandbox is required and there is none.

    Warns:
        UnsandboxedWarning: there is none, and it was not required.
    """
    check(wish)
    able = able or abilities()
    level = OFF if wish == "off" else strongest(able, asked)
    if level.name == NONE and wish != "off":
        if wish == "require":
            raise IsolationError(
                'sandbox="require" cannot be kept: this machine has no sandbox',
                why=level.why,
                hint="envhub doctor   # what is missing",
            )
        warnings.warn(
            f"there is no sandbox on this machine: {level.why}; the env can do whatever you can",
            UnsandboxedWarning,
            stacklevel=2,
        )
    return Cage(level, able, quota or Quota())


def check(wish: str) -> str:
    """A wish, if it is one.

    Raises:
        ArgumentError: it is none of `WISHES`.
    """
    if wish not in WISHES:
        raise ArgumentError(
            f"sandbox={wish!r} is not one of {', '.join(WISHES)}", hint='sandbox="auto"'
        )
    return wish


def strongest(able: Abilities, asked: Permissions | None = None) -> Level:
    """The strongest level that was proven to work here, for what the user granted to an env."""
    asked = asked or Permissions()
    if able.seccomp and able.bubblewrap and able.drops:
        layers = ("bubblewrap", *(["landlock"] if able.landlock else []), "seccomp", "limits")
        gaps = [] if able.landlock else ["a second lock on files: Landlock is off in this kernel"]
        return Level(BUBBLEWRAP, layers, (*gaps, *_granted(asked)))
    if able.seccomp and able.landlock >= landlock.OLDEST and able.drops:
        why = f"bubblewrap: {able.reason('bubblewrap')}"
        gaps = [*_WITHOUT_NAMESPACES, *_younger(able.landlock, asked), *_granted(asked)]
        return Level(LANDLOCK, ("landlock", "seccomp", "limits"), tuple(gaps), why)
    if able.seatbelt:
        return Level(SEATBELT, ("seatbelt",), (*_ON_MACOS, *_granted(asked)))
    return Level(NONE, gaps=OFF.gaps, why="; ".join(f"{name}: {why}" for name, why in able.why))


_WITHOUT_NAMESPACES: Final = (
    "whether a file exists, and its size, can be found out for files outside",
    "what it writes lies on your disk until it ends, and is stopped only some 0.2 s late",
    "folders that it asked to write to stay read-only",
)
_ON_MACOS: Final = (
    "whether a file exists can be found out for files outside",
    "memory, processes and disk are not limited",
    "the sizes of shared memory are not sealed",
)


def _younger(version: int, asked: Permissions) -> Iterator[str]:
    """What this version of Landlock does not cover yet."""
    if version < landlock.SCOPE_SINCE:
        yield "signals can be sent to your other processes (Linux 6.12 stops that)"
    if version < landlock.DEVICES_SINCE and asked.gpu:
        yield "orders to devices are not limited to the GPU's (Linux 6.10 does that)"


def _granted(asked: Permissions) -> Iterator[str]:
    """What the user's own grants open."""
    if asked.network:
        yield "network (granted): it reaches other machines, and servers on this one"
    if asked.gpu:
        yield "gpu (granted): the driver is a large program in the kernel"
    if asked.display:
        yield "display (granted): programs on one X screen can read each other's keys"


def _new_uid() -> int:
    """A user that no other cage has, so that each has a count of processes of its own."""
    return _FIRST_UID + next(_serial) % _UIDS


def _give(launch: Launch, uid: int, *patterns: str) -> None:
    os.chown(launch.folder, uid, uid)
    for pattern in patterns:
        for folder in launch.folder.glob(pattern):
            os.chown(folder, uid, uid)
            for path in folder.rglob("*"):
                os.chown(path, uid, uid, follow_symlinks=False)


def _who() -> dict[str, str]:
    """Names for a user that has none."""
    return {"USER": "envhub", "LOGNAME": "envhub", "SHELL": "/bin/sh", "PYTHONNOUSERSITE": "1"}
