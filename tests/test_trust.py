"""Consent: who may say yes, in which form, and what the refusal says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from envhub.errors import ArgumentTypeError, PolicyError, UntrustedError
from envhub.pins import Pin
from envhub.refs import parse
from envhub.trust import (
    ANY_CONTENT,
    Allowed,
    Grant,
    Policy,
    Refused,
    Rules,
    check_boolean,
    decide,
    grant_for,
    require,
)

COMMIT = "a" * 40
HUB = "https://huggingface.co"
PIN = Pin(parse("u/r@v1:e.py"), HUB, "u/r", "model", COMMIT, "e.py", "sha256:0")
FOLDER = Pin(parse("./r"), "file:///srv/r", "r", "local", None, "env.py", "sha256:0")


@pytest.mark.parametrize("value", ["False", "True", 1, 0, None, [], object()])
def test_only_a_bool_is_consent(value: object) -> None:
    """Anything but `True` or `False` is an error, even if it is false."""
    with pytest.raises(ArgumentTypeError, match="must be True or False"):
        check_boolean(value)


def test_silence_is_no_consent() -> None:
    """Without consent the verdict is a refusal whose hint names the commit."""
    verdict = decide(PIN, Policy(), trust_remote_code=False)
    assert isinstance(verdict, Refused)
    assert f'envhub.make_env("u/r@{COMMIT}:e.py", trust_remote_code=True)' in verdict.hint
    assert f"envhub trust add u/r@{COMMIT}:e.py" in verdict.hint


def test_the_refusal_is_an_error_that_people_catch_already() -> None:
    """It is a `RuntimeError` that begins as the reference's does, with the pinned line."""
    with pytest.raises(RuntimeError, match=r"^Refusing to execute remote code") as caught:
        require(decide(PIN, Policy(), trust_remote_code=False), PIN)
    assert isinstance(caught.value, UntrustedError)
    assert COMMIT in str(caught.value)


TABLE = {
    "this call": (Policy(), True, "argument"),
    "a grant": (Policy(grants=(Grant(HUB, "u/r", COMMIT),)), False, "grant"),
    "the owner": (Policy(owners=(f"{HUB}/u",)), False, "owner"),
    "a grant counts before this call": (
        Policy(grants=(Grant(HUB, "u/r", COMMIT),)),
        True,
        "grant",
    ),
    "a grant of another commit": (Policy(grants=(Grant(HUB, "u/r", "b" * 40),)), False, None),
    "a grant on another hub": (Policy(grants=(Grant("https://x", "u/r", COMMIT),)), False, None),
    "the same owner on another hub": (Policy(owners=("https://x/u",)), False, None),
    "a library's True where only grants count": (Policy(rules=Rules(boolean=False)), True, None),
    "a grant where only grants count": (
        Policy(rules=Rules(boolean=False), grants=(Grant(HUB, "u/r", COMMIT),)),
        True,
        "grant",
    ),
    "a tag where full commits count": (Policy(rules=Rules(full_commit_only=True)), True, None),
}


@pytest.mark.parametrize(("policy", "said", "by"), TABLE.values(), ids=TABLE)
def test_who_may_consent(policy: Policy, said: bool, by: str | None) -> None:
    """The policy file decides first; this call's boolean counts unless the policy says no."""
    verdict = decide(PIN, policy, trust_remote_code=said)
    assert (verdict.by if isinstance(verdict, Allowed) else None) == by


def test_a_full_commit_pleases_the_strict_policy() -> None:
    """`full_commit_only` lets refs through that name a full commit."""
    pinned = replace(PIN, ref=PIN.ref.at(COMMIT))
    strict = Policy(rules=Rules(full_commit_only=True))
    assert isinstance(decide(pinned, strict, trust_remote_code=True), Allowed)


def test_a_moved_ref_can_be_made_to_need_a_new_grant() -> None:
    """With `moved = "refuse"`, a ref that moved is refused until it is granted."""
    policy = Policy(rules=Rules(moved="refuse"))
    verdict = decide(PIN, policy, trust_remote_code=True, moved=True)
    assert isinstance(verdict, Refused)
    granted = policy.with_grant(grant_for(PIN))
    assert isinstance(decide(PIN, granted, trust_remote_code=False, moved=True), Allowed)


def test_a_folder_needs_consent_too_and_its_grant_survives_edits() -> None:
    """A folder is granted as a place, whatever its files are."""
    assert isinstance(decide(FOLDER, Policy(), trust_remote_code=False), Refused)
    assert grant_for(FOLDER).commit == ANY_CONTENT
    granted = Policy().with_grant(grant_for(FOLDER))
    edited = replace(FOLDER, digest="sha256:1")
    assert isinstance(decide(edited, granted, trust_remote_code=False), Allowed)


def test_nobody_else_makes_an_allowed() -> None:
    """A proof of consent cannot be forged by calling its class."""
    with pytest.raises(TypeError, match="only envhub"):
        Allowed(PIN, "argument")


def test_the_file_keeps_what_it_was_given(tmp_path: Path) -> None:
    """Writing and reading a policy gives the same policy, with its grants in order."""
    path = tmp_path / "deep" / "trust.toml"
    policy = Policy(owners=(f"{HUB}/u",), rules=Rules(moved="refuse"))
    policy = policy.with_grant(Grant(HUB, "z/z", COMMIT)).with_grant(Grant(HUB, "a/a", COMMIT))
    policy.write(path)
    assert Policy.read(path) == policy
    assert [grant.repo for grant in policy.grants] == ["a/a", "z/z"]
    assert [file.name for file in path.parent.iterdir()] == ["trust.toml"]


def test_no_file_is_an_empty_policy(tmp_path: Path) -> None:
    """Nobody has to write a policy file."""
    assert Policy.read(tmp_path / "trust.toml") == Policy()


def test_grants_are_taken_back(tmp_path: Path) -> None:
    """A repo's grants go all at once, or one commit's alone."""
    policy = Policy()
    for repo, commit in (("u/r", COMMIT), ("u/r", "b" * 40), ("u/s", COMMIT)):
        policy = policy.with_grant(Grant(HUB, repo, commit))
    assert len(policy.without(HUB, "u/r").grants) == 1
    assert len(policy.without(HUB, "u/r", COMMIT).grants) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version = 2", r"\$\.version"),
        ("version = 1\nownrs = []", "ownrs"),
        ("[rules]\nbolean = true", "bolean"),
        ('[rules]\nmoved = "ask"', r"\$\.rules\.moved"),
        ('[[grants]]\nrepo = "u/r"', "hub"),
        ("= nonsense", "line 1"),
    ],
)
def test_what_it_does_not_understand_is_refused_by_name(
    tmp_path: Path, text: str, says: str
) -> None:
    """An unknown key or value stops everything and says where it is."""
    path = tmp_path / "trust.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=says):
        Policy.read(path)
