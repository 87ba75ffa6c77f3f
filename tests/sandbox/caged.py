"""Run a few lines under lock-down, in a fresh process, and hear what they found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import envhub.worker

PACKAGE = Path(envhub.worker.__file__).parent

# What Python needs to go on importing.
READ = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", sys.base_prefix, str(PACKAGE))

_PROLOGUE = """
import importlib.util, json, os, sys
sys.path.insert(0, sys.argv[1])
from worker import lockdown

def tried(action):
    try:
        return action()
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)

found = {}
import ctypes, errno, mmap, resource, signal, socket, subprocess, threading
done = lockdown.apply(json.loads(sys.argv[2]))
"""


def orders(**chosen: Any) -> dict[str, Any]:
    """Landlock's orders: nothing to write to, nothing granted, but for what is chosen."""
    return {"read": READ, "write": [], "devices": [], "tcp": False, "scope": True, **chosen}


def run(
    body: str, lockdown: Mapping[str, Any], *, python: str = sys.executable, user: int | None = None
) -> dict[str, Any]:
    """Lock a fresh process down, run `body` there, and give what it has put into `found`.

    Args:
        body: Python; `tried(f)` gives what `f` returns, or the words of its `OSError`.
        lockdown: the orders.
        python: the interpreter.
        user: who runs it, if not us.
    """
    program = f"{_PROLOGUE}\n{body}\nprint(json.dumps(found))"
    done = subprocess.run(
        [python, "-I", "-S", "-c", program, str(PACKAGE.parent), json.dumps(lockdown)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        user=user,
        group=user,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
