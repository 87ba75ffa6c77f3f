"""`envhub completion`: the script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from envhub.cli.options import examples, output_options
from envhub.cli.output import Output

SHELLS = ("bash", "zsh", "fish")
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
@click.argument("shell", type=click.Choice(SHELLS))
@output_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell."""
    out: Output = context.obj
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    # Not kind.source(): that of bash starts a bash to look at its version.
    complete = kind(context.find_root().command, {}, "envhub", "_ENVHUB_COMPLETE")
    script = complete.source_template % complete.source_vars()
    out.emit({"shell": shell, "file": WHERE[shell], "script": script}, script, brief=[script])
