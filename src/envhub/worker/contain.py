"""Keep what a repo's code does to `sys.path`, `sys.modules` and Gymnasium's ids its own.

While it runs they are as it wants them. Afterwards they are as before, except that the ids which
it registered stay there for `gymnasium.make`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections import Counter
from typing import Any, Iterable, Iterator, List

from . import package, repos
from .gyms import registration

LOCK = threading.RLock()
"""Held while a repo is loaded or called, and while its ids are in the place of others'."""


def _renew_lock() -> None:
    # In a forked child another thread's lock would never be released.
    globals()["LOCK"] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextlib.contextmanager
def working(repo: repos.Repo) -> Iterator[None]:
    """Run code of `repo` that may import modules, add to `sys.path` and make envs by their ids."""
    paths, modules = list(sys.path), set(sys.modules)
    repos.at_work().append(repo)
    try:
        with _ids(repo):
            yield
    finally:
        repos.at_work().pop()
        _sweep_paths(repo, paths)
        _sweep_modules(repo, modules)


@contextlib.contextmanager
def learning(repo: repos.Repo) -> Iterator[None]:
    """Like `working`, and the ids that the code registers are the repo's from then on."""
    with LOCK, _own_ids(repo), working(repo):
        yield


def adopt(repo: repos.Repo) -> None:
    """Let `repo` be at work for good, in a process that runs nothing else."""
    if repo not in repos.at_work():
        repos.at_work().append(repo)


@contextlib.contextmanager
def _ids(repo: repos.Repo) -> Iterator[None]:
    if all(registration.registry.get(name) is spec for name, spec in repo.specs.items()):
        yield
    else:
        with LOCK, _own_ids(repo):
            yield


@contextlib.contextmanager
def _own_ids(repo: repos.Repo) -> Iterator[None]:
    registry = registration.registry
    before = dict(registry)
    for name in _foreign(repo):
        registry.pop(name, None)
    registry.update(repo.specs)
    shown = dict(registry)
    try:
        yield
    finally:
        changed = {name: spec for name, spec in registry.items() if shown.get(name) is not spec}
        for spec in changed.values():
            _make_private(repo, spec)
        repo.specs.update(changed)
        for name in registry.keys() - before.keys():
            del registry[name]
        registry.update({**before, **changed})


def _foreign(repo: repos.Repo) -> List[str]:
    """Ids of other versions of the repo: hidden, so that registering them again is no conflict."""
    return [name for other in repos.others(repo) for name in other.specs]


def _make_private(repo: repos.Repo, spec: Any) -> None:
    """Let the entry point `"my_env:Env"` of a repo with a `my_env.py` work for everybody."""
    for attribute in ("entry_point", "vector_entry_point"):
        entry = getattr(spec, attribute, None)
        if isinstance(entry, str):
            top = re.split("[.:]", entry, maxsplit=1)[0]
            private = repo.resolve(top)
            if private:
                setattr(spec, attribute, private + entry[len(top) :])


def _sweep_paths(repo: repos.Repo, before: Iterable[str]) -> None:
    added = Counter(sys.path) - Counter(before)
    for entry in added.elements():
        path = package.real(entry)
        if repo.owns(path):
            sys.path.remove(entry)
            repo.keep_path(path)


def _sweep_modules(repo: repos.Repo, before: Iterable[str]) -> None:
    for name in set(sys.modules).difference(before):
        module = sys.modules[name]
        if name.startswith(repos.PREFIX):
            continue
        if getattr(module, "__name__", "").startswith(repos.PREFIX):
            del sys.modules[name]
        elif repo.owns(getattr(module, "__file__", None) or ""):
            repo.modules[name] = sys.modules.pop(name)
