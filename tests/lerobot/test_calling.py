"""LeRobot's `_call_make_env`, as envhub has it: what a factory gets, and how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

from envhub.adapters.lerobot import (
    _call_make_env,
    make_env,
)
from envhub.errors import (
    NoFactoryError,
    SignatureError,
)
from envhub.testing import ServedHub, repos


def test_without_make_env() -> None:
    """A module without `make_env` is named."""
    with pytest.raises(AttributeError, match="empty has no function make_env") as caught:
        _call_make_env(SimpleNamespace(__name__="empty"), 1, False, None)
    assert isinstance(caught.value, NoFactoryError)


def echo(n_envs: int, use_async_envs: bool, cfg: Any = "own") -> Any:
    return n_envs, use_async_envs, cfg


def keyword_only(*, n_envs: int, use_async_envs: bool, cfg: Any = "own") -> Any:
    return n_envs, use_async_envs, cfg


def rest(**kwargs: Any) -> Any:
    return kwargs["n_envs"], kwargs["use_async_envs"], kwargs.get("cfg", "own")


def variadic(n_envs: int, use_async_envs: bool, *cfg: Any) -> Any:
    return n_envs, use_async_envs, cfg


def positional_only(cfg: Any = "own", /, *, n_envs: int, use_async_envs: bool) -> Any:
    return n_envs, use_async_envs, cfg


@pytest.mark.parametrize(
    ("factory", "got"),
    [(echo, "cfg"), (keyword_only, "cfg"), (rest, "cfg"), (variadic, ()), (positional_only, "own")],
)
def test_call_with_config(factory: Any, got: Any) -> None:
    """A config is passed by keyword if the factory takes it by keyword, and else not at all."""
    module = SimpleNamespace(make_env=factory)
    assert _call_make_env(module, 2, True, "cfg") == (2, True, got)


@pytest.mark.parametrize("factory", [echo, keyword_only, rest, positional_only])
def test_call_without_config(factory: Any) -> None:
    """Without a config the factory's own default holds; `cfg` need not be given."""
    module = SimpleNamespace(make_env=factory)
    assert _call_make_env(module, n_envs=2, use_async_envs=False) == (2, False, "own")


@pytest.mark.parametrize("error", [TypeError, ValueError])
def test_call_of_the_opaque(error: type[Exception]) -> None:
    """A factory whose signature cannot be read gets everything."""

    class Opaque:
        @property
        def __signature__(self) -> Any:
            raise error

        def __call__(self, **kwargs: Any) -> Any:
            return kwargs

    module = SimpleNamespace(make_env=Opaque())
    wanted = {"n_envs": 1, "use_async_envs": False, "cfg": "cfg"}
    assert _call_make_env(module, 1, False, "cfg") == wanted


@pytest.mark.parametrize("cfg", [None, "cfg"])
def test_call_keeps_the_error(cfg: Any) -> None:
    """The factory is called once, and its own error comes through, the very object."""
    calls, error = [], TypeError("unexpected keyword argument 'cfg'")

    def failing(n_envs: int, use_async_envs: bool, cfg: Any = None) -> Any:
        calls.append(cfg)
        raise error

    with pytest.raises(TypeError) as caught:
        _call_make_env(SimpleNamespace(make_env=failing), 1, False, cfg)
    assert caught.value is error
    assert calls == [cfg]


def test_call_of_too_little() -> None:
    """A factory that takes neither count nor kind is told what it must take."""
    with pytest.raises(SignatureError, match="does not take use_async_envs"):
        _call_make_env(SimpleNamespace(make_env=lambda n_envs: None), 1, False)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("kind", ["str", "cfg"])
def test_two_argument_factory(hub: ServedHub, asynchronous: bool, kind: str) -> None:
    """The documented factory works with refs and configs, synchronous or not."""
    hub.add("u/r", repos.COUNTER)
    cfg: Any = "u/r" if kind == "str" else SimpleNamespace(hub_path="u/r")
    envs = make_env(cfg, 2, asynchronous, trust_remote_code=True)
    env: Any = envs["hub_env"][0]
    assert isinstance(env, gym.vector.AsyncVectorEnv) is asynchronous
    env.close()
