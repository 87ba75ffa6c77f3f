"""Hints as somebody at a terminal needs them: options where Python has arguments."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

_ARGUMENT = re.compile(
    r"(?P<list>extra_requirements|allow_build)=(?P<names>\[[^]]*\])"
    r'|exclude_newer="(?P<day>[^"]*)"'
    r"|(?P<flag>allow_python_download)=True"
)
_OPTIONS = {"extra_requirements": "--extra-requirement", "allow_build": "--allow-build"}


def at_terminal(hint: str, typed: Sequence[str]) -> str:
    """A hint for Python as a hint for the command line.

    Args:
        hint: perhaps with arguments of `make_env` in it, or a whole call that lacks a package.
        typed: the words behind `envhub`.
    """
    found = _ARGUMENT.search(hint)
    if found and hint.startswith("envhub.make_env(") and found["list"]:
        return shlex.join(["envhub", *typed, *_words(found, typed)])
    return _ARGUMENT.sub(lambda each: shlex.join(_words(each, ())), hint)


def _words(argument: re.Match[str], typed: Sequence[str]) -> list[str]:
    """An argument as options, without those that are there already."""
    if argument["list"]:
        option = _OPTIONS[argument["list"]]
        new = [name for name in json.loads(argument["names"]) if name not in typed]
        return [word for name in new for word in (option, name)]
    if argument["flag"]:
        return ["--allow-python-download"]
    return ["--exclude-newer", argument["day"]]
