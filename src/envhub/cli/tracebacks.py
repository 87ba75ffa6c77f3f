"""Tracebacks go into files: somebody at a terminal needs the place, not the pages."""

from __future__ import annotations

import datetime
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from envhub import __version__
from envhub.cli.output import masked
from envhub.settings import Settings


def write_log(error: BaseException) -> Path:
    """Write a traceback, and what one needs to know beside it, into a file; return its path."""
    lines = [
        f"envhub {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {' '.join(sys.argv)}",
        "",
        *traceback.format_exception(error),
    ]
    now = datetime.datetime.now(datetime.UTC)
    name = f"{now:%Y-%m-%d-%H%M%S-%f}.txt"
    for folder in (Settings.from_environ().home / "logs", Path(tempfile.gettempdir())):
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(masked("\n".join(lines)), encoding="utf-8", errors="replace")
        except OSError:
            continue
        return path
    return Path(name)
