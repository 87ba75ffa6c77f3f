"""`envhub push` and `fork`: a folder, or somebody's commit, becomes a repo on a hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from envhub.check import Found
from envhub.cli.blame import blaming
from envhub.cli.look import Facts, Part, Table
from envhub.cli.numbers import size_text
from envhub.cli.options import examples, output_options, ref_argument
from envhub.cli.output import Output
from envhub.cli.target import (
    files_text,
    hub_option,
    on,
    private_option,
    tag_option,
    to_option,
    token_option,
    writing,
)
from envhub.publish import push as publish
from envhub.shipping import Pushed
from envhub.upkeep import fork as copy


@click.command(
    epilog=examples(
        "envhub push ./pick --to you/pick --dry-run",
        "envhub push ./pick --to you/pick --private",
        "envhub push ./pick --to you/pick --tag v1.0 -m 'Heavier cubes'",
        "envhub push ./pick --to lab/pick --hub http://127.0.0.1:8765 --token-file you.token",
    )
)
@click.argument(
    "folder", metavar="[FOLDER]", default=".", type=click.Path(path_type=Path, file_okay=False)
)
@to_option
@hub_option
@token_option
@private_option
@tag_option
@click.option("-m", "--message", default="", help="Of the commit.")
@click.option(
    "--no-check",
    "check",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Do not load, reset and step the env first.",
)
@click.option(
    "--allow-secret",
    "allow_secrets",
    multiple=True,
    metavar="FILE",
    help="Send this file though it looks as if it had a secret in it; may be repeated.",
)
@click.option(
    "--replace", is_flag=True, help="Remove files of the repo that envhub did not put there."
)
@click.option("--dry-run", is_flag=True, help="Check and compare, but send nothing.")
@output_options
@click.pass_obj
def push(
    out: Output,
    /,
    folder: Path,
    *,
    to: str,
    hub: str,
    token_file: Path | None,
    **options: Any,
) -> None:
    """Check a folder, publish it on a hub, and print the line that loads it.

    The env is loaded as a stranger would, with what the manifest asks for, reset and stepped. What
    looks like a secret is not sent. The new commit is what the folder is, without what .gitignore
    leaves out; only what changed is sent, and a long upload that broke goes on near where it was.
    """
    user = writing(out, token_file)
    named = folder if folder.is_absolute() or str(folder).startswith((".", "~")) else f"./{folder}"
    with out.warnings_shown(), out.strangers(), blaming(user, str(named)):
        done = publish(folder, on(hub, to), client=user, say=_say(out), **options)
    _show(out, done)


@click.command(
    epilog=examples(
        "envhub fork them/pick@v1.0 --to you/pick",
        "envhub fork 'pypi:minigrid==3.0.0' --to you/minigrid --private",
    )
)
@ref_argument
@to_option
@hub_option
@token_option
@private_option
@tag_option
@output_options
@click.pass_obj
def fork(
    out: Output, /, ref: str, *, to: str, hub: str, token_file: Path | None, **options: Any
) -> None:
    """Copy one commit of a repo to a repo of your own.

    REF may be on any hub, in git, or a package. Nothing of it is run. The copy's card says where
    it is from, pinned; the copy of a private repo is private.
    """
    user = writing(out, token_file)
    _show(out, copy(ref, on(hub, to), client=user, say=_say(out), **options))


def _say(out: Output) -> Any:
    return lambda doing: out.note(f"{doing} …")


def _show(out: Output, done: Pushed) -> None:
    out.emit(done.as_dict(), *_parts(done), brief=[str(done.ref)])


def _parts(done: Pushed) -> Iterator[Part]:
    if not done.commit:
        rows = [(file.path, size_text(file.size), "send") for file in done.sent]
        rows += [(path, "", "remove") for path in done.removed]
        yield Table(("file", "size", ""), rows, right=("size",))
    yield Facts(
        "",
        [
            ("repo", f"{done.page}{' (new)' if done.created else ''}"),
            ("commit", done.commit),
            ("tag", done.tag if done.commit else ""),
            ("files", files_text(done) if done.commit else ""),
            ("checked", _found(done.found) if done.found else ""),
        ],
    )
    yield (
        f"Load it:\n  {done.line}" if done.commit else "Nothing was sent, since this was a dry run."
    )


def _found(found: Found) -> str:
    tasks = sum(found.suites.values())
    more = f", 1 of {tasks} tasks" if tasks > 1 else ""
    return f"{found.observation} → {found.action}, {found.steps} steps{more}"
