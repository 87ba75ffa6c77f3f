"""The policy file: what it may say, and what becomes of two of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub.errors import PolicyError
from envhub.pins import Pin
from envhub.refs import parse
from envhub.trustfile import ANY, NOTHING, Grant, Policy, Rules, edit

COMMIT = "a" * 40
HUB = "https://huggingface.co"
Patterns = tuple[str, ...]


def test_the_file_keeps_what_it_was_given(tmp_path: Path) -> None:
    """Writing and reading a policy gives the same policy, with its grants in order."""
    path = tmp_path / "deep" / "trust.toml"
    policy = Policy(rules=Rules(moved="refuse", only=(f"{HUB}/*",), deny=("gpu",)))
    policy = policy.with_grant(Grant(HUB, "z/z", COMMIT, ("network",)))
    policy = policy.with_grant(Grant(HUB, "a/a", COMMIT, deny=("env:TOKEN",)))
    policy.write(path)
    assert Policy.read(path) == policy
    assert [grant.repo for grant in policy.grants] == ["a/a", "z/z"]
    assert [file.name for file in path.parent.iterdir()] == ["trust.toml"]


def test_no_file_is_an_empty_policy(tmp_path: Path) -> None:
    """Nobody has to write a policy file."""
    assert Policy.read(tmp_path / "trust.toml") == Policy()
    (tmp_path / "file").touch()
    assert Policy.read(tmp_path / "file" / "trust.toml") == Policy()


def test_a_file_that_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    """Something else in its place is an error, not an empty policy."""
    with pytest.raises(PolicyError, match="is not a policy"):
        Policy.read(tmp_path)


def test_a_grant_is_added_to_one_for_the_same_commit() -> None:
    """What is allowed is no longer denied, and the other way round; the rest stays."""
    policy = Policy().with_grant(Grant(HUB, "u/r", COMMIT, ("gpu", "network")))
    policy = policy.with_grant(Grant(HUB, "u/r", COMMIT, ("display",), ("network",)))
    assert policy.grants == (Grant(HUB, "u/r", COMMIT, ("display", "gpu"), ("network",)),)
    policy = policy.with_grant(Grant(HUB, "u/r", COMMIT, ("network",)))
    assert policy.grants == (Grant(HUB, "u/r", COMMIT, ("display", "gpu", "network")),)
    assert policy.with_grant(Grant(HUB, "u/r", COMMIT)) == policy
    assert policy.without(*policy.grants) == Policy()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version = 2", r"\$\.version"),
        ("version = 1\nownrs = []", "ownrs"),
        ("[rules]\nbolean = true", "bolean"),
        ('[rules]\nmoved = "ask"', r"\$\.rules\.moved"),
        ('[rules]\ndeny = ["netwrok"]', "'netwrok'.*network.*"),
        ('[[grants]]\nrepo = "u/r"', "hub"),
        ('[[grants]]\nhub = "h"\nrepo = "r"\ncommit = "any"\nallow = ["all"]', r"grants\[0\]"),
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


def test_edit(tmp_path: Path) -> None:
    """A change is made to what the file holds, not to what somebody read before."""
    path = tmp_path / "trust.toml"
    for name in ("a/a", "b/b"):
        edit(path, lambda policy, name=name: policy.with_grant(Grant(HUB, name, COMMIT)))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    assert [grant.repo for grant in Policy.read(path).grants] == ["a/a", "b/b"]


BOTH = {
    "one says nothing": ((), (f"{HUB}/u/*",), (f"{HUB}/u/*",)),
    "one is narrower": ((f"{HUB}/u/r", f"{HUB}/x/y"), (f"{HUB}/u/*",), (f"{HUB}/u/r",)),
    "they are alike": ((f"{HUB}/u/*",), (f"{HUB}/u/*",), (f"{HUB}/u/*",)),
    "they have nothing in common": ((f"{HUB}/x/*",), (f"{HUB}/u/*",), (NOTHING,)),
}


@pytest.mark.parametrize(("ours", "machines", "both"), BOTH.values(), ids=BOTH)
def test_only_of_both(ours: Patterns, machines: Patterns, both: Patterns) -> None:
    """What may run is what the user and the machine let run."""
    for one, other in ((ours, machines), (machines, ours)):
        merged = Policy(rules=Rules(only=one)).under(Policy(rules=Rules(only=other)))
        assert merged.rules.only == both


def test_grants_of_both() -> None:
    """The machine's grants count beside the user's, or alone if it says so."""
    user = Policy(grants=(Grant(HUB, "u/r", COMMIT),))
    machine = Policy(grants=(Grant(HUB, "lab/*", ANY),))
    assert user.under(machine).grants == machine.grants + user.grants
    alone = Policy(grants=machine.grants, rules=Rules(users=False))
    assert user.under(alone).grants == machine.grants
    assert Policy(rules=Rules(users=False)).under(Policy()).rules.users is True


words = st.sampled_from(["network", "gpu", "display", "write:logs", "env:HOME"])
rules = st.builds(
    Rules,
    boolean=st.booleans(),
    full_commit_only=st.booleans(),
    moved=st.sampled_from(["warn", "refuse"]),
    users=st.booleans(),
    only=st.lists(st.sampled_from([f"{HUB}/*", f"{HUB}/u/*", f"{HUB}/u/r", "x"])).map(tuple),
    deny=st.lists(words).map(tuple),
)


@given(rules, rules)
def test_nobody_loosens_the_machines_rules(ours: Rules, machines: Rules) -> None:
    """Whatever the user's file says, each rule is at least as strict as the machine's."""
    merged = Policy(rules=ours).under(Policy(rules=machines)).rules
    assert merged.boolean <= machines.boolean
    assert merged.full_commit_only >= machines.full_commit_only
    assert (merged.moved == "refuse") >= (machines.moved == "refuse")
    assert merged.users is machines.users
    assert {*merged.deny} >= {*machines.deny}
    for repo in ("u/r", "u/s", "x/y"):
        pin = Pin(parse(repo), HUB, repo, "model", COMMIT, "env.py", "sha256:0")
        both = ours.may_run(pin) and machines.may_run(pin)
        assert merged.may_run(pin) == both
