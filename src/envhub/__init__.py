"""envhub: the package manager, runtime and hub for simulation environments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envhub.client import Client
    from envhub.envdict import EnvDict
    from envhub.errors import EnvHubError
    from envhub.load import make_env
    from envhub.pins import Pin
    from envhub.publish import push
    from envhub.refs import Ref
    from envhub.scaffold import init
    from envhub.upkeep import delete, fork, tag, untag

__version__ = "0.1.0.dev0"

__all__ = [
    "Client",
    "EnvDict",
    "EnvHubError",
    "Pin",
    "Ref",
    "__version__",
    "delete",
    "fork",
    "init",
    "make_env",
    "push",
    "tag",
    "untag",
]

_HOMES = {
    "Client": "envhub.client",
    "EnvDict": "envhub.envdict",
    "EnvHubError": "envhub.errors",
    "Pin": "envhub.pins",
    "Ref": "envhub.refs",
    "delete": "envhub.upkeep",
    "fork": "envhub.upkeep",
    "init": "envhub.scaffold",
    "make_env": "envhub.load",
    "push": "envhub.publish",
    "tag": "envhub.upkeep",
    "untag": "envhub.upkeep",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use, so that `import envhub` costs nothing (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'envhub' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
