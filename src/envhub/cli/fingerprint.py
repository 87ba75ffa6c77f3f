"""`envhub fingerprint`: what an env does with some seeds, as one hash, kept and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from envhub.cli.blame import blaming
from envhub.cli.consent import asked_for
from envhub.cli.look import Facts
from envhub.cli.options import (
    client,
    examples,
    offline_option,
    output_options,
    ref_argument,
    trust_option,
    wishes_options,
)
from envhub.cli.output import Output
from envhub.client import Client
from envhub.fingerprint import SEEDS, STEPS, Measure, compare
from envhub.fingerprint import fingerprint as measure
from envhub.lockfile import Fingerprint, Lock
from envhub.refs import parse
from envhub.wishes import Wishes

MEANINGS = {
    "exact": "the same here twice, and as if on an older processor",
    "same machine only": "the same here twice, and not as if on an older processor",
    "not reproducible": "not the same here twice",
}


@click.command(
    epilog=examples(
        "envhub fingerprint ./examples/cartpole --trust-remote-code",
        "envhub fingerprint you/env --seeds 1 --steps 1000 --update",
    )
)
@ref_argument
@trust_option
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=SEEDS,
    show_default=True,
    help="Episodes to begin in each task.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=STEPS,
    show_default=True,
    help="Steps to make after each seed.",
)
@click.option("--update", is_flag=True, help="Keep it even if it is another one than before.")
@wishes_options
@offline_option
@output_options
@click.pass_obj
def fingerprint(
    out: Output, /, ref: str, *, seeds: int, steps: int, update: bool, **options: Any
) -> None:
    """Run an env with fixed seeds and hash what it does.

    The hash is over observations, rewards and flags.

    It runs three times: twice to see whether it does the same, and once as if on an older
    processor. If envhub.lock has the ref, the fingerprint is kept there, and compared with the one
    before; ends with 1 if it should be the same and is not.
    """  # fmt: skip
    user = client(out, offline=options["offline"])
    trust, wishes = options["trust_remote_code"], options["wishes"]
    with asked_for(ref, out), out.warnings_shown(), out.strangers(), blaming(user, ref):
        found = _measure(user, ref, Measure(seeds, steps), wishes, trust_remote_code=trust)
    path = user.lock_path
    lock = Lock.read(path) if path and path.is_file() else Lock()
    said = "" if update else compare(lock, parse(ref), found)
    kept = _keep(lock, path, ref, found)
    rows = [
        ("fingerprint", found.digest),
        ("determinism", f"{found.determinism}: {MEANINGS[found.determinism]}"),
        ("over", f"{seeds} seeds × {steps} steps in each task"),
        ("code", found.code),
        ("place", f"Python {found.python}, {found.platform}"),
        ("packages", ", ".join(found.packages)),
        ("lock file", (said or "updated") if kept else f"not in it: envhub lock {ref}"),
    ]
    data = {**msgspec.to_builtins(found), "compared": said or None, "kept": kept}
    out.emit(data, Facts(ref, rows), brief=[found.digest])


def _measure(
    user: Client, ref: str, how: Measure, wishes: Wishes, *, trust_remote_code: bool
) -> Fingerprint:
    return measure(user, ref, how, trust_remote_code=trust_remote_code, wishes=wishes)


def _keep(lock: Lock, path: Path | None, ref: str, found: Fingerprint) -> bool:
    entry = lock.entry(parse(ref))
    if entry is None or path is None:
        return False
    after = lock.with_entries([entry.with_fingerprint(found)])
    if after != lock:
        after.write(path)
    return True
