"""The command `envhub`, a thin skin over the client; each command is loaded when it is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any

import click

from envhub import __version__
from envhub.cli.failures import status_of
from envhub.cli.output import Output

COMMANDS = {
    "run": ("run", "Run a policy in an env: returns, success, speed, video."),
    "bench": ("bench", "Measure how fast an env steps, and advise how many workers."),
    "info": ("info", "Show what a ref is: pin, files, requirements, card, tasks, spaces."),
    "search": ("search", "Find env repos, on one hub or several at once."),
    "browse": ("browse", "Open the page of a ref in the browser, and print its address."),
    "inspect": ("inspect", "Show what a repo asks for and could do, before it runs."),
    "fetch": ("lock", "Download refs into the cache, to load them offline."),
    "lock": ("lock", "Write what refs mean now into envhub.lock: files, packages, Python."),
    "sync": ("lock", "Download and install everything that envhub.lock has."),
    "fingerprint": ("fingerprint", "Run an env with fixed seeds and hash what it does."),
    "bundle": ("bundle", "Write refs, with files and packages, into one file."),
    "init": ("init", "Make a folder with an env repo that loads at once."),
    "push": ("push", "Check a folder, publish it on a hub, and print the line that loads it."),
    "tag": ("tag", "Name a commit of a published repo, or list the names."),
    "fork": ("push", "Copy one commit of a repo to a repo of your own."),
    "delete": ("tag", "Remove a repo from its hub for good, whoever may have pinned it."),
    "trust": ("trust", "Allow repos to run, one commit at a time."),
    "cache": ("cache", "Show, verify and clean the cache."),
    "doctor": ("doctor", "Check this machine: versions, hubs, cache, isolation."),
    "serve": ("serve", "Host a hub: publish, find and load env repos, on a machine of yours."),
    "hub": ("hub", "Look after a hub of one's own, also while it runs."),
    "demo": ("demo", "Publish, find, refuse, run and film env repos, all on this machine."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
}
"""Name → the module that has the command, and what it does in one line."""

EPILOG = """\b
Exit status:
  0 done, 1 an error that is explained, 2 wrong usage, 3 a bug of envhub's,
  130 interrupted.

\b
Examples:
  envhub run ./examples/cartpole --trust-remote-code --episodes 3
  envhub info ./examples/cartpole
  envhub run --help
"""


class Commands(MutableMapping[str, click.Command]):
    """The commands by name; looking one up imports its module, listing the names does not."""

    def __init__(self) -> None:
        self._added: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name in self._added:
            return self._added[name]
        module, _ = COMMANDS[name]
        command: click.Command = getattr(import_module(f"envhub.cli.{module}"), name)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._added[name] = command

    def __delitem__(self, name: str) -> None:
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*COMMANDS, *self._added])

    def __len__(self) -> int:
        return len(COMMANDS) + len(self._added)


class EnvHub(click.Group):
    """The group of all commands: it explains every exception and chooses the exit status."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in the order in which one meets them."""
        return list(self.commands)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> Any:
        """Run the command line and exit; see `failures` for the exit status."""
        words = list(sys.argv[1:] if args is None else args)
        out = Output.for_args(words)
        extra |= {"prog_name": "envhub", "standalone_mode": False, "obj": out}
        sys.exit(status_of(out, lambda: super(EnvHub, self).main(words, **extra)))


@click.group(
    "envhub",
    cls=EnvHub,
    commands=Commands(),
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="envhub %(version)s")
def main() -> None:
    """Load, run, pin and share simulation environments.

    \b
    REF is what names an env repo:
      owner/name[@revision][:path]   on the Hugging Face Hub
      git+https://host/repo[@rev]    in any git repo
      ./folder                       on this machine
    """  # noqa: D301 - \b is click's mark for a paragraph to leave as it is
