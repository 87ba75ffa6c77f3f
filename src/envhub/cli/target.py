"""Where a command writes to: the options and arguments of those that do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from envhub.cli.numbers import count
from envhub.cli.options import client
from envhub.cli.output import Output
from envhub.client import Client
from envhub.refs import Ref, parse
from envhub.shipping import Pushed

to_option = click.option("--to", metavar="OWNER/NAME", required=True, help="The repo to write to.")
hub_option = click.option(
    "--hub", metavar="ADDRESS", default="", help="The hub that OWNER/NAME is on."
)
token_option = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the token for that hub; else ENVHUB_TOKEN, or that of hf auth login.",
)
private_option = click.option("--private", is_flag=True, help="Only those see it who may.")
tag_option = click.option("--tag", default="", metavar="NAME", help="Name the new commit: v1.0.")


def on(hub: str, text: str) -> Ref:
    """The ref, on the hub that `--hub` names.

    Raises:
        click.UsageError: the ref names a hub, too.
    """
    ref = parse(text)
    if not hub:
        return ref
    if ref.kind != "hub" or ref.endpoint:
        raise click.UsageError(f"{text} says where it is, so there is nothing for --hub to say")
    address = hub if "://" in hub else f"https://{hub}"
    return replace(ref, endpoint=address.rstrip("/"))


def writing(out: Output, token_file: Path | None) -> Client:
    """A client with the token of a file, if one is named.

    Raises:
        click.UsageError: there is none in it.
    """
    user = client(out)
    # The bars are huggingface_hub's, which draws them into files, too.
    watched = user.settings.progress and sys.stderr.isatty()
    user.settings = replace(user.settings, progress=watched)
    if token_file:
        words = token_file.read_text(encoding="utf-8", errors="replace").split()
        if len(words) != 1:
            raise click.UsageError(f"{token_file} has {count(len(words), 'word')}, and no token")
        user.token = words[0]
    return user


def files_text(pushed: Pushed) -> str:
    """How many files were sent, in words."""
    if not pushed.sent and not pushed.removed:
        return f"{pushed.kept} there already, nothing has changed"
    parts = [
        f"{len(pushed.sent)} sent",
        f"{pushed.kept} there already" if pushed.kept else "",
        f"{len(pushed.removed)} removed" if pushed.removed else "",
    ]
    return ", ".join(filter(None, parts))
