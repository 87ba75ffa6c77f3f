"""What tests of env repos and of programs around them need: a hub in a folder, sample repos.

```python
from envhub.testing import repos, serve_hub

with serve_hub(tmp_path) as hub:
    commit = hub.add("user/cartpole", repos.CARTPOLE, tag="v1.0")
    envs = envhub.Client(endpoint=hub.url).make_env("user/cartpole@v1.0", trust_remote_code=True)
```

`own_hub` serves envhub's own server instead, which one can publish to (extra `hub`).

The pytest plugin (`envhub.testing.plugin`) is installed with envhub; its fixtures `hub`,
`envhub_hub`, `envhub_home` and `envhub_isolated` do nothing until a test asks for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envhub.testing.hub import ServedHub, serve_hub
    from envhub.testing.own import OwnHub, own_hub

__all__ = ["OwnHub", "ServedHub", "own_hub", "serve_hub"]

_HOMES = {"OwnHub": "own", "ServedHub": "hub", "own_hub": "own", "serve_hub": "hub"}


def __getattr__(name: str) -> Any:
    # The pytest plugin lives in this package and is loaded by every pytest of every user: the
    # hub is imported by those who use it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"envhub.testing.{_HOMES[name]}"), name)
