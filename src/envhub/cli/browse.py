"""`envhub browse`: the page of a ref, in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from urllib.parse import quote

import click

from envhub.cli.options import client, examples, output_options, ref_argument
from envhub.cli.output import Output
from envhub.client import Client
from envhub.errors import ArgumentError
from envhub.refs import Ref, parse


@click.command(
    epilog=examples(
        "envhub browse you/env@v1.0 --print",
        "envhub browse git+https://git.lab.org/sims/arm@v2 --print",
    )
)
@ref_argument
@click.option("--print", "only_print", is_flag=True, help="Open nothing.")
@output_options
@click.pass_obj
def browse(out: Output, /, ref: str, *, only_print: bool) -> None:
    """Open the page of a ref in the browser, and print its address."""
    url = page(parse(ref), client(out))
    opened = not only_print and webbrowser.open(url)
    out.emit({"url": url, "opened": opened}, url, brief=[url])


def page(ref: Ref, user: Client) -> str:
    """The address of the page that shows what a ref means.

    Raises:
        ArgumentError: there is none.
        NotFoundError, HubError: the hub does not have it, or cannot be asked.
    """
    if ref.kind == "local":
        return Path(ref.location).expanduser().absolute().as_uri()
    if ref.kind == "git" and ref.location.startswith(("https://", "http://")):
        return ref.location
    if ref.kind != "hub":
        raise ArgumentError(
            f"{str(ref)!r} has no page", why="only hubs, git hosts and folders have one"
        )
    commit = user.hub(ref).resolve(ref)
    prefix = "" if commit.repo_type == "model" else f"{commit.repo_type}s/"
    place = ""
    if ref.path or ref.revision:
        shown = quote(ref.revision or "main", safe="")
        place = f"/blob/{shown}/{quote(ref.path)}" if ref.path else f"/tree/{shown}"
    return f"{commit.hub}/{prefix}{commit.repo}{place}"
