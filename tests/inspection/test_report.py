"""The whole report of a repo, in words, as data and as a page that nothing in it can break."""

from __future__ import annotations

import json
import re
import sys
import warnings
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inspection.conftest import EVIL, Load

from envhub.hubs.base import LogEntry
from envhub.inspection import linter, page
from envhub.inspection.findings import KINDS, SEVERITIES, Finding, shown
from envhub.inspection.report import NO_PROOF, inspect, outline

HISTORY = (LogEntry("a" * 40, "Fix <b>it</b>", "somebody", datetime(2026, 1, 2, tzinfo=UTC)),)


def test_report(load: Load) -> None:
    """Files, requirements, permissions and findings, the worst first."""
    report = inspect(load(EVIL), history=HISTORY)
    assert (len(report.files), report.requirements) == (5, ("nunpy",))
    assert report.permissions.words == ("network", "env:WANDB_MODE")
    kinds = {(found.kind, found.where) for found in report.findings}
    assert kinds >= {
        ("subprocess", "env.py:1"),
        ("network", "env.py:2"),
        ("binary", "tool"),
        ("squat", "requirements.txt:1"),
        ("files", "helper.py:1"),
        ("bandit-B602", "env.py:6"),
        ("bandit-B501", "env.py:7"),  # whatever its author wrote behind it
    }
    order = [SEVERITIES.index(found.severity) for found in report.findings]
    assert order == sorted(order)
    assert sum(report.count(severity) for severity in SEVERITIES) == len(report.findings)


def test_summary(load: Load) -> None:
    """A few lines: how much, what it asks for, and what is bad about it."""
    lines = inspect(load(EVIL), lint=False).summary().splitlines()
    assert lines[0].startswith("it has 5 files, 2 of them Python")
    assert lines[1] == "it asks for network, env:WANDB_MODE"
    assert lines[2].startswith("high: subprocess (env.py:1), squat (requirements.txt:1)")
    assert lines[3].startswith("medium: network (env.py:2)")
    harmless = inspect(load({"env.py": "x = 1\n"})).summary()
    assert harmless.splitlines()[1:] == ["it asks for nothing beyond its own files"]
    assert outline(()) == "it has 0 files, 0 of them Python, 0 bytes"


def test_many_kinds_are_cut(load: Load) -> None:
    """The summary stays short, whatever a repo does."""
    text = "import subprocess, pickle, keyring\neval('1')\npickle.loads(b)\n"
    summary = inspect(load({**EVIL, "env.py": text}), lint=False).summary()
    assert re.search(r"^high: .* and 2 more$", summary, re.MULTILINE)


def test_as_data(load: Load) -> None:
    """All of it can be written as JSON, with the sentence that it proves nothing."""
    data = json.loads(json.dumps(inspect(load(EVIL), history=HISTORY).as_dict()))
    assert data["note"] == NO_PROOF
    assert data["history"][0]["date"] == "2026-01-02T00:00:00+00:00"
    assert {"kind", "severity", "path", "line", "what", "why", "count"} == set(data["findings"][0])


def test_broken_manifest(load: Load) -> None:
    """What cannot be understood is a finding; it asks for nothing that anybody could grant."""
    report = inspect(load({"env.py": "", "envhub.toml": "[permissions]\nnetwrok = true\n"}))
    assert [found.kind for found in report.findings] == ["manifest"]
    assert report.permissions.words == ()


class Tags(HTMLParser):
    """The elements of a page, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data


def test_page(load: Load) -> None:
    """The page has all that the report has, and needs nothing but itself."""
    source = load(EVIL)
    report = inspect(source, history=HISTORY)
    text = page.render(report, source.root)
    found = Tags(text)
    for part in ("nunpy", "env.py:6", "shell=True", "WANDB_MODE", "Fix <b>it</b>", NO_PROOF):
        assert part in found.text
    assert not {"script", "img", "link", "iframe", "a", "b"} & set(found.tags)
    assert not {"src", "href"} & {name for name, _ in found.attributes}
    assert len(re.findall("://", text)) == len(re.findall("://", found.text))  # none in attributes


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_in_a_page_is_markup(what: str, path: str) -> None:
    """Whatever a stranger writes is text: the elements are always the same."""
    plain = page._tag("div", page._tag("code", "x"), "y", class_="z")
    strange = page._tag("div", page._tag("code", what), path, class_="z")
    texts = [
        ET.tostring(element, encoding="unicode", method="html") for element in (plain, strange)
    ]
    plain_tags, strange_tags = (Tags(text) for text in texts)
    assert strange_tags.tags == plain_tags.tags
    assert strange_tags.text == page._clean(what) + page._clean(path)


def test_page_of_a_harmless_repo(load: Load) -> None:
    """It says that nothing was found, and who did not look."""
    source = load({"env.py": "x = 1\n"})
    text = page.render(inspect(source, lint=False), source.root)
    assert "Nothing was found." in text
    assert "bandit has not read it" in text


def test_hostile_texts_are_shown_harmlessly() -> None:
    """Terminals are not moved, and text is not turned around, by what is shown."""
    assert shown("a\x1b[2Jb\u202ec\n") == "a\\u001b[2Jb\\u202ec\\u000a"
    assert len(shown("x" * 500)) == 80
    finding = Finding.of("files", "env.py", 0, "\x07")
    assert (finding.what, finding.where) == ("\\u0007", "env.py")


def test_kinds_are_explained() -> None:
    """Every kind has a severity, and a sentence that says why it matters."""
    assert {kind.severity for kind in KINDS.values()} == set(SEVERITIES)
    assert all(len(kind.why.split()) > 3 for kind in KINDS.values())


def test_importing_bandit_changes_nothing(load: Load) -> None:
    """Warnings look as before, and none is shown."""
    before = warnings.formatwarning
    source = load({"env.py": "import ssl\nx = '\\d'\n", "bad.py": "ssl (\n"})
    assert linter.lint(source.root, ["env.py", "bad.py"]) == []
    assert warnings.formatwarning is before


def test_without_bandit(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the rest is there, and the report says so."""
    monkeypatch.setattr(linter, "find_spec", lambda _: None)
    report = inspect(load(EVIL))
    assert report.linted is False
    assert not [found for found in report.findings if found.kind.startswith("bandit")]


def test_files_without_anything_for_bandit(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not even imported for files in which it could find nothing."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "bandit"]:
        monkeypatch.delitem(sys.modules, name)
    inspect(load({"env.py": "import numpy\n"}))
    assert "bandit" not in sys.modules


@pytest.mark.parametrize(
    ("line", "test"),
    [
        ("yaml.load(text)", "B506"),
        ("import tarfile\ntarfile.open('x').extractall('y')", "B202"),
        ("import ssl\nssl._create_unverified_context()", "B323"),
        ("import hashlib\nhashlib.md5(b'')", "B324"),
        ("server.bind(('0.0.0.0', 80))", "B104"),
        ("import os\nos.chmod('x', 0o777)", "B103"),
        ("import xml.sax\nxml.sax.parse('x')", "B317"),
        ("import jinja2\njinja2.Environment(autoescape=False)", "B701"),
    ],
)
def test_what_bandit_finds(tmp_path: Path, line: str, test: str) -> None:
    """Each of these reaches bandit, past the look that spares it most files."""
    (tmp_path / "env.py").write_text(f"import yaml\n{line}\n")
    assert f"bandit-{test}" in {found.kind for found in linter.lint(tmp_path, ["env.py"])}
