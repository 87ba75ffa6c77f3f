"""`envhub inspect`: what a repo is and could do, or what changed in it; nothing of it is run."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from envhub import disk
from envhub.cli.look import Facts, Part, Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import client, examples, offline_option, output_options
from envhub.cli.output import Output
from envhub.client import Client
from envhub.errors import EnvHubError
from envhub.fetch import Source
from envhub.hubs.base import Commit, LogEntry
from envhub.inspection.changes import Diff, diff
from envhub.inspection.findings import SEVERITIES, Finding
from envhub.inspection.report import NO_PROOF, Report
from envhub.inspection.report import inspect as read
from envhub.refs import Ref, parse
from envhub.uvprogram import Uv

HISTORY = 10
MOST = 40
"""Findings, files and packages that are shown to people; the page and JSON have them all."""

logger = logging.getLogger("envhub")
_RANGE = re.compile(r"(?P<old>.*[^./])\.\.(?P<new>[^./].*|\.{0,2}/.*)")


@click.command(
    epilog=examples(
        "envhub inspect ./examples/cartpole",
        "envhub inspect you/env@v1.0 --html report.html",
        "envhub inspect you/env@v1.0..v1.1",
        "envhub inspect ./examples/cartpole --json",
    )
)
@click.argument("ref", metavar="REF|A..B")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to this file."
)
@click.option("--index", is_flag=True, help="Ask your package index about each requirement.")
@offline_option
@output_options
@click.pass_obj
def inspect(out: Output, /, ref: str, *, html: Path | None, index: bool, offline: bool) -> None:
    """Show what a repo asks for and could do, before it runs.

    REF is fetched, and every Python file of it read. A..B shows what changed from A to B, in code,
    requirements and permissions; B is a revision of A's repo, or a ref.
    """
    user = client(out, offline=offline)
    if both := pair(ref):
        _emit_changes(out, diff(*(user.fetch(user.resolve(each)) for each in both)), both)
        return
    source = user.fetch(user.resolve(ref))
    uv = Uv.from_settings(user.settings) if index else None
    report = read(source, history=history(user, source), index=uv)
    if html:
        from envhub.inspection.page import render  # few want a page

        disk.write(html.absolute(), render(report, source.root).encode())
    _emit(out, report, html)


def pair(text: str) -> tuple[Ref, Ref] | None:
    """The two refs of `A..B`, or nothing if it is one ref."""
    found = _RANGE.fullmatch(text)
    if not found:
        return None
    old, new = parse(found["old"]), found["new"]
    if old.kind == "local" or "@" in new or "://" in new or new.startswith((".", "/")):
        return old, parse(new)
    later = parse(f"a/b@{new}")  # checks the revision, and the path if there is one
    return old, replace(old, revision=later.revision, path=later.path or old.path)


def history(user: Client, source: Source) -> Sequence[LogEntry]:
    """The commits up to the pin; none, if the hub does not tell them."""
    pin = source.pin
    if user.settings.offline:
        return ()
    commit = Commit(pin.hub, pin.repo, pin.repo_type, pin.commit)
    try:
        return user.hub(pin.ref).log(pin.ref, commit, HISTORY)
    except EnvHubError as error:  # what was read is worth showing without it
        logger.info("the history of %s is not known: %s", pin, error.what)
        return ()


def _emit(out: Output, report: Report, html: Path | None) -> None:
    pin = report.pin
    facts = [
        ("ref", pin.pinned_ref),
        ("hub", pin.hub),
        ("digest", pin.digest),
        ("entry", pin.path),
        ("size", f"{count(len(report.files), 'file')}, {size_text(report.size)}"),
        ("asks for", ", ".join(report.permissions.words) or "nothing beyond its own files"),
        ("requires", "\n".join(report.requirements[:MOST])),
        ("history", "\n".join(map(_log_line, report.history[:3]))),
        ("page", html),
    ]
    counts = ", ".join(f"{report.count(severity)} {severity}" for severity in SEVERITIES)
    parts: list[Part] = [Facts(pin.repo, facts), *_tables(report.findings), counts, NO_PROOF]
    if not report.linted:
        parts.append("bandit has not read it: pip install gym-envhub[inspect]")
    out.emit(report.as_dict(), *parts, brief=map(_brief, report.findings))


def _emit_changes(out: Output, changes: Diff, both: tuple[Ref, Ref]) -> None:
    title = f"{both[0]} → {both[1]}"
    parts: list[Part] = [f"{title}\n{changes.summary()}", *_tables(changes.findings), NO_PROOF]
    data = {"old": str(both[0]), "new": str(both[1]), "note": NO_PROOF, **changes.as_dict()}
    out.emit(data, *parts, brief=changes.changes)


def _tables(findings: Sequence[Finding]) -> list[Part]:
    rows: list[tuple[str, ...]] = [
        (found.severity, found.where, found.kind, found.what, found.why)
        for found in findings[:MOST]
    ]
    if len(findings) > MOST:
        rows.append(("…", f"{len(findings) - MOST} more: --html or --json", "", "", ""))
    return [Table(("", "where", "kind", "what", "why"), rows)] if rows else []


def _brief(found: Finding) -> str:
    return f"{found.severity} {found.where} {found.kind} {found.what}"


def _log_line(entry: LogEntry) -> str:
    return f"{entry.id[:12]} {entry.date:%Y-%m-%d} {entry.title[:60]}"
