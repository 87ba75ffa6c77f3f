"""The report as one HTML page that needs nothing else and runs nothing: no script, no address.

All text is put into a tree of elements that writes itself out, so nothing in it can be markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from envhub import __version__
from envhub.inspection.findings import SEVERITIES, Finding
from envhub.inspection.report import NO_PROOF, Report

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_MOST_LINE = 160

Child = ET.Element | str


def render(report: Report, root: Path) -> str:
    """The page of a report.

    Args:
        report: what was found.
        root: the folder with the files, for the lines that findings are in.
    """
    title = f"{report.pin.repo} · envhub inspect"
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    head = _tag(
        "head",
        _tag("meta", charset="utf-8"),
        _tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        ET.Element("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        _tag("title", title),
        _tag("style", style),
    )
    body = _tag("body", _tag("main", *_parts(report, root)))
    page = ET.tostring(_tag("html", head, body, lang="en"), encoding="unicode", method="html")
    return f"<!doctype html>\n{page}\n"


def _parts(report: Report, root: Path) -> Iterator[Child]:
    pin = report.pin
    yield _tag("h1", pin.repo)
    yield _tag("p", pin.pinned_ref, class_="ref")
    counts = [(severity, report.count(severity)) for severity in SEVERITIES]
    badges = [_tag("span", f"{n} {name}", class_=f"badge {name}") for name, n in counts]
    yield _tag("p", *badges, class_="badges")
    yield _tag("p", NO_PROOF, class_="note")
    yield _facts(report)
    yield _tag("h2", "What to look at")
    yield from _findings(report.findings, root)
    if not report.linted:
        yield _tag("p", "bandit has not read it: pip install gym-envhub[inspect]", class_="note")
    if report.requirements:
        yield _tag("h2", "What it would install")
        yield _tag("ul", *(_tag("li", _tag("code", line)) for line in report.requirements))
    if report.history:
        yield _tag("h2", "Its last commits")
        log = ((h.id[:12], f"{h.date:%Y-%m-%d}", h.author, h.title) for h in report.history)
        yield _table(("commit", "day", "author", "title"), log)
    yield _tag("h2", f"Its {len(report.files):,} files")
    rows = [(file.path, f"{file.size:,}", file.oid) for file in report.files]
    yield _tag("details", _tag("summary", "show them"), _table(("file", "bytes", "hash"), rows))
    yield _tag("footer", f"envhub {__version__}")


def _facts(report: Report) -> ET.Element:
    pin = report.pin
    pairs = [
        ("hub", pin.hub),
        ("commit", pin.commit or "a folder, which may change"),
        ("digest", pin.digest),
        ("entry file", pin.path),
        ("size", f"{len(report.files):,} files, {report.size:,} bytes"),
        ("asks for", ", ".join(report.permissions.words) or "nothing beyond its own files"),
    ]
    rows = (_tag("tr", _tag("th", name), _tag("td", value)) for name, value in pairs)
    return _tag("table", *rows, class_="facts")


def _findings(findings: Iterable[Finding], root: Path) -> Iterator[ET.Element]:
    lines = _Lines(root)
    shown = [
        _tag(
            "li",
            _tag("span", found.severity, class_=f"badge {found.severity}"),
            _tag("code", found.where, class_="where"),
            _tag("strong", found.kind),
            _tag("span", found.what + (f" ×{found.count}" if found.count > 1 else "")),
            _tag("p", found.why),
            *([_tag("pre", lines.of(found))] if found.line else ()),
        )
        for found in findings
    ]
    yield _tag("ul", *shown, class_="findings") if shown else _tag("p", "Nothing was found.")


class _Lines:
    """The lines that findings are in; each file is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, list[str]] = {}

    def of(self, found: Finding) -> str:
        if found.path not in self._texts:
            text = (self._root / found.path).read_text(encoding="utf-8", errors="replace")
            self._texts[found.path] = text.split("\n")
        lines = self._texts[found.path]
        return lines[found.line - 1].strip()[:_MOST_LINE] if found.line <= len(lines) else ""


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> ET.Element:
    head = _tag("tr", *(_tag("th", name) for name in columns))
    return _tag("table", head, *(_tag("tr", *(_tag("td", c) for c in row)) for row in rows))


def _tag(name: str, /, *children: Child, class_: str = "", **attributes: str) -> ET.Element:
    """An element; texts become its text, whatever is in them."""
    given = {"class": class_, **attributes} if class_ else attributes
    element = ET.Element(name, given)
    last: ET.Element | None = None
    for child in children:
        if isinstance(child, ET.Element):
            element.append(child)
            last = child
        elif last is None:
            element.text = (element.text or "") + (child if name == "style" else _clean(child))
        else:
            last.tail = (last.tail or "") + _clean(child)
    return element


def _clean(text: str) -> str:
    """Text without characters that hide, reorder or end it."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
