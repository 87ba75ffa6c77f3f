"""`envhub serve`: a hub of one's own, for huggingface_hub, hf, git, git-lfs and envhub."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envhub.cli.gallery import GALLERY, TAG, publish
from envhub.cli.hub import data_option, opened
from envhub.cli.look import Facts
from envhub.cli.options import examples, output_options
from envhub.cli.output import Output

if TYPE_CHECKING:
    from envhub.server.hub import Hub

VISITOR = "you"
"""The user of a hub for demonstration."""


@click.command(
    epilog=examples(
        "envhub serve --data ./hub",
        "envhub serve --demo --data ./demo",
        "envhub serve --validate --data ./hub",
        "envhub serve --mirror https://huggingface.co --data ./mirror",
        "envhub serve --data /srv/envhub --host 0.0.0.0 --port 80 --public-url https://envs.lab.org",
    )
)
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    default=8765,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any free one.",
)
@click.option("--public-url", default="", help="Address of the proxy that others reach it by.")
@click.option("--demo", is_flag=True, help="Publish the gallery in it, and say what to try.")
@click.option("--validate", is_flag=True, help="Run the envs of new commits, too, in a sandbox.")
@click.option("--mirror", default="", help="Be a read-only mirror of the hub at this address.")
@click.option("--log-level", default="info", help="debug, info, warning or error.")
@output_options
@click.pass_obj
def serve(
    out: Output,
    /,
    *,
    data: Path,
    host: str,
    port: int,
    public_url: str,
    demo: bool,
    validate: bool,
    mirror: str,
    log_level: str,
) -> None:
    """Host a hub: publish, find and load env repos, on a machine of yours."""
    with opened(data, public_url=public_url, validate=validate, mirror=mirror) as hub:
        # Here, since they need the optional extra, which `opened` has made sure of.
        from envhub.server import serving

        level = logging.getLevelNamesMapping().get(log_level.upper(), logging.INFO)
        serving.log_to_stderr(level)
        shown = [repo.repo for repo in publish(GALLERY, hub)] if demo else []
        token = _token(hub) if demo else ""

        def announce(listening: str) -> None:
            url = public_url or listening
            _announce(out, data, listening, url, hub.mirror.url if hub.mirror else "")
            if demo:
                out.note(_to_try(url, shown, token))

        serving.run(hub, host, port, announce)


def _token(hub: Hub) -> str:
    """A token of a user who may publish beside the gallery."""
    if hub.accounts.find(VISITOR) is None:
        hub.accounts.add(VISITOR)
    return hub.accounts.new_token(VISITOR, "demo")


def _to_try(url: str, repos: Sequence[str], token: str) -> str:
    """Pages and lines, for somebody who has never seen a hub."""
    pages = "\n".join(f"  {url}/{repo}" for repo in ("", *repos[-2:]))
    return f"""
Look at
{pages}

Try
  export ENVHUB_ENDPOINT={url} HF_ENDPOINT={url}
  envhub search
  envhub info gallery/cartpole
  envhub run gallery/cartpole@{TAG} --trust-remote-code --episodes 2

Publish, as {VISITOR}
  export ENVHUB_TOKEN={token} HF_TOKEN={token}
  envhub init my-env && envhub push ./my-env --to {VISITOR}/my-env
"""


def _announce(out: Output, data: Path, listening: str, url: str, mirror: str) -> None:
    out.emit(
        {"url": url, "listening": listening, "data": str(data), "mirror": mirror},
        Facts(
            "",
            [
                ("hub", url),
                ("listening", listening if listening != url else ""),
                ("mirror of", mirror),
                ("data", data),
                ("first user", f"envhub hub user add NAME --data {data}"),
                ("use it", f"export HF_ENDPOINT={url}"),
            ],
        ),
        brief=[url],
    )
