"""What the user asks a repo for, against what its manifest says that there is.

A manifest that declares suites, tasks of a suite, or parameters declares all of them, so a name
that it lacks is refused before anything is installed or run. One that declares none leaves that
to `make_env`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from envhub.errors import ArgumentError, ArgumentTypeError
from envhub.manifest import Manifest, Parameter, Suite
from envhub.worker.lazy import Turns


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of a repo's suites and tasks are wanted, and how many may live at once.

    Attributes:
        suite: the suite, if only one is wanted.
        task: the task, if only one is.
        lazy: `"all"`: a task that was used lives until it is closed; `"one"`: until another one is
            used, and is built anew when its turn comes again.

    Raises:
        ArgumentError: one of them cannot be meant.
    """

    suite: str | None = None
    task: str | int | None = None
    lazy: str = "all"

    def __post_init__(self) -> None:
        for name, value, kinds in (("suite", self.suite, str), ("task", self.task, str | int)):
            if isinstance(value, bool) or not isinstance(value, kinds | None):
                what = f"{name}={value!r} is {type(value).__name__}, which names no {name}"
                raise ArgumentTypeError(what, hint=f'{name}="…"')
        if self.lazy not in {"all", "one"}:
            raise ArgumentError(f"lazy={self.lazy!r} is neither 'all' nor 'one'", hint='lazy="one"')

    def share(self, tasks: Tasks) -> Tasks:
        """The tasks, which take turns if only one may live."""
        if self.lazy == "one":
            turns = Turns()
            for env in (env for envs in tasks.values() for env in envs.values()):
                turns.share(env)
        return tasks


EVERYTHING: Final = Choice()
Tasks = Mapping[str, Mapping[str | int, Any]]


def check(manifest: Manifest, params: Mapping[str, Any], choice: Choice = EVERYTHING) -> None:
    """Refuse what a manifest says that there is not.

    Args:
        manifest: what the repo says.
        params: keyword arguments for its `make_env`.
        choice: the suite and task that are wanted.

    Raises:
        ArgumentError: there is no such suite, task or parameter, or no such value of it; near
            names are in the hint.
        ArgumentTypeError: a value has another type than its parameter.
    """
    suite, task = choice.suite, choice.task
    if suite is not None:
        _check_name("suite", suite, manifest.suites)
    found = list(_chosen(manifest, suite))
    if task is not None and all(each.tasks for each in found):
        _check_name("task", str(task), dict.fromkeys(name for each in found for name in each.tasks))
    _check_params(params, declared(manifest, suite, task))


def declared(
    manifest: Manifest, suite: str | None = None, task: str | int | None = None
) -> dict[str, Parameter]:
    """The parameters that `make_env` has, for one suite and task or for all of them.

    What a task says of a parameter goes before what its suite says, and that before the repo.
    """
    found = dict(manifest.parameters)
    for each in _chosen(manifest, suite):
        found |= each.parameters
        for name, one in each.tasks.items():
            found |= one.parameters if task is None or str(task) == name else {}
    return found


def words(parameter: Parameter) -> str:
    """A parameter's values in words, as in `float, at least 0, at most 1, 0.95 by default`."""
    return ", ".join(_words(parameter))


def _chosen(manifest: Manifest, suite: str | None) -> Iterator[Suite]:
    return (each for name, each in manifest.suites.items() if suite in {None, name})


def _words(parameter: Parameter) -> Iterator[str]:
    if parameter.choices:
        yield f"one of {', '.join(map(repr, parameter.choices))}"
    else:
        yield parameter.type
    if parameter.min is not None:
        yield f"at least {parameter.min:g}"
    if parameter.max is not None:
        yield f"at most {parameter.max:g}"
    if parameter.default is not None:
        yield f"{parameter.default!r} by default"


def _check_name(kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if names and name not in names:
        near = difflib.get_close_matches(name, names, 1, 0.4)
        raise ArgumentError(
            f"the repo has no {kind} {name!r}",
            why=f"it has {', '.join(names)}",
            hint=f"{kind}={near[0]!r}" if near else "",
        )


def _check_params(params: Mapping[str, Any], known: Mapping[str, Parameter]) -> None:
    for name, value in params.items() if known else ():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise ArgumentError(
                f"the repo has no parameter {name!r}",
                why="it has " + "; ".join(f"{each}: {words(told)}" for each, told in known.items()),
                hint=f"{near[0]}={value!r}" if near else "",
            )
        if problem := known[name].problem(value):
            wrong = ArgumentTypeError if problem.startswith("is no ") else ArgumentError
            raise wrong(f"{name}={value!r} {problem}", hint=f"{name}: {words(known[name])}")
