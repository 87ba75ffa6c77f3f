"""Locks itself down and becomes another program, which cannot undo it."""

from __future__ import annotations

import json
import os
import sys
from typing import NoReturn

from . import lockdown


def main(text: str) -> NoReturn:
    """Become the program that follows on the command line.

    Args:
        text: JSON of the orders for `lockdown.apply`.
    """
    lockdown.apply(json.loads(text))
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 — a shell would only be one thing more
