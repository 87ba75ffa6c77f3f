"""`envhub trust`: which repos may run, with which permissions, and what did run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
import msgspec

from envhub.cli.look import Facts, Table
from envhub.cli.options import client, examples, output_options, ref_argument
from envhub.cli.output import Output
from envhub.client import Client
from envhub.errors import NotFoundError
from envhub.inspection.glance import glance
from envhub.refs import parse
from envhub.trust import consent
from envhub.trustfile import FILE, Grant, Policy, edit

_OWNER = re.compile(r"\w[\w.-]*")


def _words(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, ...]:
    words = tuple(filter(None, text.split(",")))
    consent(False, words)
    return words


def _permission_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, what in (("--deny", "Permissions it never gets"), ("--allow", "Permissions it gets")):
        option = click.option(
            name, default="", metavar="WORDS", callback=_words, help=f"{what}: network,gpu,…"
        )
        function = option(function)
    return function


@click.group(
    epilog=examples(
        "envhub trust add ./examples/cartpole",
        "envhub trust add you/env@v1.0 --allow network,gpu",
        "envhub trust list",
        "envhub trust remove ./examples/cartpole",
        "envhub trust log",
    )
)
def trust() -> None:
    """Allow repos to run, one commit at a time."""


@trust.command(
    epilog=examples(
        "envhub trust add ./examples/cartpole",
        "envhub trust add you/env@v1.0 --allow network,env:WANDB_MODE",
        "envhub trust add you/env@v1.0 --deny network",
    )
)
@ref_argument
@_permission_options
@output_options
@click.pass_obj
def add(out: Output, /, ref: str, *, allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    """Allow a repo to run at the commit that REF means now; read it first.

    Words for permissions: network, gpu, display, write:<folder of the repo>, env:<VARIABLE>.
    """
    user = client(out)
    pin = user.grant(ref, allow=allow, deny=deny)
    [grant] = [each for each in Policy.read(user.policy_path).grants if each.is_exactly(pin)]
    _emit_grant(out, user, grant, ref, glance(pin, user.hub(pin.ref), user.store))


@trust.command(
    epilog=examples("envhub trust owner lerobot", "envhub trust owner you --allow network")
)
@click.argument("name", metavar="NAME")
@_permission_options
@output_options
@click.pass_obj
def owner(out: Output, /, name: str, *, allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    """Allow every repo of an owner of the default hub to run, at every commit."""
    user = client(out)
    ref = parse(f"{name}/any")
    grant = Grant(user.hub(ref).address, f"{name}/*", "any", allow, deny)
    edit(user.policy_path, lambda policy: policy.with_grant(grant))
    _emit_grant(out, user, grant, name)


def _emit_grant(out: Output, user: Client, grant: Grant, ref: str, about: str = "") -> None:
    machine = Policy.read(user.settings.machine / FILE).rules
    out.emit(
        {"policy": str(user.policy_path), "added": _data(grant)},
        Facts(
            "may run from now on" if machine.users else "noted, but this machine takes no grants",
            [
                ("repo", grant.repo),
                ("hub", grant.hub),
                ("commit", grant.commit),
                ("about it", about),
                ("may use", ", ".join(grant.allow) or "nothing beyond its own files"),
                ("never", ", ".join(sorted({*grant.deny, *machine.deny}))),
                ("written to", user.policy_path),
                ("take it back", f"envhub trust remove {ref}"),
            ],
        ),
        brief=[grant.commit],
    )


@trust.command("list", epilog=examples("envhub trust list", "envhub trust list --json"))
@output_options
@click.pass_obj
def list_(out: Output, /) -> None:
    """Show what may run, with what, and under which rules."""
    user = client(out)
    policy = user.policy
    machine = user.settings.machine / FILE
    rows = [
        (grant.repo, grant.commit, ", ".join(grant.allow), ", ".join(grant.deny), grant.hub)
        for grant in policy.grants
    ]
    rules = [(name, _text(value)) for name, value in _data(policy.rules).items()]
    table = Table(("repo", "commit", "may use", "never", "hub"), rows)
    out.emit(
        {"policy": str(user.policy_path), "machine": str(machine), **_data(policy)},
        table if rows else "no repo may run unasked",
        Facts("", rules),
        Facts("", [("file", user.policy_path), ("this machine", machine.is_file() and machine)]),
        brief=[f"{grant.repo}@{grant.commit}" for grant in policy.grants],
    )


@trust.command(epilog=examples("envhub trust remove ./examples/cartpole"))
@ref_argument
@output_options
@click.pass_obj
def remove(out: Output, /, ref: str) -> None:
    """Take back what was allowed: for one commit if REF has it, else for the repo or owner."""
    user = client(out)
    gone = [grant for grant in Policy.read(user.policy_path).grants if _means(user, ref, grant)]
    if not gone:
        raise NotFoundError(
            f"nothing of {ref!r} is allowed by {user.policy_path}", hint="envhub trust list"
        )
    edit(user.policy_path, lambda policy: policy.without(*gone))
    out.emit(
        {"policy": str(user.policy_path), "removed": [_data(grant) for grant in gone]},
        *(f"no longer allowed: {grant.repo} at {grant.commit}" for grant in gone),
        brief=[f"{grant.repo}@{grant.commit}" for grant in gone],
    )


@trust.command(epilog=examples("envhub trust log", "envhub trust log -n 100 --json"))
@click.option("-n", "count", type=int, default=20, show_default=True, help="How many.")
@output_options
@click.pass_obj
def log(out: Output, /, *, count: int) -> None:
    """Show what ran last, at which commit, how isolated and with which permissions."""
    found = client(out).logbook.last(count)
    rows = [
        (
            f"{each.time:%Y-%m-%d %H:%M:%S}",
            each.repo,
            each.commit[:12] if each.commit else "a folder",
            each.level or "failed",
            each.sandbox,
            each.by,
            ", ".join(each.permissions),
        )
        for each in found
    ]
    table = Table(("time (UTC)", "repo", "commit", "level", "sandbox", "by", "might use"), rows)
    out.emit(
        [_data(each) for each in found],
        table if rows else "nothing ran yet",
        brief=[f"{each.repo}@{each.commit or each.digest}" for each in found],
    )


def _means(user: Client, text: str, grant: Grant) -> bool:
    """Whether a ref names the repo of a grant, and its commit if it names one."""
    is_owner = _OWNER.fullmatch(text)
    ref = parse(f"{text}/any" if is_owner else text)
    repo = f"{text}/*" if is_owner else ref.location
    if user.hub(ref).address != grant.hub or (ref.kind == "hub" and repo != grant.repo):
        return False
    return not ref.is_pinned or ref.revision == grant.commit


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value).lower()


def _data(value: msgspec.Struct) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(value)
    return data
