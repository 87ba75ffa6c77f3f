"""make and the inline level: both proofs are needed, faults become errors, levels are chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from envhub import errors
from envhub.faults import error_for
from envhub.fetch import Source, fetch
from envhub.hubs.local import LocalFolder
from envhub.isolation import base, inline
from envhub.make import check_counts, make
from envhub.refs import parse
from envhub.resolve import resolve
from envhub.store import Store
from envhub.testing.repos import COUNTER, SUITES, Repo, write
from envhub.trust import Allowed, Consent, decide, require
from envhub.trustfile import Policy
from envhub.worker.faults import Fault

Prepare = Callable[..., tuple[Source, Allowed]]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """The files of a repo, and the consent to run them."""

    def prepare(repo: Repo, entry: str = "env.py") -> tuple[Source, Allowed]:
        root = write(repo, tmp_path / "repo")
        store, hub = Store(tmp_path / "cache"), LocalFolder(root)
        pin = resolve(parse(f"{root}:{entry}"), hub, store)
        allowed = require(decide(pin, Policy(), Consent(boolean=True)), pin)
        return fetch(pin, hub, store), allowed

    return prepare


def test_makes_envs(prepare: Prepare) -> None:
    """A source and the consent to run it are enough."""
    source, allowed = prepare(COUNTER)
    with make(source, allowed, n_envs=3) as envs:
        assert envs.pin is source.pin
        observation, _ = envs.only.reset(seed=5)
        assert observation.tolist() == [[0, 5], [0, 6], [0, 7]]
        assert isinstance(envs.only.envs[0].unwrapped, gym.Env)


def test_suites(prepare: Prepare) -> None:
    """Several suites keep their names and tasks."""
    with make(*prepare(SUITES), n_envs=2) as envs:
        assert {suite: list(tasks) for suite, tasks in envs.items()} == {
            "short": [0, 1],
            "long": [0],
        }


def test_consent_is_for_one_pin(prepare: Prepare) -> None:
    """Consent to one pin does not let another one run."""
    source, allowed = prepare(COUNTER)
    other, _ = prepare({**COUNTER, "more.py": ""})
    with pytest.raises(errors.UntrustedError, match="the consent is for"):
        make(other, allowed)
    assert make(source, allowed).pin == source.pin


def test_edited_folder_is_loaded_anew(prepare: Prepare) -> None:
    """A folder whose files changed gives the new code; one that did not, the same classes."""
    before, again = make(*prepare(COUNTER)), make(*prepare(COUNTER))
    edited = COUNTER["env.py"]
    assert isinstance(edited, str)
    after = make(*prepare({"env.py": edited.replace("limit=10", "limit=4")}))
    assert type(before.only.envs[0]) is type(again.only.envs[0])
    assert (before.only.envs[0].limit, after.only.envs[0].limit) == (10, 4)
    for envs in (before, again, after):
        envs.close()


@pytest.mark.parametrize("level", ["inlin", "", None, []])
def test_levels_that_are_none(prepare: Prepare, level: Any) -> None:
    """A level that nobody knows is an error that lists those there are."""
    with pytest.raises(errors.ArgumentError, match="not one of auto, inline") as caught:
        make(*prepare(COUNTER), isolation=level)
    assert caught.value.hint == 'isolation="inline"'


@pytest.mark.parametrize("level", ["auto", "inline", "process"])
def test_levels_there_are(prepare: Prepare, level: str) -> None:
    """Every level that is listed works."""
    with make(*prepare(COUNTER), isolation=level) as envs:
        assert envs.only.num_envs == 1


COUNTS: list[tuple[Any, Any, type[Exception], str]] = [
    (0, False, errors.ArgumentError, "n_envs=0 is less than 1"),
    (-1, False, errors.ArgumentError, "n_envs=-1 is less than 1"),
    (True, False, errors.ArgumentTypeError, "n_envs=True is bool, not an int"),
    ("2", False, errors.ArgumentTypeError, "n_envs='2' is str, not an int"),
    (2.0, False, errors.ArgumentTypeError, "n_envs=2.0 is float, not an int"),
    (None, False, errors.ArgumentTypeError, "n_envs=None is NoneType, not an int"),
    (np.array([2]), False, errors.ArgumentTypeError, "is ndarray, not an int"),
    (1, 1, errors.ArgumentTypeError, "use_async_envs=1 is int, not a bool"),
    (1, "False", errors.ArgumentTypeError, "use_async_envs='False' is str, not a bool"),
]


@pytest.mark.parametrize(("n_envs", "use_async", "kind", "message"), COUNTS)
def test_arguments(n_envs: Any, use_async: Any, kind: type[Exception], message: str) -> None:
    """Arguments that cannot work are refused with the user's own value in the message."""
    with pytest.raises(kind, match=message):
        check_counts(n_envs, use_async)


def test_numpy_numbers() -> None:
    """NumPy's integers are integers."""
    assert check_counts(np.int64(3), False) == 3
    assert type(check_counts(np.uint8(3), True)) is int


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("load-failed", errors.LoadError),
        ("missing-dependency", errors.MissingDependencyError),
        ("python-version", errors.PythonVersionError),
        ("env-exited", errors.EnvExitError),
        ("no-make-env", errors.NoFactoryError),
        ("make-env-signature", errors.SignatureError),
        ("make-env-result", errors.ResultError),
    ],
)
def test_faults_become_errors(code: str, kind: type[errors.EnvHubError]) -> None:
    """Each fault becomes the error of its code, with its words and its cause."""
    cause = KeyError("x")
    with pytest.raises(kind) as caught, base.translating():
        raise Fault(code, "what", "why", "hint") from cause
    error = caught.value
    assert type(error) is kind
    assert error.as_dict() == {"code": code, "what": "what", "why": "why", "hint": "hint"}
    assert error.__cause__ is cause


def test_missing_module_is_named() -> None:
    """The name of a missing module is on the error, as on Python's own."""
    error = error_for(Fault("missing-dependency", "what", name="torch"))
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "torch"


def test_place_of_a_source(prepare: Prepare) -> None:
    """The loader is told where the files are and whose; another version is another package."""
    source, _ = prepare(COUNTER)
    place = inline.place_of(source)
    assert (Path(place.root), place.entry) == (source.root.resolve(), "env.py")
    assert (place.repo, place.repo_type, place.version) == ("repo", "local", source.pin.digest)
    keys = {replace(place, version=version).key for version in ("1", "2")} | {place.key}
    assert len(keys) == 3
    assert place.key.startswith("r_repo_")
