"""May this pin run? The user's consent, per call or in the policy file `trust.toml`.

```toml
version = 1
owners = ["https://huggingface.co/lerobot"]   # every repo of theirs, at every commit

[rules]
boolean = true            # false: trust_remote_code=True is not enough, a grant is needed
full_commit_only = false  # true: refs must name a full commit
moved = "warn"            # "refuse": a ref that moved since it last ran needs a new grant

[[grants]]
hub = "https://huggingface.co"
repo = "lerobot/cartpole-env"
commit = "5ad6c2b3f5b7c9e1d1f0a8b7c6d5e4f3a2b1c0d9"
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
import tomli_w
from filelock import FileLock

from envhub import disk
from envhub.errors import ArgumentTypeError, PolicyError, UntrustedError
from envhub.pins import Pin

ANY_CONTENT: Final = "any"
"""The commit of a grant for a folder: its files may change, and stay granted."""


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consent to run one repo at one commit.

    Attributes:
        hub: address of the hub, git URL, or `file://` and a folder.
        repo: `owner/name`, or the last part of the URL or folder.
        commit: the full commit; `"any"` for a folder.
    """

    hub: str
    repo: str
    commit: str


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What consent must look like, see the module's docstring."""

    boolean: bool = True
    full_commit_only: bool = False
    moved: Literal["warn", "refuse"] = "warn"


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of `trust.toml`."""

    version: Literal[1] = 1
    owners: tuple[str, ...] = ()
    rules: Rules = Rules()
    grants: tuple[Grant, ...] = ()

    @staticmethod
    def read(path: Path) -> Policy:
        """Read a policy file; a missing one is an empty policy.

        Raises:
            PolicyError: the file is not TOML, or says something unknown; the message has the path
                of the key.
        """
        try:
            return msgspec.toml.decode(path.read_bytes(), type=Policy)
        except FileNotFoundError:
            return Policy()
        except msgspec.DecodeError as error:
            raise PolicyError(
                f"{path} is not a policy that envhub understands",
                why=str(error),
                hint="docs/trust.md shows every key; nothing was run",
            ) from error

    def write(self, path: Path) -> None:
        """Write the policy file as a whole, aside and then in place."""
        disk.write(path, tomli_w.dumps(msgspec.to_builtins(self)).encode())

    def with_grant(self, grant: Grant) -> Policy:
        """This policy and one grant more, sorted, so that the file's diffs stay small."""
        order = sorted({*self.grants, grant}, key=lambda each: (each.hub, each.repo, each.commit))
        return msgspec.structs.replace(self, grants=tuple(order))

    def without(self, hub: str, repo: str, commit: str | None = None) -> Policy:
        """This policy without the grants of a repo, or without that of one commit."""
        gone = {
            grant
            for grant in self.grants
            if (grant.hub, grant.repo) == (hub, repo) and commit in {None, grant.commit}
        }
        return msgspec.structs.replace(
            self, grants=tuple(grant for grant in self.grants if grant not in gone)
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a pin may not run, and the line that would change that."""

    reason: str
    hint: str


_SEAL = object()


@dataclass(frozen=True, slots=True)
class Allowed:
    """Proof that somebody consented to run this pin; only `decide` makes one.

    Attributes:
        pin: what may run.
        by: who said so: `grant`, `owner` or `argument`.
    """

    pin: Pin
    by: str
    seal: object = None

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only envhub.trust.decide makes an Allowed")


def check_boolean(trust_remote_code: object) -> bool:
    """`trust_remote_code` if it is a real `bool`.

    Raises:
        ArgumentTypeError: it is anything else, like the string `"False"`, which is true.
    """
    if isinstance(trust_remote_code, bool):
        return trust_remote_code
    raise ArgumentTypeError(
        f"trust_remote_code must be True or False, got {trust_remote_code!r}",
        why=f"a {type(trust_remote_code).__name__} is not consent",
        hint="trust_remote_code=True",
    )


def decide(
    pin: Pin, policy: Policy, *, trust_remote_code: bool, moved: bool = False
) -> Allowed | Refused:
    """Whether `pin` may run, asked before anything of it is downloaded, installed or run.

    Args:
        pin: what would run.
        policy: the user's policy file.
        trust_remote_code: the consent given with this call.
        moved: whether the ref last ran at another commit.
    """
    rules = policy.rules
    if rules.full_commit_only and not (pin.ref.is_pinned or pin.dirty):
        return Refused(
            f"your policy wants refs with a full commit, and {str(pin.ref)!r} can move",
            _call(pin),
        )
    if grant_for(pin) in policy.grants:
        return Allowed(pin, "grant", _SEAL)
    if moved and rules.moved == "refuse":
        return Refused(
            "the ref moved since it last ran, and your policy wants a new grant", _add(pin)
        )
    if f"{pin.hub}/{pin.repo.partition('/')[0]}" in policy.owners:
        return Allowed(pin, "owner", _SEAL)
    if trust_remote_code and rules.boolean:
        return Allowed(pin, "argument", _SEAL)
    if trust_remote_code:
        return Refused("your policy does not take trust_remote_code=True for consent", _add(pin))
    return Refused(
        "it runs code that somebody else wrote, with your rights, and nobody consented to that; "
        "nothing of it was downloaded, installed or run",
        f"read it, then: {_call(pin)}  (or, to remember it: {_add(pin)})",
    )


def require(verdict: Allowed | Refused, pin: Pin) -> Allowed:
    """The proof, or the refusal as an error.

    Raises:
        UntrustedError: nobody consented.
    """
    if isinstance(verdict, Allowed):
        return verdict
    raise UntrustedError(
        f"Refusing to execute remote code from {pin.pinned_ref!r} ({pin.hub})",
        why=verdict.reason,
        hint=verdict.hint,
    )


def grant_for(pin: Pin) -> Grant:
    """The grant that would allow exactly this pin."""
    return Grant(pin.hub, pin.repo, pin.commit or ANY_CONTENT)


def _call(pin: Pin) -> str:
    return f'envhub.make_env("{pin.pinned_ref}", trust_remote_code=True)'


def _add(pin: Pin) -> str:
    return f"envhub trust add {pin.pinned_ref}"


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
