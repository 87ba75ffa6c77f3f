"""`envhub completion`: the script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from envhub.cli.options import examples, output_options
from envhub.cli.output import Output

SHELLS: dict[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}
WHERE = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/envhub.fish",
}


@click.command(
    epilog=examples(
        "envhub completion bash >> ~/.bashrc",
        "envhub completion fish > ~/.config/fish/completions/envhub.fish",
    )
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@output_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell."""
    out: Output = context.obj
    complete = SHELLS[shell](context.find_root().command, {}, "envhub", "_ENVHUB_COMPLETE")
    # Not complete.source(): that of bash starts a bash to look at its version.
    script = complete.source_template % complete.source_vars()
    out.emit({"shell": shell, "file": WHERE[shell], "script": script}, script, brief=[script])
