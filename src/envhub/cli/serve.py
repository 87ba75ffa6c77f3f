"""`envhub serve`: a hub of one's own, for huggingface_hub, hf, git, git-lfs and envhub."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from envhub.cli.hub import data_option, opened
from envhub.cli.look import Facts
from envhub.cli.options import examples, output_options
from envhub.cli.output import Output


@click.command(
    epilog=examples(
        "envhub serve --data ./hub",
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
@click.option("--log-level", default="info", help="debug, info, warning or error.")
@output_options
@click.pass_obj
def serve(
    out: Output, /, *, data: Path, host: str, port: int, public_url: str, log_level: str
) -> None:
    """Host a hub: publish, find and load env repos, on a machine of yours."""
    with opened(data, public_url=public_url) as hub:
        # Here, since they need the optional extra, which `opened` has made sure of.
        from envhub.server import serving

        level = logging.getLevelNamesMapping().get(log_level.upper(), logging.INFO)
        serving.log_to_stderr(level)
        serving.run(hub, host, port, lambda url: _announce(out, data, url, public_url or url))


def _announce(out: Output, data: Path, listening: str, url: str) -> None:
    out.emit(
        {"url": url, "listening": listening, "data": str(data)},
        Facts(
            "",
            [
                ("hub", url),
                ("listening", listening if listening != url else ""),
                ("data", data),
                ("first user", f"envhub hub user add NAME --data {data}"),
                ("use it", f"export HF_ENDPOINT={url}"),
            ],
        ),
        brief=[url],
    )
