"""The options and arguments that several commands share."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from envhub.cli.output import Output
from envhub.settings import Settings
from envhub.wishes import COMMIT, Wishes

if TYPE_CHECKING:
    from envhub.client import Client

_F = TypeVar("_F", bound=Callable[..., Any])


def output_options(function: _F) -> _F:
    """`--json` and `--quiet`; `Output.for_args` has read them before click does."""
    for names, text in (
        (["-q", "--quiet"], "Print the bare essential."),
        (["--json"], "Print JSON, for programs."),
    ):
        function = click.option(*names, is_flag=True, expose_value=False, help=text)(function)
    return function


ref_argument = click.argument("ref", metavar="REF")
refs_argument = click.argument("refs", metavar="REF...", nargs=-1, required=True)
trust_option = click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Consent to run the repo's code, this once.",
)


def _words(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    return () if text == "none" else tuple(filter(None, text.split(",")))


allow_option = click.option(
    "--allow",
    "permissions",
    metavar="WORDS",
    callback=_words,
    help="Exactly what it gets beyond its own files: network,gpu,…; or none.",
)


def wishes_options(function: _F) -> _F:
    """What the user adds to what envs declare, and allows, as the argument `wishes`."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        mine = {name: options.pop(name) for name in _WISHES}
        return function(*args, wishes=Wishes(**mine), **options)

    for name, (option, words) in reversed(_WISHES.items()):
        call = click.option(option, name, **words)(call)
    return call  # type: ignore[return-value]  # click calls it with options by name


_WISHES: dict[str, tuple[str, dict[str, Any]]] = {
    "extra_requirements": (
        "--extra-requirement",
        {
            "multiple": True,
            "metavar": "PACKAGE",
            "help": "Install this beside what the env declares; may be repeated.",
        },
    ),
    "allow_build": (
        "--allow-build",
        {
            "multiple": True,
            "metavar": "PACKAGE",
            "help": "Build this one from source, which runs its code; may be repeated.",
        },
    ),
    "allow_python_download": (
        "--allow-python-download",
        {"is_flag": True, "help": "Download a Python if none here suits."},
    ),
    "exclude_newer": (
        "--exclude-newer",
        {
            "metavar": "DAY",
            "default": COMMIT,
            "show_default": True,
            "help": "Packages of which day: commit (the env's), never (today), 2025-01-31.",
        },
    ),
}

offline_option = click.option(
    "--offline", is_flag=True, help="Open no socket; the cache must have it all."
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def client(out: Output, *, offline: bool = False, locked: bool = False) -> Client:
    """A client with the settings of the environment variables and of these options."""
    # Here, since it brings Gymnasium, which a hub that serves has no use for.
    from envhub.client import Client

    settings = Settings.from_environ()
    quiet = replace(settings, progress=out.shows_progress)
    return Client(quiet, offline=offline or None, locked=locked)


def examples(*lines: str) -> str:
    """The end of a help text."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def confirm(out: Output, question: str, *, yes: bool) -> None:
    """Ask before something is gone for good; `yes` is the answer if nobody can be asked.

    Raises:
        click.UsageError: nobody can be asked.
        click.ClickException: the answer is no.
    """
    if yes:
        return
    if not asks(out):
        raise click.UsageError(f"{question} Nobody can be asked here, so say -y")
    if not click.confirm(question, err=True):
        raise click.ClickException("as you said, nothing was done")


def asks(out: Output) -> bool:
    """Whether somebody is there to answer."""
    return out.mode == "human" and sys.stdin.isatty()
