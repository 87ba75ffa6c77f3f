"""Import the entry file of a repo, and say what is wrong when that fails."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import shlex
import sys
import traceback
from types import ModuleType
from typing import Any, Callable, Iterator, List

from . import contain, files, package, repos, syntax
from .faults import Fault

FACTORY = "make_env"
REQUIREMENTS = "requirements.txt"
RIGHT_FORM = f"def {FACTORY}(n_envs: int = 1, use_async_envs: bool = False): ..."


def entry(repo: repos.Repo) -> ModuleType:
    """The module of the entry file; the same one every time.

    Raises:
        Fault: it cannot be imported.
    """
    with contain.learning(repo), _importing(repo):
        return importlib.import_module(repo.entry)


def factory(repo: repos.Repo) -> Callable[..., Any]:
    """The `make_env` of the entry file.

    Raises:
        Fault: the file cannot be imported, or has none.
    """
    module = entry(repo)
    found = getattr(module, FACTORY, None)
    if callable(found):
        return found  # type: ignore[no-any-return]  # whatever it returns
    if found is not None:
        what = f"{FACTORY} in {repo.place.entry} is {type(found).__name__}, not a function"
        raise Fault("no-make-env", what, hint=RIGHT_FORM)
    names = [name for name, value in vars(module).items() if callable(value)]
    near = difflib.get_close_matches(FACTORY, names, cutoff=0.4) or [
        name for name in names if name.startswith("make")
    ]
    why = f"near names in it: {', '.join(near)}" if near else ""
    raise Fault("no-make-env", f"{repo.place.entry} has no function {FACTORY}", why, RIGHT_FORM)


@contextlib.contextmanager
def explaining(repo: repos.Repo) -> Iterator[None]:
    """Turn what says nothing to a user into a `Fault`; other exceptions pass as they are."""
    try:
        yield
    except SystemExit as error:
        raise _exit(repo, error) from error
    except ModuleNotFoundError as error:
        if not error.name:
            raise
        raise _missing(repo, error.name, error) from error
    except SyntaxError as error:
        if not files.is_below(error.filename or "", repo.place.root):
            raise
        raise _unparsable(repo, error) from error


@contextlib.contextmanager
def _importing(repo: repos.Repo) -> Iterator[None]:
    try:
        with explaining(repo):
            yield
    except Fault:
        raise
    except Exception as error:
        what = f"{repo.place.entry} of {repo.place.repo} could not be imported"
        said = traceback.format_exception_only(type(error), error)[-1].strip()
        where = _where(repo, error)
        raise Fault("load-failed", what, f"{where}: {said}" if where else said) from error


def _exit(repo: repos.Repo, error: SystemExit) -> Fault:
    what = f"{_where(repo, error) or repo.place.entry} called sys.exit({error.code!r})"
    why = "an env must not end the program that uses it"
    return Fault("env-exited", what, why, "raise an exception there instead")


def _missing(repo: repos.Repo, name: str, error: BaseException) -> Fault:
    where = _where(repo, error) or repo.place.entry
    if name.startswith(repos.PREFIX):
        return _missing_sibling(repo, name[len(repo.package) + 1 :], where)
    if name.startswith(package.STAND_IN):
        name = package.LEROBOT + name[len(package.STAND_IN) :]
    top = name.partition(".")[0]
    lines = requirements(repo.place.root)
    listed = f"{REQUIREMENTS} of {repo.place.repo} lists {', '.join(lines)}"
    why = listed if lines else f"{repo.place.repo} has no {REQUIREMENTS} that would name it"
    what = f"{where} imports {name}, which is not installed"
    return Fault("missing-dependency", what, why, _pip(repo, lines or [top]), name)


def _missing_sibling(repo: repos.Repo, name: str, where: str) -> Fault:
    path = name.replace(".", "/") + ".py"
    what = f"{where} imports {name}, but {repo.place.repo} has no {path}"
    present = [
        os.path.relpath(os.path.join(folder, file), repo.place.root)
        for folder, _, names in os.walk(repo.place.root)
        for file in names
        if file.endswith(".py")
    ]
    near = difflib.get_close_matches(path, present)
    return Fault("load-failed", what, hint=f"did you mean {near[0]}?" if near else "")


def _unparsable(repo: repos.Repo, error: SyntaxError) -> Fault:
    file = os.path.relpath(error.filename or repo.entry_file, repo.place.root)
    where = f"{file}:{error.lineno}"
    needed = syntax.needed_python(error)
    if needed is None:
        why = f"{error.msg}: {(error.text or '').strip()}"
        return Fault("load-failed", f"{where} is not valid Python", why)
    version = ".".join(map(str, needed))
    running = ".".join(map(str, sys.version_info[:2]))
    what = f"{where} needs Python ≥ {version}, and this is Python {running}"
    return Fault("python-version", what, (error.text or "").strip(), f"use Python {version}")


def requirements(root: str) -> List[str]:
    """The lines of the repo's `requirements.txt`, without comments."""
    path = os.path.join(root, REQUIREMENTS)
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.partition(" #")[0].strip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]


def _pip(repo: repos.Repo, lines: List[str]) -> str:
    # Options (-r, --find-links, \ at a line's end) only work inside the file.
    if any(line.startswith("-") or line.endswith("\\") for line in lines):
        return f"pip install -r {shlex.quote(os.path.join(repo.place.root, REQUIREMENTS))}"
    return "pip install " + " ".join(shlex.quote(line) for line in lines)


def _where(repo: repos.Repo, error: BaseException) -> str:
    """The innermost `file:line` of the repo's own code on the way to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if files.is_below(frame.filename, repo.place.root)]
    if not own:
        return ""
    return f"{os.path.relpath(own[-1].filename, repo.place.root)}:{own[-1].lineno}"
