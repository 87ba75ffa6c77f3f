"""Which repos may run, and what consent must look like: the policy file `trust.toml`.

```toml
version = 1

[rules]
boolean = true            # false: trust_remote_code=True is not enough, a grant is needed
full_commit_only = false  # true: refs must name a full commit
moved = "warn"            # "refuse": a ref that moved since it last ran needs a new grant
only = []                 # nothing but these may run, as "https://huggingface.co/lerobot/*"
deny = []                 # permissions that nothing gets, as "network"

[[grants]]
hub = "https://huggingface.co"
repo = "lerobot/cartpole-env"
commit = "5ad6c2b3f5b7c9e1d1f0a8b7c6d5e4f3a2b1c0d9"
allow = ["network"]       # permissions beyond its own files
```

There may be two of them: the user's own, and one of the whole machine, which adds grants of its own
and whose rules nobody can loosen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import tomli_w
from filelock import FileLock

from envhub import disk
from envhub.errors import PolicyError
from envhub.permissions import Permissions
from envhub.pins import Pin

FILE: Final = "trust.toml"
ANY: Final = "any"
"""The commit of a grant that holds at every commit: that of a folder, whose files may change."""


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Consent to run one repo at one commit.

    Attributes:
        hub: address of the hub, git URL, or `file://` and a folder.
        repo: `owner/name`, or the last part of the URL or folder; `owner/*` is all of an owner's.
        commit: the full commit, or `"any"`.
        allow: the permissions that it gets, in words; see `Permissions.words`.
        deny: permissions that it does not get, whoever allows them.
    """

    hub: str
    repo: str
    commit: str
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Permissions.of((*self.allow, *self.deny))

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is for."""
        return (self.hub, self.repo, self.commit)

    def is_exactly(self, pin: Pin) -> bool:
        """Whether it is for this pin alone."""
        return self.key == (pin.hub, pin.repo, pin.commit or ANY)

    def covers(self, pin: Pin) -> bool:
        """Whether it is for this pin."""
        is_repo = self.hub == pin.hub and _is_within(pin.repo, self.repo)
        return is_repo and self.commit in {pin.commit, ANY}


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What consent must look like.

    Attributes:
        boolean: whether `trust_remote_code=True` is consent.
        full_commit_only: whether a ref must name a full commit.
        moved: what becomes of a ref that moved since it last ran.
        users: whether grants in the user's own file count; only the machine's can say no.
        only: the repos that may run, `hub/owner/name` or `hub/owner/*`; empty is all of them.
        deny: permissions that nothing gets, in words.
    """

    boolean: bool = True
    full_commit_only: bool = False
    moved: Literal["warn", "refuse"] = "warn"
    users: bool = True
    only: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Permissions.of(self.deny)

    def may_run(self, pin: Pin) -> bool:
        """Whether `only` has the repo of this pin."""
        place = f"{pin.hub}/{pin.repo}" if "/" in pin.repo else pin.hub
        return not self.only or any(_is_within(place, pattern) for pattern in self.only)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of `trust.toml`.

    Attributes:
        version: of the file's format.
        rules: what consent must look like.
        grants: what may run.
    """

    version: Literal[1] = 1
    rules: Rules = Rules()
    grants: tuple[Grant, ...] = ()

    @staticmethod
    def read(path: Path) -> Policy:
        """Read a policy file; a missing one is an empty policy.

        Raises:
            PolicyError: the file cannot be read, is not TOML, or says something unknown; the
                message has the path of the key.
        """
        try:
            return msgspec.toml.decode(path.read_bytes(), type=Policy)
        except (FileNotFoundError, NotADirectoryError):
            return Policy()
        except (msgspec.DecodeError, OSError) as error:
            raise PolicyError(
                f"{path} is not a policy that envhub understands",
                why=str(error),
                hint="docs/trust.md shows every key; nothing was run",
            ) from error

    def write(self, path: Path) -> None:
        """Write the policy file as a whole, aside and then in place."""
        disk.write(path, tomli_w.dumps(msgspec.to_builtins(self)).encode())

    def grants_for(self, pin: Pin) -> tuple[Grant, ...]:
        """The grants that are for this pin."""
        return tuple(grant for grant in self.grants if grant.covers(pin))

    def with_grant(self, grant: Grant) -> Policy:
        """This policy and one grant more, sorted, so that the file's diffs stay small.

        If there is one for the same commit, what this one allows and denies is added to it.
        """
        old = next((each for each in self.grants if each.key == grant.key), grant)
        allow = {*old.allow, *grant.allow}.difference(grant.deny)
        deny = {*old.deny, *grant.deny}.difference(grant.allow)
        new = Grant(*grant.key, allow=tuple(sorted(allow)), deny=tuple(sorted(deny)))
        others = (each for each in self.grants if each.key != grant.key)
        order = sorted((*others, new), key=lambda each: each.key)
        return msgspec.structs.replace(self, grants=tuple(order))

    def without(self, *gone: Grant) -> Policy:
        """This policy without some of its grants."""
        kept = tuple(grant for grant in self.grants if grant not in gone)
        return msgspec.structs.replace(self, grants=kept)

    def under(self, machine: Policy) -> Policy:
        """What holds where `machine` is the policy of the whole machine: of each rule the stricter.

        Args:
            machine: the policy that this one cannot loosen.
        """
        return Policy(
            rules=_stricter(self.rules, machine.rules),
            grants=(*machine.grants, *(self.grants if machine.rules.users else ())),
        )


def _stricter(ours: Rules, theirs: Rules) -> Rules:
    return Rules(
        boolean=ours.boolean and theirs.boolean,
        full_commit_only=ours.full_commit_only or theirs.full_commit_only,
        moved="refuse" if "refuse" in {ours.moved, theirs.moved} else "warn",
        users=theirs.users,
        only=_both(ours.only, theirs.only),
        deny=tuple(sorted({*ours.deny, *theirs.deny})),
    )


def _both(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    """The patterns for what both have; an empty one has everything."""
    if not (ours and theirs):
        return ours or theirs
    narrow = {one for one in ours if any(_is_within(one, each) for each in theirs)}
    narrow |= {one for one in theirs if any(_is_within(one, each) for each in ours)}
    return tuple(sorted(narrow)) or (NOTHING,)


NOTHING: Final = "nothing"
"""A pattern that no repo has."""


def _is_within(place: str, pattern: str) -> bool:
    """Whether a repo, or a narrower pattern, is covered by a pattern."""
    return place == pattern or (pattern.endswith("/*") and place.startswith(pattern[:-1]))


def edit(path: Path, change: Callable[[Policy], Policy]) -> Policy:
    """Read the policy file, change it and write it back, one process at a time.

    Args:
        path: the policy file.
        change: from the policy that the file holds to the one that it shall hold.
    """
    with disk.guarded(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            policy = change(Policy.read(path))
            policy.write(path)
    return policy
