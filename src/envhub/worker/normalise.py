"""Turn what `make_env` returned into `{suite: {task: vector env}}`."""

from __future__ import annotations

import difflib
import inspect
import operator
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple, Union

import numpy

from . import call, contain, gyms, load, wrap
from .collect import Collector, replacing
from .faults import Fault
from .lazy import build

Task = Union[str, int]
Tasks = Dict[str, Dict[Task, Any]]
HUB_ENV = "hub_env"
EXPECTED = "a VectorEnv, an Env, or {suite: {task: VectorEnv}}"
SHAPE = 'return {"suite": {0: vector_env}}'


class Maker:
    """Calls a repo's `make_env` and gives its result the one shape.

    Args:
        collector: collects the vector envs that the repo makes.
        request: what the user asked for.
    """

    def __init__(self, collector: Collector, request: call.Request) -> None:
        self.collector = collector
        self.request = request
        with replacing():
            self.make_env = load.factory(collector.repo)
        self.arguments = call.arguments(self.make_env, request)

    def make(self) -> Tasks:
        """Call it once; a single task is built at once, several when they are used.

        Raises:
            Fault: the repo does not keep the contract. Its own exceptions come as they are.
        """
        tasks = self.shape(self.call())
        found = list(flatten(tasks))
        if len(found) == 1:
            build(found[0][1])
        return tasks

    def call(self) -> Any:
        """What `make_env` returns."""
        repo = self.collector.repo
        with contain.learning(repo), self.collector.collecting(), load.explaining(repo):
            return self.make_env(**self.arguments)

    def shape(self, result: Any) -> Tasks:
        """The result with its values checked and wrapped."""
        if not isinstance(result, Mapping):
            return self.chosen({_suite_name(result): {0: self.vector(result, "", ())}})
        _check_filled(result, "make_env returned an empty dict")
        return self.chosen({_suite(name): self.suite(name, each) for name, each in result.items()})

    def chosen(self, tasks: Tasks) -> Tasks:
        """What the user wants of the tasks, unless make_env itself was told; the rest is closed."""
        choice = {n: v for n, v in self.request.choice.items() if n not in self.arguments}
        suite, task = choice.get("suite"), choice.get("task")
        found: Tasks = {}
        for (name, key), env in list(flatten(tasks)):
            # A number may be written as text, as in a manifest.
            if suite in (None, name) and (task is None or str(task) == str(key)):
                found.setdefault(name, {})[key] = env
            elif hasattr(env, "close"):
                env.close()
        if not found:
            raise _not_there(tasks, choice)
        return found

    def suite(self, suite: str, tasks: Any) -> Dict[Task, Any]:
        """The tasks of one suite."""
        if not isinstance(tasks, Mapping):
            raise _unexpected(f"suite {suite!r}: ", "{task: VectorEnv}", tasks)
        _check_filled(tasks, f"suite {suite!r} has no task")
        return {
            _task(suite, task): self.vector(
                value, f"suite {suite!r} task {task!r}: ", (suite, task)
            )
            for task, value in tasks.items()
        }

    def vector(self, value: Any, where: str, path: Tuple[Any, ...]) -> Any:
        """One value as a vector env with as many envs as asked for."""
        size = wrap.batch_size(value) if gyms.is_env(value) else None
        if size is not None:
            return self.counted(wrap.Native(value, size), where)
        if gyms.is_env(value):
            return self.several(value, lambda: _at(self.call(), path))
        if wrap.is_vector(value):
            return self.counted(value, where)
        if path and callable(value):
            return wrap.Deferred(lambda: self.later(value, where), self.request.n_envs)
        raise _unexpected(where, EXPECTED if not path else "a VectorEnv or an Env", value)

    def counted(self, env: Any, where: str) -> Any:
        """The env, if it has as many envs as asked for."""
        asked, got = self.request.n_envs, env.num_envs
        if got != asked:
            what = f"{where}make_env was asked for n_envs={asked} and returned {got}"
            hint = f"pass n_envs={got}, or let make_env keep to its argument n_envs"
            raise Fault("make-env-result", what, hint=hint)
        return env

    def several(self, first: Any, again: Callable[[], Any]) -> Any:
        """A vector env of `n_envs` envs of which one is there and `again` makes the others."""
        spare = [first]
        fns = [wrap.Again(again, spare) for _ in range(self.request.n_envs)]
        return self.collector.vector(fns, self.request.use_async_envs)

    def later(self, make: Callable[..., Any], where: str) -> Any:
        """Call a task that the repo gave as a callable."""
        arguments = call.accepted(make, self.request)
        repo = self.collector.repo

        def again() -> Any:
            with contain.learning(repo), self.collector.collecting():
                return make(**arguments)

        with self.collector.guard(), load.explaining(repo):
            value = again()
            single = gyms.is_env(value) and wrap.batch_size(value) is None
            return self.several(value, again) if single else self.vector(value, where, ())


def flatten(tasks: Mapping[str, Mapping[Task, Any]]) -> Iterator[Tuple[Tuple[str, Task], Any]]:
    """All `((suite, task), env)` of a result."""
    for suite, envs in tasks.items():
        for task, env in envs.items():
            yield (suite, task), env


def _suite_name(result: Any) -> str:
    name: Optional[str] = getattr(getattr(result, "spec", None), "id", None)
    return name or HUB_ENV


def _suite(suite: Any) -> str:
    if isinstance(suite, str):
        return suite
    raise Fault("make-env-result", f"the suite {suite!r} is {_kind(suite)}, not a str", hint=SHAPE)


def _task(suite: str, task: Any) -> Task:
    if isinstance(task, str):
        return task
    if isinstance(task, (int, numpy.integer)) and not isinstance(task, bool):
        return operator.index(task)
    what = f"suite {suite!r}: the task {task!r} is {_kind(task)}, not a str or an int"
    raise Fault("make-env-result", what, hint=SHAPE)


def _not_there(tasks: Tasks, choice: Mapping[str, Any]) -> Fault:
    names = list(tasks)
    if "task" in choice and choice.get("suite") in (None, *tasks):
        kept = [choice["suite"]] if "suite" in choice else list(tasks)
        names = list(dict.fromkeys(str(task) for suite in kept for task in tasks[suite]))
    wanted = " ".join(f"{name} {value!r}" for name, value in choice.items())
    near = difflib.get_close_matches(str(list(choice.values())[-1]), names, 1, 0.4)
    hint = f"did you mean {near[0]!r}?" if near else ""
    return Fault("argument-invalid", f"there is no {wanted}", f"there is {', '.join(names)}", hint)


def _check_filled(mapping: Mapping[Any, Any], what: str) -> None:
    if not mapping:
        raise Fault("make-env-result", what, hint=SHAPE)


def _at(result: Any, path: Tuple[Any, ...]) -> Any:
    """The env at a path of one more result; the others are closed."""
    if not path:
        return result
    suite, task = path
    chosen = result[suite][task]
    for _, env in flatten(result):
        if env is not chosen and hasattr(env, "close"):
            env.close()
    return chosen


def _unexpected(where: str, expected: str, got: Any) -> Fault:
    hint = SHAPE
    if inspect.iscoroutine(got):
        got.close()
        hint = "make_env must be def, not async def"
    if got is None:
        hint = "did make_env forget its return?"
    what = f"Hub `make_env` must return {expected}: {where}got {_kind(got)}"
    if where:
        what = f"{where}expected {expected}, got {_kind(got)}"
    return Fault("make-env-result", what, hint=hint)


def _kind(value: Any) -> str:
    kind = type(value)
    return (
        "None"
        if value is None
        else f"{kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
    )
