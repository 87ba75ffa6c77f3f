"""`envhub completion` prints scripts that the shells understand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest
from click.testing import Result

from envhub import proc

Cli = Callable[..., Result]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(cli: Cli, shell: str) -> None:
    """Each script completes `envhub`, and names the file that it goes to."""
    done = cli("completion", shell)
    assert done.exit_code == 0
    assert f"_ENVHUB_COMPLETE={shell}_complete" in done.stdout
    data = json.loads(cli("completion", shell, "--json").stdout)
    assert data["shell"] == shell
    assert data["file"].startswith("~/.")
    assert data["script"] in done.stdout
    assert cli("completion", shell, "-q").stdout == done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_reads_it(cli: Cli, shell: str) -> None:
    """The shell itself finds no fault with the script."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    proc.run([shell, "-n"], stdin=cli("completion", shell).stdout.encode())


def test_unknown_shell(cli: Cli) -> None:
    """Other shells are wrong usage, and the known ones are named."""
    done = cli("completion", "tcsh")
    assert (done.exit_code, "'fish'" in done.stderr) == (2, True)
