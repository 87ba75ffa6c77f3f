"""May this pin run, and with which permissions? The user's consent, per call or in the policy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from envhub.errors import ArgumentError, ArgumentTypeError, UntrustedError
from envhub.permissions import NONE, Permissions
from envhub.pins import Pin
from envhub.trustfile import ANY, Grant, Policy, Rules

_SEAL = object()


@dataclass(frozen=True, slots=True)
class Consent:
    """What the user says with one call.

    Attributes:
        boolean: `trust_remote_code`.
        permissions: exactly what the repo gets beyond its own files, in words; what it asks for
            besides, it does without. `None` leaves that to the policy.
    """

    boolean: bool = False
    permissions: tuple[str, ...] | None = None


SILENCE: Final = Consent()
"""What a call says that says nothing."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a pin may not run, and the line that would change that."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Proof that somebody consented to run this pin; only `decide` makes one.

    Attributes:
        pin: what may run.
        by: who said so: `grant` or `argument`.
        permissions: what it may do beyond computing, and nothing else.
    """

    pin: Pin
    by: str
    permissions: Permissions = NONE
    seal: object = None

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only envhub.trust.decide makes an Allowed")


def consent(trust_remote_code: object, permissions: object = None) -> Consent:
    """The consent of a call, if its arguments can be meant.

    Args:
        trust_remote_code: a real `bool`.
        permissions: words, or `None`.

    Raises:
        ArgumentTypeError: one is anything else, like the string `"False"`, which is true.
        ArgumentError: a word names no permission.
    """
    if not isinstance(trust_remote_code, bool):
        raise ArgumentTypeError(
            f"trust_remote_code must be True or False, got {trust_remote_code!r}",
            why=f"a {type(trust_remote_code).__name__} is not consent",
            hint="trust_remote_code=True",
        )
    if permissions is None:
        return Consent(trust_remote_code)
    listed = permissions if isinstance(permissions, Collection) else ()
    if listed is not permissions or isinstance(listed, str) or not all(map(_is_text, listed)):
        raise ArgumentTypeError(
            f"permissions must be a list of words, got {permissions!r}",
            hint='permissions=["network"]',
        )
    try:
        return Consent(trust_remote_code, Permissions.of(listed).words)
    except ValueError as error:
        hint = 'permissions=["network"]'
        raise ArgumentError(f"permissions={permissions!r}: {error}", hint=hint) from error


def _is_text(word: object) -> bool:
    return isinstance(word, str)


def decide(
    pin: Pin,
    policy: Policy,
    said: Consent = SILENCE,
    *,
    moved: bool = False,
    asked: Permissions = NONE,
) -> Allowed | Refused:
    """Whether `pin` may run, and what it may do then.

    Asked before anything of it is downloaded, installed or run, and once more when its files are
    there and say which permissions it asks for.

    Args:
        pin: what would run.
        policy: what is in force.
        said: the consent given with this call.
        moved: whether the ref last ran at another commit.
        asked: the permissions that the repo asks for, as far as they are known.
    """
    if refused := _out_of_question(pin, policy.rules):
        return refused
    grants = policy.grants_for(pin)
    exact = pin.dirty or any(grant.commit == pin.commit for grant in grants)
    if moved and policy.rules.moved == "refuse" and not (grants and exact):
        return Refused(
            "the ref moved since it last ran, and your policy wants a new grant", _add(pin)
        )
    if not grants and not (said.boolean and policy.rules.boolean):
        return _unwanted(pin, said)
    by = "grant" if grants else "argument"
    denied = {word for grant in grants for word in grant.deny}.union(policy.rules.deny)
    granted = {word for grant in grants for word in grant.allow}
    return _permitted(Allowed(pin, by, seal=_SEAL), policy.rules, said, (granted, denied), asked)


def _out_of_question(pin: Pin, rules: Rules) -> Refused | None:
    """Why no consent would help, or `None`."""
    if not rules.may_run(pin):
        return Refused(
            f"the policy of this machine or yours lets only {', '.join(rules.only)} run",
            "envhub trust list   # shows which file says so",
        )
    if rules.full_commit_only and not (pin.ref.is_pinned or pin.dirty):
        return Refused(
            f"your policy wants refs with a full commit, and {str(pin.ref)!r} can move",
            call(pin),
        )
    return None


def _unwanted(pin: Pin, said: Consent) -> Refused:
    if said.boolean:
        return Refused("your policy does not take trust_remote_code=True for consent", _add(pin))
    return Refused(
        "it runs code that somebody else wrote, and nobody consented to that; "
        "nothing of it was downloaded, installed or run",
        f"envhub inspect {pin.pinned_ref}   # read it, then\n"
        f"{call(pin, said.permissions)}  (or, to remember it: {_add(pin, said.permissions)})",
    )


def _permitted(
    allowed: Allowed,
    rules: Rules,
    said: Consent,
    policy: tuple[set[str], set[str]],
    asked: Permissions,
) -> Allowed | Refused:
    """What may run, with its permissions; or why one of them cannot be had."""
    granted, denied = policy
    pin = allowed.pin
    wanted = set(asked.words) - denied if said.permissions is None else set(said.permissions)
    if named := sorted(wanted & denied):
        return Refused(f"your policy denies {_listed(named)}", "envhub trust list")
    missing = sorted(wanted - granted)
    if missing and (said.permissions is None or not rules.boolean):
        return Refused(
            f"it asks for {_listed(missing)}, and nobody granted that; nothing of it was run",
            f"{call(pin, asked.words)}  (or, to remember it: {_add(pin, missing)})\n"
            f"{call(pin, sorted(granted - denied))}   # without it",
        )
    final = granted - denied if said.permissions is None else wanted
    return Allowed(pin, allowed.by, Permissions.of(final), _SEAL)


def require(verdict: Allowed | Refused, pin: Pin, seen: str = "") -> Allowed:
    """The proof, or the refusal as an error.

    Args:
        verdict: what `decide` said.
        pin: what would run.
        seen: what is known of it without running it.

    Raises:
        UntrustedError: nobody consented.
    """
    if isinstance(verdict, Allowed):
        return verdict
    raise UntrustedError(
        f"Refusing to execute remote code from {pin.pinned_ref!r} ({pin.hub})",
        why="\n".join(filter(None, (verdict.reason, seen))),
        hint=verdict.hint,
    )


def grant_for(pin: Pin, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> Grant:
    """The grant that would allow exactly this pin."""
    return Grant(pin.hub, pin.repo, pin.commit or ANY, tuple(allow), tuple(deny))


def call(pin: Pin, permissions: Sequence[str] | None = None) -> str:
    """The line of Python that consents to run exactly this pin."""
    words = ", ".join(f'"{word}"' for word in permissions or ())
    more = f", permissions=[{words}]" if permissions is not None else ""
    return f'envhub.make_env("{pin.pinned_ref}", trust_remote_code=True{more})'


def _add(pin: Pin, permissions: Sequence[str] | None = None) -> str:
    return f"envhub trust add {pin.pinned_ref}" + (
        f" --allow {','.join(permissions)}" if permissions else ""
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
