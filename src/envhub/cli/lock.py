"""`envhub lock`, `sync` and `fetch`: what refs mean, written down, and have it here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from envhub.cli.look import Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import (
    client,
    examples,
    offline_option,
    output_options,
    refs_argument,
    trust_option,
    wishes_options,
)
from envhub.cli.output import Output
from envhub.cli.report import pin_data
from envhub.errors import LockError
from envhub.fetch import Source
from envhub.lockfile import NAME, Lock
from envhub.pins import Pin
from envhub.requirements import LockedRequirements
from envhub.wishes import Wishes


@click.command(
    epilog=examples(
        "envhub lock ./examples/cartpole ./examples/pusht",
        "envhub lock",
        "envhub lock you/env --extra-requirement packaging",
    )
)
@click.argument("refs", metavar="[REF]...", nargs=-1)
@wishes_options
@output_options
@click.pass_obj
def lock(out: Output, /, refs: Sequence[str], *, wishes: Wishes) -> None:
    """Write what refs mean now into envhub.lock: files, packages, Python.

    Packages are those for this platform; what was locked on others stays. Without a REF, all that
    the file has are looked up anew.
    """
    user = client(out)
    path = user.lock_path or Path.cwd() / NAME
    before = Lock.read(path) if path.is_file() else Lock()
    if not refs and not before.pins:
        raise LockError("there is nothing to lock", hint="envhub lock owner/name")
    asked = refs or [str(pin.ref) for pin in before.pins]
    after = user.lock(asked, path, wishes=wishes)
    rows, data = [], []
    for entry in after.entries:
        change, worlds = _change(before, entry.pin), [_world(each) for each in entry.worlds]
        rows.append((entry.ref, entry.pin.version[:19], "\n".join(worlds) or "–", change))
        data.append({**pin_data(entry.pin), "worlds": worlds, "change": change})
    out.emit(
        {"lock": str(path), "pins": data},
        Table(("ref", "pinned to", "packages", "change"), rows),
        f"{path} has {count(len(rows), 'pin')}",
        brief=[pin.pinned_ref for pin in after.pins],
    )


@click.command(epilog=examples("envhub sync", "envhub sync --trust-remote-code"))
@trust_option
@wishes_options
@output_options
@click.pass_obj
def sync(out: Output, /, *, trust_remote_code: bool, wishes: Wishes) -> None:
    """Download and install everything that envhub.lock has.

    To install what an env declares needs the same consent as to run it.
    """
    _show(out, client(out).sync(trust_remote_code=trust_remote_code, wishes=wishes))


@click.command(
    epilog=examples("envhub fetch ./examples/cartpole", "envhub fetch -q ./examples/cartpole")
)
@refs_argument
@offline_option
@output_options
@click.pass_obj
def fetch(out: Output, /, refs: Sequence[str], *, offline: bool) -> None:
    """Download refs into the cache, to load them offline.

    Nothing of them is run or installed, so it is also the way to read them first.
    """
    user = client(out, offline=offline)
    _show(out, [user.fetch(user.resolve(ref)) for ref in refs])


def _show(out: Output, sources: Sequence[Source]) -> None:
    rows = [
        (
            str(source.pin.ref),
            source.pin.version[:19],
            str(len(source.files)),
            size_text(sum(file.size for file in source.files)),
            str(source.root),
        )
        for source in sources
    ]
    out.emit(
        [{**pin_data(source.pin), "folder": str(source.root)} for source in sources],
        Table(("ref", "version", "files", "size", "folder"), rows, right=("files", "size")),
        brief=[source.root for source in sources],
    )


def _world(world: LockedRequirements) -> str:
    packages = count(len(world.packages), "package")
    return f"{packages}, Python {world.python}, {world.platform}"


def _change(before: Lock, pin: Pin) -> str:
    held = before.find(pin.ref)
    if held is None:
        return "new"
    return "same" if held == pin else f"was {held.version[:19]}"
