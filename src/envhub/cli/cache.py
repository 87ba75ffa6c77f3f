"""`envhub cache`: what was downloaded and installed, whether it is right, and its removal."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import click

from envhub.cli.look import Facts, Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import client, confirm, examples, output_options, yes_option
from envhub.cli.output import Output
from envhub.client import Client
from envhub.errors import CorruptSourceError, NotFoundError, RefError
from envhub.records import MARK, Cached, cached
from envhub.records import verify as verify_venv
from envhub.refs import parse
from envhub.store import Entry
from envhub.tree import Fault, size
from envhub.venvs import remove

names_argument = click.argument("names", metavar="[REPO[@COMMIT]|venv:KEY]...", nargs=-1)


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
    venvs = cached(store.root)
    if venvs:
        columns = ("venv", "Python", "packages", "size")
        parts.append(Table(columns, list(map(_venv_row, venvs)), right=columns[2:]))
    git = f", {size_text(usage.git)} of git's" if usage.git else ""
    own = sum(each.size for each in venvs)
    downloads = size(store.root / "uv")
    of_venvs = f", {size_text(own)} of venvs" if venvs else ""
    of_uv = f", {size_text(downloads)} of downloaded packages" if downloads else ""
    total = usage.total + own + downloads
    out.emit(
        {
            "folder": str(store.root),
            "size": total,
            "entries": list(map(_data, entries)),
            "venvs": list(map(_venv_data, venvs)),
        },
        *parts,
        Facts("", [("folder", store.root), ("size", f"{size_text(total)}{git}{of_venvs}{of_uv}")]),
        brief=_names(entries, venvs),
    )


@cache.command(epilog=examples("envhub cache rm you/env -y", "envhub cache rm --all -y"))
@names_argument
@click.option("--all", "everything", is_flag=True, help="All that the cache has.")
@yes_option
@output_options
@click.pass_obj
def rm(out: Output, /, names: Sequence[str], *, everything: bool, yes: bool) -> None:
    """Remove repos, single commits or venvs from the cache."""
    if bool(names) == everything:
        raise click.UsageError("say what to remove: names as `envhub cache ls` has them, or --all")
    user = client(out)
    entries, venvs = choose(user, names)
    total = sum(e.size for e in entries) + sum(v.size for v in venvs)
    what = f"{_how_many(entries, venvs)}, {size_text(total)}"
    if entries or venvs:
        confirm(out, f"Remove {what}?", yes=yes)
    for entry in entries:
        user.store.remove(entry)
    for venv in venvs:
        remove(venv.key, user.store.root)
    for folder in ("uv", "worlds") if everything else ():
        shutil.rmtree(user.store.root / folder, ignore_errors=True)
    removed = [*map(_data, entries), *map(_venv_data, venvs)]
    out.emit(
        {"removed": removed, "size": total},
        f"removed {what}",
        brief=_names(entries, venvs),
    )


@cache.command(epilog=examples("envhub cache verify", "envhub cache verify --fix"))
@names_argument
@click.option("--fix", is_flag=True, help="Let the next load download what is wrong.")
@output_options
@click.pass_obj
def verify(out: Output, /, names: Sequence[str], *, fix: bool) -> None:
    """Hash every file in the cache and compare it with what was listed.

    Hubs list the files of commits, packages those of venvs.
    """
    user = client(out)
    entries, venvs = choose(user, names)
    checks: list[tuple[str, Callable[[], Sequence[Fault]], Callable[[], None]]] = [
        *((e.name, partial(user.store.verify, e), partial(user.store.reopen, e)) for e in entries),
        *(
            (v.name, partial(verify_venv, v), partial(remove, v.key, user.store.root))
            for v in venvs
        ),
    ]
    faults: dict[str, list[str]] = {}
    with out.bar("verify", len(checks)) as bar:
        for index, (name, check, mend) in enumerate(checks):
            bar(index, name)
            if found := check():
                faults[name] = [str(fault) for fault in found]
                if fix:
                    mend()
    right = len(checks) - len(faults)
    out.emit(
        {"right": right, "wrong": faults, "fixed": fix and bool(faults)},
        f"{right} of {_how_many(entries, venvs)} as listed",
        *(f"  {name}: {fault}" for name, found in faults.items() for fault in found),
        brief=list(faults),
    )
    if faults and not fix:
        raise CorruptSourceError(
            f"{', '.join(faults)} in the cache is not what was listed",
            why="files were changed, or the disk lost something",
            hint=f"envhub cache verify --fix {' '.join(names)}".rstrip(),
        )


def choose(user: Client, names: Sequence[str]) -> tuple[list[Entry], list[Cached]]:
    """The commits and the venvs that are named; all of them if none is.

    Raises:
        NotFoundError: a name means none of them.
    """
    keys = [name.removeprefix(MARK) for name in names if name.startswith(MARK)]
    repos = [name for name in names if not name.startswith(MARK)]
    all_venvs = cached(user.store.root)
    venvs = [each for each in all_venvs if not names or each.key.startswith(tuple(keys))]
    for key in keys:
        if not key or not any(each.key.startswith(key) for each in venvs):
            raise NotFoundError(f"the cache has no venv {MARK}{key}", hint="envhub cache ls")
    entries = list(select(user, repos)) if repos or not names else []
    return entries, venvs


def _names(entries: Sequence[Entry], venvs: Sequence[Cached]) -> list[str]:
    return [*(entry.name for entry in entries), *(venv.name for venv in venvs)]


def _how_many(entries: Sequence[Entry], venvs: Sequence[Cached]) -> str:
    commits = count(len(entries), "commit")
    return f"{commits} and {count(len(venvs), 'venv')}" if venvs else commits


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


def _venv_row(each: Cached) -> tuple[str, str, str, str]:
    ready = each.ready
    if ready is None:
        return each.name, "in part", "", size_text(each.size)
    return each.name, ready.python, str(len(ready.packages)), size_text(each.size)


def _venv_data(each: Cached) -> dict[str, object]:
    ready = each.ready
    return {
        "name": each.name,
        "key": each.key,
        "python": ready.python if ready else None,
        "platform": ready.platform if ready else None,
        "packages": list(ready.packages) if ready else [],
        "size": each.size,
        "complete": ready is not None,
        "folder": str(each.folder),
    }


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
