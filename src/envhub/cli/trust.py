"""`envhub trust`: which repos may run, in the policy file."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from envhub.cli.look import Facts, Table
from envhub.cli.options import client, examples, output_options, ref_argument
from envhub.cli.output import Output
from envhub.client import Client
from envhub.errors import NotFoundError
from envhub.refs import parse
from envhub.trust import Grant, grant_for


@click.group(
    epilog=examples(
        "envhub trust add ./examples/cartpole",
        "envhub trust list",
        "envhub trust remove ./examples/cartpole",
    )
)
def trust() -> None:
    """Allow repos to run, one commit at a time."""


@trust.command(
    epilog=examples("envhub trust add ./examples/cartpole", "envhub trust add you/env@v1.0")
)
@ref_argument
@output_options
@click.pass_obj
def add(out: Output, /, ref: str) -> None:
    """Allow a repo to run at the commit that REF means now; read it first."""
    user = client(out)
    grant = grant_for(user.resolve(ref))
    user.policy.with_grant(grant).write(user.policy_path)
    out.emit(
        {"policy": str(user.policy_path), "added": _data(grant)},
        Facts(
            "may run from now on",
            [
                ("repo", grant.repo),
                ("hub", grant.hub),
                ("commit", grant.commit),
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
    """Show what may run, and under which rules."""
    user = client(out)
    policy = user.policy
    rows = [(grant.repo, grant.commit, grant.hub) for grant in policy.grants]
    rules = [(name, str(value).lower()) for name, value in _data(policy.rules).items()]
    parts = [Table(("repo", "commit", "hub"), rows)] if rows else ["no repo may run unasked"]
    out.emit(
        {"policy": str(user.policy_path), **_data(policy)},
        *parts,
        Facts("", [*(("owner", owner) for owner in policy.owners), *rules]),
        Facts("", [("file", user.policy_path)]),
        brief=[f"{grant.repo}@{grant.commit}" for grant in policy.grants],
    )


@trust.command(epilog=examples("envhub trust remove ./examples/cartpole"))
@ref_argument
@output_options
@click.pass_obj
def remove(out: Output, /, ref: str) -> None:
    """Take back what was allowed: for one commit if REF has it, else for the repo."""
    user = client(out)
    policy = user.policy
    gone = [grant for grant in policy.grants if _means(user, ref, grant)]
    if not gone:
        raise NotFoundError(
            f"nothing of {ref!r} is allowed by {user.policy_path}", hint="envhub trust list"
        )
    for grant in gone:
        policy = policy.without(grant.hub, grant.repo, grant.commit)
    policy.write(user.policy_path)
    out.emit(
        {"policy": str(user.policy_path), "removed": [_data(grant) for grant in gone]},
        *(f"no longer allowed: {grant.repo} at {grant.commit}" for grant in gone),
        brief=[f"{grant.repo}@{grant.commit}" for grant in gone],
    )


def _means(user: Client, text: str, grant: Grant) -> bool:
    """Whether a ref names the repo of a grant, and its commit if it names one."""
    ref = parse(text)
    if user.hub(ref).address != grant.hub or (ref.kind == "hub" and ref.location != grant.repo):
        return False
    return not ref.is_pinned or ref.revision == grant.commit


def _data(value: msgspec.Struct) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(value)
    return data
