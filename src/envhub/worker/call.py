"""Call `make_env` once, with what it takes."""

from __future__ import annotations

import difflib
import inspect
import os
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from .faults import Fault

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        n_envs: how many envs in each vector env, at least 1.
        use_async_envs: whether they shall run in processes of their own.
        cfg: a configuration for the repo, forwarded only if `make_env` takes `cfg` by keyword.
        params: the user's other keyword arguments; each must be taken.
        suite: the suite that is wanted, if only one is. `make_env` is told if it takes `suite` by
            that name; of what any other returns, the rest is left out.
        task: the task that is wanted, if only one is; told like `suite`.
    """

    n_envs: int = 1
    use_async_envs: bool = False
    cfg: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    suite: Optional[str] = None
    task: Union[str, int, None] = None

    @property
    def choice(self) -> Dict[str, Any]:
        """What is wanted of several suites and tasks, by the names of arguments."""
        chosen = {"suite": self.suite, "task": self.task}
        return {name: value for name, value in chosen.items() if value is not None}


def arguments(make_env: Callable[..., Any], request: Request) -> Dict[str, Any]:
    """The keyword arguments for `make_env`.

    Raises:
        Fault: it does not take them, or needs others.
    """
    always = {"n_envs": request.n_envs, "use_async_envs": request.use_async_envs}
    wanted = {**always, **request.params}
    signature = _signature(make_env)
    if request.cfg is not None and (signature is None or _takes(signature, "cfg")):
        wanted["cfg"] = request.cfg
    if signature is not None:
        taken = [n for n, p in signature.parameters.items() if p.kind in _BY_NAME]
        wanted.update({n: value for n, value in request.choice.items() if n in taken})
    if signature is not None:
        _check(make_env, signature, wanted)
    return wanted


def accepted(function: Callable[..., Any], request: Request) -> Dict[str, Any]:
    """The part of a request that a task's own factory takes, which may be nothing."""
    signature = _signature(function)
    if signature is None:
        return {}
    offered = {"n_envs": request.n_envs, "use_async_envs": request.use_async_envs}
    return {name: value for name, value in offered.items() if _takes(signature, name)}


def _signature(function: Callable[..., Any]) -> Optional[inspect.Signature]:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _takes(signature: inspect.Signature, name: str) -> bool:
    parameter = signature.parameters.get(name)
    if parameter is not None and parameter.kind in _BY_NAME:
        return True
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())


def _check(
    make_env: Callable[..., Any], signature: inspect.Signature, wanted: Dict[str, Any]
) -> None:
    refused = [name for name in wanted if not _takes(signature, name)]
    if refused:
        raise _refused(make_env, signature, refused)
    missing = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in _REST
        and (name not in wanted or parameter.kind not in _BY_NAME)
    ]
    if missing:
        what = f"make_env needs {', '.join(missing)}, which was not given"
        hint = ", ".join(f"{name}=..." for name in missing)
        raise Fault("make-env-signature", what, _takes_what(make_env, signature), f"pass {hint}")


def _refused(
    make_env: Callable[..., Any], signature: inspect.Signature, refused: List[str]
) -> Fault:
    names = [n for n, p in signature.parameters.items() if p.kind in _BY_NAME]
    near = [match for name in refused for match in difflib.get_close_matches(name, names, 1)]
    hint = f"did you mean {', '.join(near)}?" if near else ""
    if {"n_envs", "use_async_envs"} & set(refused):
        hint = "def make_env(n_envs: int = 1, use_async_envs: bool = False): ..."
    what = f"make_env does not take {', '.join(refused)}"
    return Fault("make-env-signature", what, _takes_what(make_env, signature), hint)


def _takes_what(make_env: Callable[..., Any], signature: inspect.Signature) -> str:
    code = getattr(inspect.unwrap(make_env), "__code__", None)
    where = f" ({os.path.basename(code.co_filename)}:{code.co_firstlineno})" if code else ""
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return f"it is make_env{inspect.Signature(plain)}{where}"
