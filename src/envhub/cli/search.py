"""`envhub search`: env repos that fit, on one hub or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from envhub.cli.look import Problem, Table
from envhub.cli.options import examples, output_options
from envhub.cli.output import Output
from envhub.search import Found, Query, find
from envhub.settings import Settings


@click.command(
    epilog=examples(
        "envhub search cartpole",
        "envhub search --action continuous --pixels --engine mujoco",
        "envhub search pick and place --tasks '>10' --python 3.11 --licence mit",
        "envhub search cartpole --hub https://envs.lab.org --hub hf --json",
    )
)
@click.argument("words", nargs=-1)
@click.option("--tag", "tags", multiple=True, help="Of the repo; may be repeated.")
@click.option(
    "--action", type=click.Choice(["discrete", "continuous"]), help="What its actions are."
)
@click.option("--pixels", is_flag=True, help="Its observations have pictures.")
@click.option("--tasks", default="", metavar="N", help="How many it has: 5, '>10', '<=3'.")
@click.option("--python", default="", metavar="VERSION", help="It runs under this one: 3.11.")
@click.option("--engine", default="", metavar="NAME", help="The simulator below it: mujoco.")
@click.option("--licence", "--license", default="", metavar="NAME", help="Of the repo: mit.")
@click.option(
    "--hub",
    "hubs",
    multiple=True,
    metavar="URL",
    help="Where to look, hf for Hugging Face; may be repeated.",
)
@click.option(
    "--limit",
    default=30,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Repos of each hub.",
)
@click.option("--all", "everything", is_flag=True, help="Also repos that are not tagged envhub.")
@output_options
@click.pass_obj
def search(
    out: Output, /, *, words: Sequence[str], hubs: Sequence[str], limit: int, **wanted: Any
) -> None:
    """Find env repos, on one hub or several at once.

    What an env is, the hub says if it knows; on others it is what `envhub push` wrote into the
    card. What nobody says does not fit.
    """
    wanted["action"] = wanted["action"] or ""
    query = Query(" ".join(words), **wanted)
    answers = find(query, hubs, settings=Settings.from_environ(), most=limit)
    down = [(answer.hub, answer.error) for answer in answers if answer.error]
    if len(down) == len(answers):
        raise down[0][1]
    found = [each for answer in answers for each in answer.found]
    out.emit(
        {
            "found": [found_data(each) for each in found],
            "failed": [{"hub": hub, **error.as_dict()} for hub, error in down],
        },
        *([found_table(found)] if found else []),
        brief=[each.ref for each in found],
    )
    for _, error in down:
        out.problem(Problem(**error.as_dict(), kind="warning"))
    out.note(f"look closer: envhub info {found[0].ref}" if found else "nothing fits")


def found_data(found: Found) -> dict[str, Any]:
    """A repo that was found, for `--json`."""
    fields = asdict(found)
    traits = fields.pop("traits")
    modified = found.modified.isoformat() if found.modified else None
    return {**fields, **traits, "modified": modified}


def found_table(found: Sequence[Found]) -> Table:
    """One row each; columns that are empty in all rows are left out."""
    columns = {
        "ref": [each.ref for each in found],
        "action": [", ".join(each.traits.actions) for each in found],
        "observation": [", ".join(each.traits.observations) for each in found],
        "tasks": [str(each.traits.n_tasks or "") for each in found],
        "Python": [each.traits.python for each in found],
        "engine": [", ".join(each.traits.engines) for each in found],
        "licence": [each.traits.licence for each in found],
        "": [_closed(each) for each in found],
        "downloads": [str(each.downloads) for each in found],
        "changed": [each.modified.date().isoformat() if each.modified else "" for each in found],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    rows = list(zip(*shown.values(), strict=True))
    return Table(tuple(shown), rows, right=("tasks", "downloads"))


def _closed(found: Found) -> str:
    return "private" if found.private else "gated" * found.gated
