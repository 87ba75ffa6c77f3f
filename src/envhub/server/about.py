"""What the hub knows of the env at one commit: the block `env` of the info JSON.

The hub finds it by itself, in the background: `state` goes from `waiting` to `read` (its files were
read, nothing was run) or, with `envhub serve --validate`, to `checked` (it was also run, caged). A
repo without Python files has no block.

```json
{"state": "checked", "commit": "1969fbe…", "entry": "env.py", "entries": ["env.py"],
 "python": ">=3.10", "requirements": ["gymnasium>=1.0"], "permissions": ["network"],
 "parameters": {"gravity": {"type": "float", "min": 0.0}}, "engines": ["mujoco"],
 "suites": {"cartpole": {"description": "", "tasks": {"0": {
     "description": "", "checked": true, "steps_per_second": 8123.0,
     "observation": [{"path": "", "kind": "Box", "shape": [4], "dtype": "float32",
                      "low": "-inf", "high": "inf"}],
     "action": [{"path": "", "kind": "Discrete", "shape": [], "dtype": "int64",
                 "low": "0", "high": "1"}]}}}},
 "n_tasks": 1, "findings": [{"kind": "network", "severity": "medium", "path": "env.py", "line": 3,
     "what": "socket.socket", "why": "…", "count": 1}],
 "severities": {"high": 0, "medium": 1, "low": 0},
 "checks": [{"name": "manifest", "ok": true, "text": ""}, {"name": "loads", "ok": true, "text": ""},
            {"name": "steps", "ok": true, "text": "200 steps, 8123 per second"},
            {"name": "deterministic", "ok": true, "text": "sha256:…"}],
 "sandbox": "bubblewrap", "seconds": 2.3, "examined": "2026-11-23T04:00:00.000Z",
 "preview": "/api/models/lab/cartpole/preview/1969fbe…", "preview_type": "image/webp",
 "facets": ["action:discrete", "observation:vector", "tasks:1", "python:3.11", "checked:loads"]}
```

`facets` are words that a repo can be filtered by, as in `GET /api/models?filter=action:discrete`;
those of the head of `main` count. docs/hosting.md lists them.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

GROUPS: Final = ("action", "observation", "engine", "python", "license", "permission", "checked")
"""The facets that are counted, in the order in which people want them."""

State = Literal["waiting", "read", "checked"]


class Leaf(Struct, frozen=True):
    """A part of a space that has no parts: a row of the table that shows it.

    Attributes:
        path: the keys that lead to it, as in `camera/rgb`; empty if the space has no parts.
        kind: Gymnasium's name of the space, like `Box`.
        shape: of one env's value.
        dtype: of its numbers; empty if it has none.
        low: the least value, in words; empty if that means nothing.
        high: the greatest, in the same way.
    """

    path: str
    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    low: str = ""
    high: str = ""


class Task(Struct, frozen=True):
    """One task of a suite.

    Attributes:
        description: what is to be done, by the manifest.
        checked: whether it was run; only the first few of many are.
        observation: the parts of its observations, if it was run.
        action: the parts of its actions, in the same way.
        steps_per_second: of one env with random actions in the cage, if it was run.
    """

    description: str = ""
    checked: bool = False
    observation: tuple[Leaf, ...] = ()
    action: tuple[Leaf, ...] = ()
    steps_per_second: float | None = None


class Suite(Struct, frozen=True):
    """A family of tasks, by their ids as text."""

    description: str = ""
    tasks: dict[str, Task] = {}


class Concern(Struct, frozen=True):
    """What the inspection found; see `envhub.inspection.findings.Finding`."""

    kind: str
    severity: str
    path: str
    line: int
    what: str
    why: str
    count: int = 1


class Check(Struct, frozen=True):
    """Something that was looked at.

    Attributes:
        name: `manifest` and `entry` by reading; `loads`, `steps` and `deterministic` by running.
        ok: whether it is well; `None` if it could not be told.
        text: a few words, the reason if it is not well.
    """

    name: str
    ok: bool | None
    text: str = ""


class About(Struct, frozen=True, omit_defaults=False):
    """The block, as it is kept; `described.env` adds what depends on the repo's name and time.

    Attributes:
        state: how far the hub is.
        entry: the file that is loaded by default; empty if there is none.
        entries: all files that define `make_env`.
        python: the versions of Python that it runs under; empty if it does not say.
        requirements: packages that it needs.
        permissions: what it asks for beyond its own files, in words.
        parameters: keyword arguments of its `make_env`, as its manifest has them.
        engines: simulators among its packages, by their own names.
        suites: by their names; from running it if it was run, else from its manifest.
        n_tasks: of all suites together; 0 if nobody knows.
        findings: of the inspection, the worst first, and not more than 100.
        severities: how many there are of each severity.
        checks: what was looked at.
        sandbox: the cage that it ran in; empty if it was not run.
        seconds: how long it took.
        preview: the path of a picture or video in the repo, by its manifest; where it is, when the
            block is shown.
        facets: words that it can be filtered by.
    """

    state: State
    entry: str = ""
    entries: tuple[str, ...] = ()
    python: str = ""
    requirements: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}
    engines: tuple[str, ...] = ()
    suites: dict[str, Suite] = {}
    n_tasks: int = 0
    findings: tuple[Concern, ...] = ()
    severities: dict[str, int] = {}
    checks: tuple[Check, ...] = ()
    sandbox: str = ""
    seconds: float = 0.0
    preview: str = ""
    facets: tuple[str, ...] = ()
