"""What an env does is one hash: the same for the same, and another with a reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from envhub.cli import main
from envhub.client import Client
from envhub.errors import LockMismatchError
from envhub.fingerprint import Measure, compare, fingerprint
from envhub.lockfile import Entry, Fingerprint, Lock
from envhub.refs import parse
from envhub.testing import repos
from envhub.trajectory import mix

HEAD = str(repos.COUNTER["env.py"])
NOISE = HEAD.replace("float(action)", "float(np.random.default_rng().random())")
# What has another value where this variable is set, as numpy has on another processor.
PLACE = f"import os\n{HEAD}".replace("float(action)", "float(os.environ.get('OMP_NUM_THREADS', 0))")
SHORT = Measure(2, 5)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVHUB_ISOLATION", "process")
    monkeypatch.setenv("ENVHUB_SANDBOX", "off")  # to be quick
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.chdir(tmp_path)


def take(code: str, measure: Measure = SHORT, **more: Any) -> Fingerprint:
    repos.write({"env.py": code}, Path("env"))
    return fingerprint(Client(), "./env", measure, trust_remote_code=True, **more)


@pytest.mark.parametrize(
    ("code", "determinism"),
    [(HEAD, "exact"), (PLACE, "same machine only"), (NOISE, "not reproducible")],
)
def test_determinism(code: str, determinism: str) -> None:
    """Whether an env does the same again, and elsewhere, is measured and not believed."""
    assert take(code).determinism == determinism


def test_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same env gives the same; other code, seeds and steps give another."""
    monkeypatch.setenv("ENVHUB_ISOLATION", "inline")
    one = take(HEAD)
    assert take(HEAD) == one
    assert one.python.count(".") == 2
    assert {each.partition("==")[0] for each in one.packages} == {"gymnasium", "numpy"}
    assert take(HEAD + "\nX = 1\n").digest == one.digest
    assert take(HEAD + "\nX = 1\n").code != one.code
    others = {take(HEAD.replace("limit=10", "limit=4")).digest, take(HEAD, Measure(3, 5)).digest}
    assert len({one.digest, *others, take(HEAD, Measure(2, 6)).digest}) == 4


def test_inline() -> None:
    """In the caller's process the digest is the same, and nobody can know about elsewhere."""
    assert take(HEAD, isolation="inline").digest == take(HEAD).digest
    assert take(HEAD, isolation="inline").determinism == "same machine only"


def test_env_that_does_not_start_elsewhere() -> None:
    """An env that breaks as if on another machine is not the same there."""
    code = f"import os\nassert 'OMP_NUM_THREADS' not in os.environ\n{HEAD}"
    assert take(code).determinism == "same machine only"


DIGEST, OTHER = "sha256:" + "0" * 64, "sha256:" + "1" * 64
HELD = Fingerprint(DIGEST, DIGEST, "exact", 3, 100, DIGEST, "3.11.7", "linux", ("numpy==2.0",))


def lock(**changes: Any) -> Lock:
    entry = Entry("./env", "env", "local", "env.py", DIGEST)
    return Lock((entry.with_fingerprint(msgspec.structs.replace(HELD, **changes)),))


@pytest.mark.parametrize(
    ("held", "found", "why"),
    [
        ({}, {"packages": ("numpy==2.1",)}, "package numpy: 2.0 then, 2.1 now"),
        ({}, {"code": OTHER}, f"code: {DIGEST} then, {OTHER} now"),
        ({}, {"python": "3.12.1"}, "python: 3.11.7 then, 3.12.1 now"),
        ({}, {"platform": "mac"}, "platform: linux then, mac now"),
        ({}, {"actions": OTHER}, "actions: "),
        ({}, {}, "something outside of it decides"),
        ({"determinism": "same machine only"}, {}, "another processor"),
        ({"determinism": "not reproducible"}, {}, "never does the same twice"),
    ],
)
def test_mismatch(held: dict[str, Any], found: dict[str, Any], why: str) -> None:
    """A fingerprint that should be the same and is not says which part differs."""
    now = msgspec.structs.replace(HELD, digest=OTHER, **found)
    with pytest.raises(LockMismatchError) as caught:
        compare(lock(**held), parse("./env"), now)
    assert why in caught.value.why
    assert caught.value.hint.startswith("envhub fingerprint ./env --update")


@pytest.mark.parametrize(
    ("held", "found", "said"),
    [
        ({}, {}, "as on Python 3.11.7, linux"),
        ({}, {"python": "3.12.0"}, "as on Python 3.11.7, linux"),
        ({"seeds": 9}, {"digest": OTHER}, "new"),
        ({"steps": 9}, {"digest": OTHER}, "new"),
        ({"determinism": "same machine only"}, {"platform": "mac", "digest": OTHER}, "new"),
    ],
)
def test_match(held: dict[str, Any], found: dict[str, Any], said: str) -> None:
    """What is the same is said to be; what cannot be compared is new."""
    assert compare(lock(**held), parse("./env"), msgspec.structs.replace(HELD, **found)) == said
    assert compare(Lock(), parse("./env"), HELD) == "new"


def digest(value: Any) -> str:
    found = hashlib.sha256()
    mix(found, value)
    return found.hexdigest()


@given(arrays.arrays(st.sampled_from(["<f4", ">f4", "<i8", "|b1", "|u1"]), (2, 3)))
def test_bytes(value: np.ndarray[Any, Any]) -> None:
    """Neither the order of bytes nor that of rows in memory is part of a hash."""
    assert digest(value) == digest(np.asfortranarray(value))
    assert digest(value) == digest(value.astype(value.dtype.newbyteorder("S")))
    assert digest({"a": value, "b": 1}) == digest({"b": 1, "a": value})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [[1], [2]]),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(4, "f4"), np.zeros(4, "f8")),
        ({"a": 1}, {"b": 1}),
        ("ab", "abc"),
        ([("a", "b")], [("ab", "")]),
        (np.array(["a", None], object), np.array(["a", "b"], object)),
        (0, False),
        (0, None),
    ],
)
def test_shape(one: Any, other: Any) -> None:
    """What is of another shape or type has another hash."""
    assert digest(one) != digest(other)


def cli(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is printed, kept in the lock file, and compared the next time."""
    monkeypatch.setenv("ENVHUB_ISOLATION", "inline")
    repos.write({"env.py": HEAD}, Path("env"))
    words = ("fingerprint", "./env", "--trust-remote-code", "--seeds", "1", "--steps", "3")
    assert cli(*words[:2]).exit_code == 1
    assert "not in it: envhub lock ./env" in cli(*words).stdout
    assert cli("lock", "./env").exit_code == 0
    first = json.loads(cli(*words, "--json").stdout)
    assert (first["kept"], first["compared"], first["determinism"]) == (
        True,
        "new",
        "same machine only",
    )
    assert "as on Python" in cli(*words).stdout
    assert Lock.read(Path("envhub.lock")).entries[0].fingerprints[0].digest == first["digest"]
    text = Path("envhub.lock").read_text()
    Path("envhub.lock").write_text(text.replace(first["digest"], DIGEST))
    done = cli(*words)
    assert done.exit_code == 1
    assert "does not do what it did" in done.stderr
    assert cli(*words, "--update", "-q").stdout == f"{first['digest']}\n"
    assert Path("envhub.lock").read_text() == text
