"""The card: a repo's README, its front matter, and the part of both that envhub writes.

```markdown
---
library_name: envhub
tags: [envhub, gymnasium]
envhub: {…}                 # written by `envhub push`, whatever was there
---
…
<!-- envhub -->
…                           # written by `envhub push`, if the two marks are there
<!-- /envhub -->
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from envhub.errors import ManifestError

FILE: Final = "README.md"
KEY: Final = "envhub"
ORIGIN: Final = "forked-from"
LIBRARY: Final = "envhub"
TAGS: Final = ("envhub", "gymnasium", "reinforcement-learning")
BEGIN: Final = "<!-- envhub -->"
END: Final = "<!-- /envhub -->"

_FRONT: Final = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PART: Final = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_ROWS: Final = {
    "observation": "observation",
    "action": "action",
    "suites": "tasks",
    "requires-python": "Python",
    "requirements": "requires",
    "permissions": "asks for",
    ORIGIN: "forked from",
}

Facts = Mapping[str, Any]
"""What envhub knows of an env: the value of the key `envhub`."""


def read(root: Path) -> str:
    """The README of the repo in a folder, or nothing.

    Raises:
        ManifestError: it is no UTF-8, so that it could not be written again as it was.
    """
    path = root / FILE
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except UnicodeDecodeError as error:
        hint = f"iconv -f latin1 -t utf-8 {FILE}   # if it is Latin-1"
        raise ManifestError(f"{FILE} is no UTF-8", why=str(error), hint=hint) from error


def front_matter(text: str) -> dict[str, Any]:
    """What the front matter of a README says; nothing if it has none.

    Raises:
        ManifestError: it is no YAML mapping.
    """
    found = _FRONT.match(text.removeprefix("\ufeff"))
    try:
        said = yaml.safe_load(found[1]) if found else None
    except (yaml.YAMLError, RecursionError) as error:
        raise _no_yaml(" ".join(str(error).split())) from error
    if said is not None and not isinstance(said, dict):
        raise _no_yaml(f"it is a {type(said).__name__}")
    return {str(key): value for key, value in (said or {}).items()}


def _no_yaml(why: str) -> ManifestError:
    return ManifestError(
        f"the front matter of {FILE} is no YAML mapping",
        why=why,
        hint=f"{FILE} begins with ---, lines like `license: mit`, and ---",
    )


def facts_of(text: str) -> dict[str, Any]:
    """What envhub wrote into a card; nothing if it never did.

    Raises:
        ManifestError: the front matter is no YAML mapping.
    """
    found = front_matter(text).get(KEY)
    return found if isinstance(found, dict) else {}


def with_facts(text: str, facts: Facts, line: str) -> str:
    """The card with what envhub knows; all else stays as its author wrote it.

    Args:
        text: the README, or nothing.
        facts: the value of the key `envhub`.
        line: what loads the env, for the part between the marks.

    Raises:
        ManifestError: the front matter is no YAML mapping.
    """
    text = text.removeprefix("\ufeff")
    before = front_matter(text)
    found = _FRONT.match(text)
    front, body = (found[1], text[found.end() :]) if found else ("", text)
    for key, value in _wanted(before, facts).items():
        front = _set(front, key, value)
    if not _says(front, after := {**before, **_wanted(before, facts)}):
        front = _yaml(after)  # written in a way that a line cannot be changed in
    part = _table(facts, line)
    return f"---\n{front}---\n{_PART.sub(lambda _: part, body)}"


def _says(front: str, wanted: Facts) -> bool:
    try:
        return bool(yaml.safe_load(front) == wanted)
    except yaml.YAMLError:
        return False


def _wanted(before: Facts, facts: Facts) -> dict[str, Any]:
    """The keys that change; tags are added, never taken away."""
    tags = before.get("tags") or []
    tags = [tags] if isinstance(tags, str) else list(tags)
    needed = TAGS if not tags else TAGS[:1]
    wanted = {
        "library_name": before.get("library_name") or LIBRARY,
        "tags": [*tags, *(tag for tag in needed if tag not in tags)],
        KEY: dict(facts),
    }
    return {key: value for key, value in wanted.items() if before.get(key) != value}


def _set(front: str, key: str, value: Any) -> str:
    """The front matter with one key set in its own lines, so that all others stay as they are."""
    block = re.compile(rf"^{re.escape(key)}[ \t]*:.*(?:\n(?:[ \t-].*|[ \t]*$))*\n?", re.MULTILINE)
    begin = front if not front or front.endswith("\n") else f"{front}\n"
    new = _yaml({key: value})
    return block.sub(lambda _: new, begin, count=1) if block.search(begin) else begin + new


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=1000)


def _table(facts: Facts, line: str) -> str:
    """What stands between the marks: how to load it, and what it is."""
    rows = [(name, _cell(key, facts[key])) for key, name in _ROWS.items() if facts.get(key)]
    table = "".join(f"| {name} | {cell} |\n" for name, cell in rows)
    head = f"| | |\n|---|---|\n{table}" if rows else ""
    code = f"```python\nimport envhub\n\nenvs = {line}\n```\n"
    return f"{BEGIN}\n{code}\n{head}{END}"


def _cell(key: str, value: Any) -> str:
    if key == "suites":
        parts: Sequence[str] = [f"{suite}: {count}" for suite, count in value.items()]
    else:
        parts = value if isinstance(value, list) else [str(value)]
    return ", ".join(f"`{part}`" for part in parts).replace("|", "\\|")
