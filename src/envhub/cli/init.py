"""`envhub init`: a new env repo that loads at once."""

from __future__ import annotations

from pathlib import Path

import click

from envhub.cli.look import Facts
from envhub.cli.options import client, examples, output_options
from envhub.cli.output import Output
from envhub.scaffold import init as scaffold


@click.command(
    epilog=examples(
        "envhub init pick",
        "envhub init hopper --from gymnasium:Hopper-v5",
        "envhub init maze --from 'pypi:minigrid==3.0.0#MiniGrid-MultiRoom-N2-S4-v0'",
    )
)
@click.argument("name", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="Around gymnasium:ID, or around pypi:PACKAGE[==VERSION][#ID].",
)
@output_options
@click.pass_obj
def init(out: Output, /, name: Path, *, source: str | None) -> None:
    """Make a folder with an env repo that loads at once.

    It has an env, a manifest, a card and a test. NAME is the folder's, and may be a path.
    """
    files = scaffold(name, source, client=client(out))
    where = name if name.is_absolute() or str(name).startswith((".", "~")) else f"./{name}"
    following = [
        f"envhub run {where} --trust-remote-code",
        f"pytest {where}",
        f"envhub push {where} --to <you>/{files[0].parent.name}",
    ]
    out.emit(
        {"folder": str(files[0].parent), "files": [file.name for file in files], "next": following},
        Facts("", [("folder", where), ("files", ", ".join(file.name for file in files))]),
        "Next:",
        *(f"  {line}" for line in following),
        brief=[files[0].parent],
    )
