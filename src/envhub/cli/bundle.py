"""`envhub bundle`: refs and all that they need in one file, for a machine without network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from envhub.bundling import bundle as write
from envhub.cli.look import Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import (
    client,
    examples,
    output_options,
    refs_argument,
    wishes_options,
)
from envhub.cli.output import Output
from envhub.wishes import Wishes


@click.command(
    epilog=examples(
        "envhub bundle ./examples/cartpole -o cartpole.envhub",
        "envhub bundle you/env you/other@v1.0 -o both.envhub",
        "envhub run ./cartpole.envhub --trust-remote-code --offline",
    )
)
@refs_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write, <name>.envhub.",
)
@wishes_options
@output_options
@click.pass_obj
def bundle(out: Output, /, refs: Sequence[str], *, output: Path, wishes: Wishes) -> None:
    """Write refs, with files and packages, into one file.

    It is for this platform. Where it is copied to, `./<name>.envhub` is a ref that needs no
    network; if there are several repos in it, `./<name>.envhub:owner/name` is one of them.
    """
    found = write(client(out), refs, output, wishes=wishes)
    size = output.stat().st_size
    rows = []
    for repo in found.repos:
        packages = sum(len(world.packages) for world in repo.worlds)
        rows.append((repo.repo, repo.origin, str(len(repo.files)), str(packages)))
    out.emit(
        {
            "bundle": str(output),
            "size": size,
            "repos": [{"repo": repo.repo, "origin": repo.origin} for repo in found.repos],
            "wheels": [wheel.name for wheel in found.wheels],
        },
        Table(("repo", "from", "files", "packages"), rows, right=("files", "packages")),
        f"{output}: {count(len(found.wheels), 'wheel')}, {size_text(size)}",
        brief=[output],
    )
