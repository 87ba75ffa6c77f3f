"""Which Python a file needs that this one cannot parse."""

from __future__ import annotations

import re
import sys
from typing import Optional, Tuple

Version = Tuple[int, int]

# What the offending line, or the parser's message, looks like; the newest Python first.
_NEWER = (
    ((3, 15), r"^\s*lazy\s+(import|from)\b"),
    ((3, 14), r"^\s*except\s+[\w.]+\s*,\s*[\w.]+.*:"),
    ((3, 14), r"(?<![\w'\"])[tT][rR]?(['\"])"),
    ((3, 13), r"^\s*(async\s+)?(class|def|type)\s+\w+\s*\[[^\]]*="),
    ((3, 12), r"^\s*(async\s+)?(class|def)\s+\w+\s*\["),
    ((3, 12), r"^\s*type\s+\w+\s*(\[.*\])?\s*="),
    ((3, 12), r"(?<![\w'\"])([fF][rR]?|[rR][fF])(['\"]).*\{[^}]*(\2|\\|#)[^}]*\}"),
    ((3, 11), r"^\s*except\s*\*"),
    ((3, 11), r"\w\[.*\*\w+.*\]"),
    ((3, 10), r"^\s*(match|case)\b.*:\s*(#.*)?$"),
    ((3, 9), r"^\s*with\s*\($"),
    ((3, 9), r"^\s*@.*[\[(].*[\])]\."),
)


def needed_python(error: SyntaxError) -> Optional[Version]:
    """The oldest Python that can parse the line, if that is newer than this one."""
    line = error.text or ""
    for version, pattern in reversed(_NEWER):
        if version > sys.version_info[:2] and re.search(pattern, line):
            return version
    return None
