"""Calling: what `make_env` is given, and what is said if it does not take it."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from envhub.worker.call import Request, accepted, arguments
from envhub.worker.faults import Fault

CONFIG = object()
ALWAYS = {"n_envs": 2, "use_async_envs": True}
ASKED = Request(2, True)


def two(n_envs: int, use_async_envs: bool) -> dict[str, Any]:
    return locals()


def defaults(n_envs: int = 1, use_async_envs: bool = False) -> dict[str, Any]:
    return locals()


def keyword_or_positional(n_envs: int, use_async_envs: bool, cfg: Any = 0) -> dict[str, Any]:
    return locals()


def keyword_only(n_envs: int, use_async_envs: bool, *, cfg: Any = 0) -> dict[str, Any]:
    return locals()


def anything(**kwargs: Any) -> dict[str, Any]:
    return kwargs


def variadic_positional(n_envs: int, use_async_envs: bool, *cfg: Any) -> dict[str, Any]:
    return {"n_envs": n_envs, "use_async_envs": use_async_envs}


def positional_only(
    cfg: Any = 0, /, n_envs: int = 1, use_async_envs: bool = False
) -> dict[str, Any]:
    return {"n_envs": n_envs, "use_async_envs": use_async_envs}


def tasks(n_envs: int, use_async_envs: bool, *, task: str = "a", seed: int = 0) -> dict[str, Any]:
    return locals()


class Class:
    def __init__(self, n_envs: int, use_async_envs: bool) -> None: ...


def with_default(names: dict[str, Any]) -> dict[str, Any]:
    return {**ALWAYS, **names}


WITH_CONFIG = {
    two: {},
    defaults: {},
    keyword_or_positional: {"cfg": CONFIG},
    keyword_only: {"cfg": CONFIG},
    anything: {"cfg": CONFIG},
    variadic_positional: {},
    positional_only: {},
    Class: {},
    functools.partial(keyword_only, cfg=1): {"cfg": CONFIG},
}


@pytest.mark.parametrize(
    ("make_env", "more"), WITH_CONFIG.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_cfg_goes_where_it_can(make_env: Callable[..., Any], more: dict[str, Any]) -> None:
    """`cfg` is passed if there is one and it can be taken by keyword, and not otherwise."""
    given = arguments(make_env, Request(2, True, CONFIG))
    assert given == {**ALWAYS, **more}
    make_env(**given)
    assert arguments(make_env, ASKED) == ALWAYS
    make_env(**ALWAYS)


@pytest.mark.parametrize("kind", [TypeError, ValueError])
def test_opaque_signature(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    """What cannot be inspected is given everything, and its own exception comes through."""

    class Opaque:
        calls = 0

        @property
        def __signature__(self) -> inspect.Signature:
            raise kind("opaque")

        def __call__(self, **options: Any) -> None:
            self.calls += 1
            raise TypeError("mine")

    opaque = Opaque()
    given = arguments(opaque, Request(2, True, CONFIG, {"task": 1}))
    assert given == {**ALWAYS, "cfg": CONFIG, "task": 1}
    assert accepted(opaque, ASKED) == {}


def test_parameters_of_the_user() -> None:
    """The user's own keyword arguments are passed on."""
    assert arguments(tasks, Request(2, True, None, {"task": "b"})) == {**ALWAYS, "task": "b"}
    assert arguments(anything, Request(2, True, None, {"x": 1})) == {**ALWAYS, "x": 1}


def needs(n_envs: int, use_async_envs: bool, cfg: Any, task: str, *, limit: int) -> None: ...


def by_position(n_envs: int, use_async_envs: bool, /) -> None: ...


REFUSED: dict[str, tuple[Callable[..., Any], Request, str]] = {
    "unknown": (
        tasks,
        Request(2, True, None, {"taks": 1, "zzz": 2}),
        r"make_env does not take taks, zzz\|it is "
        r"make_env\(n_envs, use_async_envs, \*, task='a', seed=0\) "
        r"\(test_call\.py:\d+\)\|did you mean task\?",
    ),
    "unknown, nothing near": (two, Request(2, True, None, {"zzz": 2}), r"does not take zzz\|.*\|$"),
    "missing": (
        needs,
        Request(2, True, None, {"task": 1}),
        r"make_env needs cfg, limit, which was not given\|.*\|pass cfg=\.\.\., limit=\.\.\.",
    ),
    "not the contract": (
        lambda n: n,
        ASKED,
        r"does not take n_envs, use_async_envs\|.*make_env\(n\).*\|def make_env\(n_envs: int = 1",
    ),
    "by position": (by_position, ASKED, r"does not take n_envs, use_async_envs\|.*, /\)"),
    "no way to place it": (int.from_bytes, ASKED, r"does not take n_envs, use_async_envs"),
}


@pytest.mark.parametrize(("make_env", "request_", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals(make_env: Callable[..., Any], request_: Request, message: str) -> None:
    """What does not fit is said before the call: the argument, the signature, its line."""
    with pytest.raises(Fault) as caught:
        arguments(make_env, request_)
    fault = caught.value
    assert fault.code == "make-env-signature"
    assert re.search(message, "|".join((fault.what, fault.why, fault.hint)), re.DOTALL)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: None, {}),
        (lambda n_envs: None, {"n_envs": 2}),
        (lambda n_envs, use_async_envs: None, ALWAYS),
        (lambda **options: None, ALWAYS),
        (lambda n=3: None, {}),
    ],
)
def test_factories_of_tasks(make: Callable[..., Any], expected: dict[str, Any]) -> None:
    """A task's own factory gets of the request what it has parameters for."""
    assert accepted(make, ASKED) == expected


def test_fault_as_fields() -> None:
    """A fault is five texts, ready for any wire."""
    fault = Fault("missing-dependency", "what", "why", "hint", "name")
    assert Fault(**fault.as_dict()).as_dict() == fault.as_dict()
    assert str(fault) == "what"
