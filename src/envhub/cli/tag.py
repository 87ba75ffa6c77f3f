"""`envhub tag` and `delete`: name commits of published repos, and remove repos."""

from __future__ import annotations

from pathlib import Path

import click

from envhub import upkeep
from envhub.cli.look import Facts, Table
from envhub.cli.options import asks, examples, output_options, ref_argument
from envhub.cli.output import Output
from envhub.cli.target import hub_option, on, token_option, writing
from envhub.shipping import load_line, target_of


@click.command(
    epilog=examples(
        "envhub tag you/pick",
        "envhub tag you/pick v1.1",
        "envhub tag you/pick@1969fbe v1.0",
        "envhub tag you/pick v1.1 --rm",
    )
)
@ref_argument
@click.argument("name", metavar="[NAME]", default="")
@click.option("--rm", "remove", is_flag=True, help="Remove the tag; the commit stays.")
@hub_option
@token_option
@output_options
@click.pass_obj
def tag(
    out: Output, /, ref: str, name: str, *, remove: bool, hub: str, token_file: Path | None
) -> None:
    """Name a commit of a published repo, or list the names.

    A tag is not moved: whoever loads it by that name would get something else.
    """
    user, place = writing(out, token_file), on(hub, ref)
    if not name:
        if remove:
            raise click.UsageError("which tag? envhub tag --rm REF NAME")
        found = upkeep.tags(place, client=user)
        rows = [(each, commit) for each, commit in found.items()]
        shown = Table(("tag", "commit"), rows) if rows else f"{ref} has no tags"
        out.emit(found, shown, brief=found)
    elif remove:
        upkeep.untag(place, name, client=user)
        out.emit({"removed": name}, f"{ref} has no tag {name} any more; its commit stays")
    else:
        pin = upkeep.tag(place, name, client=user)
        line = load_line(pin.ref.at(name))
        data = {"tag": name, "commit": pin.commit, "digest": pin.digest, "line": line}
        facts = Facts("", [("tag", name), ("commit", pin.commit)])
        out.emit(data, facts, f"Load it:\n  {line}", brief=[pin.ref.at(name)])


@click.command(
    epilog=examples("envhub delete you/pick", "envhub delete you/pick --yes you/pick --json")
)
@click.argument("repo", metavar="OWNER/NAME")
@click.option("--yes", metavar="OWNER/NAME", default="", help="The name once more; do not ask.")
@hub_option
@token_option
@output_options
@click.pass_obj
def delete(out: Output, /, repo: str, *, yes: str, hub: str, token_file: Path | None) -> None:
    """Remove a repo from its hub for good, whoever may have pinned it."""
    place = target_of(on(hub, repo))
    name = place.location
    if not yes:
        if not asks(out):
            raise click.UsageError(f"nobody can be asked here, so say --yes {name}")
        out.note(f"{place} would be gone for everybody: files, commits and tags.")
        yes = click.prompt("Type its name to remove it", err=True, default="", show_default=False)
    if yes not in {name, repo}:
        raise click.ClickException(f"{yes!r} is not {name}, so nothing was removed")
    upkeep.delete(place, client=writing(out, token_file))
    out.emit({"deleted": str(place)}, f"{place} is gone", brief=[place])
