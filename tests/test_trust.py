"""Consent: who may say yes, in which form, and what the refusal says."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from envhub.errors import ArgumentError, ArgumentTypeError, UntrustedError
from envhub.permissions import Permissions
from envhub.pins import Pin
from envhub.refs import parse
from envhub.trust import Allowed, Consent, Refused, consent, decide, grant_for, require
from envhub.trustfile import ANY, Grant, Policy, Rules

COMMIT = "a" * 40
HUB = "https://huggingface.co"
PIN = Pin(parse("u/r@v1:e.py"), HUB, "u/r", "model", COMMIT, "e.py", "sha256:0")
YES = Consent(boolean=True)
FOLDER = Pin(parse("./r"), "file:///srv/r", "r", "local", None, "env.py", "sha256:0")


@pytest.mark.parametrize("value", ["False", "True", 1, 0, None, [], object()])
def test_only_a_bool_is_consent(value: object) -> None:
    """Anything but `True` or `False` is an error, even if it is false."""
    with pytest.raises(ArgumentTypeError, match="must be True or False"):
        consent(value)


def test_silence_is_no_consent() -> None:
    """Without consent the verdict is a refusal whose hint names the commit."""
    verdict = decide(PIN, Policy())
    assert isinstance(verdict, Refused)
    assert f'envhub.make_env("u/r@{COMMIT}:e.py", trust_remote_code=True)' in verdict.hint
    assert f"envhub trust add u/r@{COMMIT}:e.py" in verdict.hint


def test_the_refusal_is_an_error_that_people_catch_already() -> None:
    """It is a `RuntimeError` that begins as the reference's does, with the pinned line."""
    with pytest.raises(RuntimeError, match=r"^Refusing to execute remote code") as caught:
        require(decide(PIN, Policy()), PIN)
    assert isinstance(caught.value, UntrustedError)
    assert COMMIT in str(caught.value)


TABLE = {
    "this call": (Policy(), True, "argument"),
    "a grant": (Policy(grants=(Grant(HUB, "u/r", COMMIT),)), False, "grant"),
    "the owner": (Policy(grants=(Grant(HUB, "u/*", ANY),)), False, "grant"),
    "the owner of another repo": (Policy(grants=(Grant(HUB, "uu/*", ANY),)), False, None),
    "every commit": (Policy(grants=(Grant(HUB, "u/r", ANY),)), False, "grant"),
    "a grant counts before this call": (
        Policy(grants=(Grant(HUB, "u/r", COMMIT),)),
        True,
        "grant",
    ),
    "a grant of another commit": (Policy(grants=(Grant(HUB, "u/r", "b" * 40),)), False, None),
    "a grant on another hub": (Policy(grants=(Grant("https://x", "u/r", COMMIT),)), False, None),
    "the same owner on another hub": (
        Policy(grants=(Grant("https://x", "u/*", ANY),)),
        False,
        None,
    ),
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
    verdict = decide(PIN, policy, Consent(said))
    assert (verdict.by if isinstance(verdict, Allowed) else None) == by


def test_a_full_commit_pleases_the_strict_policy() -> None:
    """`full_commit_only` lets refs through that name a full commit."""
    pinned = replace(PIN, ref=PIN.ref.at(COMMIT))
    strict = Policy(rules=Rules(full_commit_only=True))
    assert isinstance(decide(pinned, strict, YES), Allowed)


def test_a_moved_ref_can_be_made_to_need_a_new_grant() -> None:
    """With `moved = "refuse"`, a ref that moved is refused until it is granted."""
    policy = Policy(rules=Rules(moved="refuse"))
    verdict = decide(PIN, policy, YES, moved=True)
    assert isinstance(verdict, Refused)
    granted = policy.with_grant(grant_for(PIN))
    assert isinstance(decide(PIN, granted, moved=True), Allowed)


def test_a_folder_needs_consent_too_and_its_grant_survives_edits() -> None:
    """A folder is granted as a place, whatever its files are."""
    assert isinstance(decide(FOLDER, Policy()), Refused)
    assert grant_for(FOLDER).commit == ANY
    granted = Policy().with_grant(grant_for(FOLDER))
    edited = replace(FOLDER, digest="sha256:1")
    assert isinstance(decide(edited, granted), Allowed)


def test_nobody_else_makes_an_allowed() -> None:
    """A proof of consent cannot be forged by calling its class."""
    with pytest.raises(TypeError, match="only envhub"):
        Allowed(PIN, "argument")


def verdict(policy: Policy, said: Consent, *asked: str) -> tuple[str, ...] | str:
    """The permissions that a pin gets which asks for some, or why it is refused."""
    found = decide(PIN, policy, said, asked=Permissions.of(asked))
    return found.permissions.words if isinstance(found, Allowed) else found.reason


def granted(*allow: str, deny: tuple[str, ...] = ()) -> Policy:
    return Policy(grants=(Grant(HUB, "u/r", COMMIT, allow, deny),))


STRICT = Rules(boolean=False)
PERMISSIONS = {
    "nothing asked": (Policy(), YES, (), ()),
    "asked, and only the code was allowed": (Policy(), YES, ("network",), "nobody granted"),
    "asked, and the call names it": (Policy(), Consent(True, ("network",)), ("network",), None),
    "the call names less": (Policy(), Consent(True, ()), ("network", "gpu"), ()),
    "the call gives what is not asked": (Policy(), Consent(True, ("gpu",)), (), ("gpu",)),
    "granted": (granted("network"), Consent(), ("network",), None),
    "granted, and the call names less": (granted("network"), Consent(True, ()), ("network",), ()),
    "granted, but asked for more": (granted("network"), YES, ("network", "gpu"), "it asks for gpu"),
    "granted for every repo of the owner": (
        Policy(grants=(Grant(HUB, "u/*", ANY, ("gpu",)), Grant(HUB, "u/r", COMMIT, ("network",)))),
        Consent(),
        ("network", "gpu"),
        None,
    ),
    "denied: it runs without": (granted(deny=("network",)), Consent(), ("network",), ()),
    "a denial beats a grant": (granted("gpu", deny=("gpu",)), Consent(), ("gpu",), ()),
    "a denial beats the call": (
        granted(deny=("gpu",)),
        Consent(True, ("gpu",)),
        ("gpu",),
        "your policy denies gpu",
    ),
    "denied by a rule": (
        msgspec.structs.replace(granted("gpu"), rules=Rules(deny=("gpu",))),
        Consent(),
        ("gpu",),
        (),
    ),
    "the call gives nothing where only grants count": (
        Policy(rules=STRICT, grants=granted().grants),
        Consent(True, ("network",)),
        ("network",),
        "nobody granted",
    ),
    "the call may take away where only grants count": (
        Policy(rules=STRICT, grants=granted("network").grants),
        Consent(True, ()),
        ("network",),
        (),
    ),
    "folders and variables": (granted("write:logs", "env:A"), YES, ("write:logs", "env:A"), None),
    "another folder": (granted("write:logs"), YES, ("write:data",), "it asks for write:data"),
}


@pytest.mark.parametrize(("policy", "said", "asked", "gets"), PERMISSIONS.values(), ids=PERMISSIONS)
def test_permissions(
    policy: Policy, said: Consent, asked: tuple[str, ...], gets: tuple[str, ...] | str | None
) -> None:
    """A repo gets what was granted and not denied; asking for more is refused, not ignored."""
    found = verdict(policy, said, *asked)
    if isinstance(gets, str):
        assert gets in found
    else:
        assert sorted(found) == sorted(asked if gets is None else gets)


def test_the_refusal_names_the_lines_that_would_run_it() -> None:
    """With the permission, with it remembered, and without it."""
    refused = decide(PIN, granted("gpu"), YES, asked=Permissions(network=True, gpu=True))
    assert isinstance(refused, Refused)
    ref = f"u/r@{COMMIT}:e.py"
    assert refused.hint.splitlines() == [
        f'envhub.make_env("{ref}", trust_remote_code=True, permissions=["network", "gpu"])'
        f"  (or, to remember it: envhub trust add {ref} --allow network)",
        f'envhub.make_env("{ref}", trust_remote_code=True, permissions=["gpu"])   # without it',
    ]


@pytest.mark.parametrize("value", ["network", 7, [7], {"network": True}.values()])
def test_permissions_are_a_list_of_words(value: object) -> None:
    """Text is no list of words, though Python can iterate over it."""
    with pytest.raises(ArgumentTypeError, match="permissions must be a list of words"):
        consent(True, value)


@pytest.mark.parametrize("word", ["netwrok", "write:", "write:../x", "env:A B", "write", ""])
def test_a_word_that_is_no_permission(word: str) -> None:
    """It is named, with those that there are."""
    with pytest.raises(ArgumentError) as caught:
        consent(True, [word])
    assert repr(word) in caught.value.what


ONLY = {
    "the repo": (PIN, (f"{HUB}/u/r",), True),
    "its owner": (PIN, (f"{HUB}/x/*", f"{HUB}/u/*"), True),
    "the hub": (PIN, (f"{HUB}/*",), True),
    "another owner": (PIN, (f"{HUB}/x/*",), False),
    "a name that begins alike": (PIN, (f"{HUB}/u", f"{HUB}/u/r2"), False),
    "a folder": (FOLDER, ("file:///srv/*",), True),
    "another folder": (FOLDER, ("file:///srv/r2",), False),
}


@pytest.mark.parametrize(("pin", "only", "runs"), ONLY.values(), ids=ONLY)
def test_only(pin: Pin, only: tuple[str, ...], runs: bool) -> None:
    """What `only` does not have cannot be consented to, not even by a grant."""
    policy = Policy(rules=Rules(only=only), grants=(grant_for(pin),))
    found = decide(pin, policy, YES)
    assert isinstance(found, Allowed) is runs
    if isinstance(found, Refused):
        assert only[0] in found.reason
