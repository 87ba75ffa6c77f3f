"""The public names: what `import envhub` promises."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

import envhub
from envhub import proc

PUBLIC = [
    *("Client", "EnvDict", "EnvHubError", "Pin", "Ref", "__version__"),
    *("delete", "fork", "init", "make_env", "push", "tag", "untag"),
]


def test_public_names() -> None:
    """`envhub.__all__` is this list, sorted; a change of it is a change of the interface."""
    assert envhub.__all__ == PUBLIC
    assert dir(envhub) == PUBLIC


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_public_names_load(name: str) -> None:
    """Every public name loads, and says where it is defined and what it is for."""
    value = getattr(envhub, name)
    assert value.__doc__
    assert value.__name__ == name
    assert getattr(import_module(value.__module__), name) is value


def test_unknown_name() -> None:
    """A name that envhub does not have is an AttributeError that says so."""
    with pytest.raises(AttributeError, match="module 'envhub' has no attribute 'nothing'"):
        _ = envhub.nothing


def test_import_is_lazy() -> None:
    """`import envhub` loads none of its dependencies."""
    code = "import sys, envhub; print(*sorted(set(m.partition('.')[0] for m in sys.modules)))"
    loaded = proc.run((sys.executable, "-c", code)).text.split()
    heavy = {"numpy", "gymnasium", "huggingface_hub", "httpx2", "click", "msgspec", "uv", "rich"}
    assert heavy & set(loaded) == set()
