"""The refusal as somebody at a terminal needs it: with the command that would be allowed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from envhub.cli.output import Output
from envhub.errors import UntrustedError

_PYTHON = re.compile(r'envhub\.make_env\("([^"]+)", trust_remote_code=True\)')
_BESIDE = re.compile(r"  \((or, .+)\)$")


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
        hint = _PYTHON.sub(lambda line: _command(ref, line.group(1), out), error.hint)
        error.hint = _BESIDE.sub(r"\n\1", hint)  # two commands, two lines
        raise


def _command(ref: str, pinned: str, out: Output) -> str:
    words = [pinned if word == ref else word for word in out.args]
    return shlex.join(["envhub", *words, "--trust-remote-code"])
