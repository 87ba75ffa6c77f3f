"""The refusal as somebody at a terminal needs it: with the command that would be allowed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from envhub.cli.output import Output
from envhub.errors import UntrustedError

_PYTHON = re.compile(
    r'envhub\.make_env\("([^"]+)", trust_remote_code=True(?:, permissions=(\[[^]]*\]))?\)'
)
_BESIDE = re.compile(r"  \((or, .+)\)$", re.MULTILINE)


@contextmanager
def asked_for(ref: str, out: Output) -> Iterator[None]:
    """Put the user's own command, pinned, into the hint of a refusal.

    Args:
        ref: the ref as typed.
        out: knows the command line.
    """
    try:
        yield
    except UntrustedError as error:
        hint = _PYTHON.sub(lambda line: _command(ref, line, out), error.hint)
        error.hint = _BESIDE.sub(r"\n\1", hint)  # two commands, two lines
        raise


def _command(ref: str, line: re.Match[str], out: Output) -> str:
    typed = iter(out.args)
    kept = []
    for word in typed:
        if word == "--allow":
            next(typed, "")
        elif word != "--trust-remote-code" and not word.startswith("--allow="):
            kept.append(line[1] if word == ref else word)
    allow = ["--allow", ",".join(json.loads(line[2])) or "none"] if line[2] else []
    return shlex.join(["envhub", *kept, "--trust-remote-code", *allow])
