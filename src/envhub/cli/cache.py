"""`envhub cache`: what was downloaded, whether it is still right, and how to be rid of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

import click

from envhub.cli.look import Facts, Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import client, confirm, examples, output_options, yes_option
from envhub.cli.output import Output
from envhub.client import Client
from envhub.errors import CorruptSourceError, NotFoundError, RefError
from envhub.refs import parse
from envhub.store import Entry

names_argument = click.argument("names", metavar="[REPO[@COMMIT]]...", nargs=-1)


@click.group(epilog=examples("envhub cache ls", "envhub cache verify", "envhub cache rm --all -y"))
def cache() -> None:
    """Show, verify and clean the cache."""


@cache.command(epilog=examples("envhub cache ls", "envhub cache ls --json"))
@output_options
@click.pass_obj
def ls(out: Output, /) -> None:
    """List what the cache has, the oldest first."""
    store = client(out).store
    usage = store.usage()
    entries = store.entries()
    rows = [(entry.name, _hub(entry), size_text(entry.size), _state(entry)) for entry in entries]
    parts = [Table(("repo", "hub", "size", "fetched"), rows, right=("size",))] if rows else []
    git = f", {size_text(usage.git)} of git's" if usage.git else ""
    out.emit(
        {"folder": str(store.root), "size": usage.total, "entries": list(map(_data, entries))},
        *parts,
        Facts("", [("folder", store.root), ("size", f"{size_text(usage.total)}{git}")]),
        brief=[entry.name for entry in entries],
    )


@cache.command(epilog=examples("envhub cache rm you/env -y", "envhub cache rm --all -y"))
@names_argument
@click.option("--all", "everything", is_flag=True, help="All that the cache has.")
@yes_option
@output_options
@click.pass_obj
def rm(out: Output, /, names: Sequence[str], *, everything: bool, yes: bool) -> None:
    """Remove repos or single commits from the cache."""
    if bool(names) == everything:
        raise click.UsageError("say what to remove: names as `envhub cache ls` has them, or --all")
    user = client(out)
    entries = list(select(user, names))
    total = sum(entry.size for entry in entries)
    what = f"{count(len(entries), 'commit')}, {size_text(total)}"
    if entries:
        confirm(out, f"Remove {what}?", yes=yes)
    for entry in entries:
        user.store.remove(entry)
    out.emit(
        {"removed": list(map(_data, entries)), "size": total},
        f"removed {what}",
        brief=[entry.name for entry in entries],
    )


@cache.command(epilog=examples("envhub cache verify", "envhub cache verify --fix"))
@names_argument
@click.option("--fix", is_flag=True, help="Let the next load download what is wrong.")
@output_options
@click.pass_obj
def verify(out: Output, /, names: Sequence[str], *, fix: bool) -> None:
    """Hash every file in the cache and compare it with what the hub listed."""
    user = client(out)
    entries = list(select(user, names))
    faults: dict[str, list[str]] = {}
    with out.bar("verify", len(entries)) as bar:
        for index, entry in enumerate(entries):
            bar(index, entry.name)
            found = user.store.verify(entry)
            if found:
                faults[entry.name] = [str(fault) for fault in found]
            if found and fix:
                user.store.reopen(entry)
    right = len(entries) - len(faults)
    out.emit(
        {"right": right, "wrong": faults, "fixed": fix and bool(faults)},
        f"{right} of {count(len(entries), 'commit')} as the hub listed it",
        *(f"  {name}: {fault}" for name, found in faults.items() for fault in found),
        brief=list(faults),
    )
    if faults and not fix:
        raise CorruptSourceError(
            f"{count(len(faults), 'commit')} in the cache is not what the hub listed",
            why="files were changed, or the disk lost something",
            hint=f"envhub cache verify --fix {' '.join(names)}".rstrip(),
        )


def select(user: Client, names: Sequence[str]) -> Iterator[Entry]:
    """The entries that are named; all of them if none is.

    Raises:
        NotFoundError: a name means none of them.
    """
    entries = user.store.entries()
    chosen = {entry.slot for name in names for entry in _named(user, name, entries)}
    return (entry for entry in entries if not names or entry.slot in chosen)


def _named(user: Client, name: str, entries: Sequence[Entry]) -> list[Entry]:
    found = [entry for entry in entries if entry.name == name or _means(user, name, entry)]
    if not found:
        raise NotFoundError(f"the cache has nothing of {name!r}", hint="envhub cache ls")
    return found


def _means(user: Client, text: str, entry: Entry) -> bool:
    """Whether a ref means a cached commit: any of the repo, or the one of its revision."""
    try:
        ref = parse(text)
        hub = user.hub(ref).address
    except RefError:
        return False
    listing = entry.listing
    if listing is None or listing.hub != hub:
        return False
    if ref.kind == "hub" and ref.location != listing.repo:
        return False
    known = user.store.recall(hub, ref) if ref.revision else None
    if known:
        return known.commit == listing.commit
    return listing.commit.startswith(ref.revision or "")


def _hub(entry: Entry) -> str:
    return entry.listing.hub if entry.listing else "?"


def _state(entry: Entry) -> str:
    if not entry.complete:
        return "in part"
    return f"{datetime.datetime.fromtimestamp(entry.fetched, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def _data(entry: Entry) -> dict[str, object]:
    listing = entry.listing
    return {
        "name": entry.name,
        "hub": listing.hub if listing else None,
        "repo": listing.repo if listing else None,
        "repo_type": listing.repo_type if listing else None,
        "commit": listing.commit if listing else None,
        "size": entry.size,
        "complete": entry.complete,
        "fetched": entry.fetched,
        "folder": str(entry.slot.folder),
    }
