"""The group of commands: lazy, helpful, and with examples that work."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result

import envhub
from envhub import proc
from envhub.cli import COMMANDS, Commands, main
from envhub.testing import ServedHub, repos

Cli = Callable[..., Result]
EXAMPLES = Path(envhub.__file__).parents[2] / "examples"


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


ALL = dict(commands(main))
LEAVES = {path: each for path, each in ALL.items() if not isinstance(each, click.Group)}


def examples(command: click.Command) -> list[str]:
    _, _, lines = (command.epilog or "").partition("Examples:\n")
    return [line.strip() for line in lines.splitlines()]


def test_help_imports_no_command() -> None:
    """`envhub --help` is quick since it loads none of what the commands need."""
    code = "import sys; from envhub.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    heavy = "numpy gymnasium rich huggingface_hub msgspec envhub.client envhub.cli.run platformdirs"
    code += f"\nprint(*(set({heavy.split()}) & set(sys.modules)), file=sys.stderr)"
    done = proc.run([sys.executable, "-c", code])
    assert "Usage: envhub" in done.text
    assert done.stderr.decode().strip() == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries(name: str) -> None:
    """The one line of `envhub --help` is the first line of the command's own help."""
    first = (main.commands[name].help or "").strip().partition("\n")[0]
    assert COMMANDS[name][1] == first


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help(cli: Cli, path: tuple[str, ...]) -> None:
    """Every command explains itself, and ends with examples."""
    done = cli(*path, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: envhub {' '.join(path)}")
    assert examples(ALL[path])
    assert done.stdout.rstrip().endswith(examples(ALL[path])[-1])
    assert cli(*path, "-h").stdout == done.stdout


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_json(path: tuple[str, ...]) -> None:
    """`--json` and `--quiet` are understood everywhere."""
    options = {name for param in LEAVES[path].params for name in param.opts}
    assert {"--json", "--quiet", "-q"} <= options


LINES = [line for command in ALL.values() for line in examples(command)]

# These last, serve until they are stopped, or ask others: they have tests of their own.
LONG = (
    "envhub demo",
    "envhub serve",
    "envhub bench",
    "envhub bundle",
    "envhub run ./cartpole.envhub",
    "envhub search cartpole --hub",
    "envhub init maze",
    "envhub push",
    "envhub fork",
    "envhub tag",
    "envhub delete",
)
QUICK = [line for line in dict.fromkeys(LINES) if not line.startswith(LONG)]

FIRST = ["lock ./examples/cartpole", "trust add ./examples/cartpole", "fetch you/env"]
ADA = "hub user add ada --data ./hub"
TOKEN = "hub token add ada laptop --data ./hub"
BEFORE = {
    "envhub fingerprint you/env": ["lock you/env", "trust add you/env"],
    "envhub hub org": [ADA],
    "envhub hub token add ada robot": [ADA, "hub org add lab --member ada:admin --data ./hub"],
    "envhub hub token add ada laptop": [ADA],
    "envhub hub token ls": [ADA, TOKEN],
    "envhub hub token rm": [ADA, TOKEN],
    "envhub hub restore": [
        "hub user add ada --data ./lost",
        "hub backup ./backup-monday --data ./lost",
    ],
}


@pytest.mark.parametrize("line", QUICK)
def test_examples_work(cli: Cli, hub: ServedHub, line: str, tmp_path: Path) -> None:
    """What the help texts show can be typed as it stands, in a checkout."""
    for tag in ("v1.0", "v1.1"):
        hub.add("you/env", {**repos.CARTPOLE, "VERSION": tag}, tag=tag)
    (tmp_path / "work" / "examples").symlink_to(EXAMPLES)
    before = [each for start, lines in BEFORE.items() if line.startswith(start) for each in lines]
    for first in [*FIRST, *before]:
        done = cli(*first.split())
        assert done.exit_code == 0, done.stderr
    done = cli(*shlex.split(re.split(" >+ ", line)[0])[1:])
    assert done.exit_code == 0, done.stderr


def test_unknown_command(cli: Cli) -> None:
    """A command that is not there is answered with a near name, and status 2."""
    done = cli("rnu")
    assert done.exit_code == 2
    assert done.stderr == (
        "error[usage]: No such command 'rnu'. Did you mean 'run'?\n"
        "  → envhub --help\n"
        "  see docs/cli.md\n"
    )


def test_unknown_subcommand_and_option(cli: Cli) -> None:
    """The same inside a group, and for options."""
    assert "Did you mean 'verify'?" in cli("cache", "verfy").stderr
    assert "--episodes" in cli("run", ".", "--episode", 3).stderr
    assert "→ envhub run --help" in cli("run").stderr
    assert cli("run").exit_code == 2


@pytest.mark.parametrize("path", [(), ("trust",), ("cache",)])
def test_no_command(cli: Cli, path: tuple[str, ...]) -> None:
    """A group without a command shows its help, and is wrong usage."""
    done = cli(*path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "which command?" in done.stderr
    assert "Commands:" in done.stderr


def test_usage_as_json(cli: Cli) -> None:
    """Wrong usage is told in JSON where JSON was asked for, before the command is known."""
    done = cli("rnu", "--json")
    error = json.loads(done.stderr)["error"]
    assert set(error) == {"code", "what", "why", "hint", "docs"}
    assert (done.exit_code, error["code"]) == (2, "usage")


def test_version(cli: Cli) -> None:
    """`--version` names the program and its version."""
    assert cli("--version").stdout == f"envhub {envhub.__version__}\n"


def test_commands_are_a_mapping() -> None:
    """What click does with its dict of commands works with the lazy one."""
    assert main.list_commands(click.Context(main)) == list(COMMANDS)
    lazy = Commands()
    assert list(lazy) == list(COMMANDS)
    lazy["mine"] = click.Command("mine")
    assert len(lazy) == len(COMMANDS) + 1
    assert lazy["mine"].name == "mine"
    del lazy["mine"]
    assert "mine" not in lazy


def test_unfinished_words_are_completed(cli: Cli) -> None:
    """The shell's question for words is answered without loading more than it needs."""
    done = proc.run(
        [sys.executable, "-m", "envhub"],
        env={
            "_ENVHUB_COMPLETE": "bash_complete",
            "COMP_WORDS": "envhub cache v",
            "COMP_CWORD": "2",
        },
    )
    assert done.text == "plain,verify"
