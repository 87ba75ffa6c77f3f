"""The git program, kept away from the user's own repos, hooks, filters and prompts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from envhub import proc

# What `git rev-parse --local-env-vars` prints: variables that would aim git at another repo.
_LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
ENVIRON: Mapping[str, str | None] = {
    **dict.fromkeys(_LOCAL),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
)


def command(*words: str | Path, folder: Path | None = None) -> list[str | Path]:
    """The argv of a git command in the repo `folder` (its git directory)."""
    options = [word for setting in _CONFIG for word in ("-c", setting)]
    where = [f"--git-dir={folder}"] if folder else []
    return ["git", *options, *where, *words]


def _limit(largest: int | None) -> list[str]:
    """What to put before a command so that no file of its grows larger; `ulimit` counts halves."""
    if largest is None or os.name != "posix":
        return []
    return ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(largest // 512 + 1)]


def git(
    *words: str | Path,
    folder: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str | None] | None = None,
    check: bool = True,
    timeout: float | None = None,
    largest: int | None = None,
) -> proc.Completed:
    """Run a git command to its end.

    Args:
        words: the command and its arguments.
        folder: the git directory that it works in.
        stdin: bytes for its standard input.
        env: variables on top of the scrubbed environment.
        check: raise if its exit status is not 0.
        timeout: seconds after which it is killed.
        largest: bytes that a file may have that it writes, where the system can limit that.

    Raises:
        CommandError: git is missing, took too long, or failed.
    """
    done = proc.run(
        [*_limit(largest), *command(*words, folder=folder)],
        env={**ENVIRON, **(env or {})},
        stdin=stdin,
        timeout=timeout,
        check=False,
    )
    short = replace(done, argv=("git", *map(str, words)))  # without our options, for messages
    if check and done.returncode:
        raise proc.failure(short)
    return short
