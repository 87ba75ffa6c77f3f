"""What ran is noted, and the notes do not grow for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

import envhub
from envhub import Client
from envhub.errors import LoadError, UntrustedError
from envhub.logbook import MAX_BYTES, Entry, Logbook
from envhub.pins import Pin
from envhub.refs import parse
from envhub.testing import ServedHub, repos
from envhub.trust import Allowed, Consent, decide
from envhub.trustfile import Policy

PIN = Pin(parse("u/r@v1"), "https://hub", "u/r", "model", "a" * 40, "env.py", "sha256:0")
ASKS = {**repos.COUNTER, "envhub.toml": "[permissions]\nnetwork = true\n"}


def entry(by: str = "grant") -> Entry:
    found = decide(PIN, Policy(), Consent(True, ("gpu",)))
    assert isinstance(found, Allowed)
    return msgspec.structs.replace(Entry.of(found, "process", "bubblewrap"), by=by)


def test_every_load_is_noted(hub: ServedHub) -> None:
    """Ref, commit, digest, level and permissions; what was refused did not run."""
    commit = hub.add("u/r", ASKS)
    client = Client(lock=False)
    with pytest.raises(UntrustedError):
        client.make_env("u/r", trust_remote_code=True)
    assert client.logbook.last(5) == []
    client.make_env("u/r", trust_remote_code=True, permissions=["network"]).close()
    client.grant("u/r", deny=["network"])
    client.make_env(f"u/r@{commit}").close()
    last, first = client.logbook.last(5)
    assert (first.ref, first.commit, first.level, first.by) == ("u/r", commit, "inline", "argument")
    assert (first.permissions, last.permissions) == (("network",), ())
    assert first.digest == client.resolve("u/r").digest
    assert datetime.now(UTC) - last.time < timedelta(minutes=1)


def test_code_that_failed_is_noted(tmp_path: Path) -> None:
    """It ran, too."""
    folder = repos.write({"env.py": "raise ValueError('mine')\n"}, tmp_path / "env")
    with pytest.raises(LoadError, match="mine"):
        envhub.make_env(str(folder), trust_remote_code=True)
    [found] = Client().logbook.last(5)
    assert (found.commit, found.level) == (None, "")


def test_it_is_bounded(tmp_path: Path) -> None:
    """There are two files, each about as large as one may be; the newest entries are there."""
    book = Logbook(tmp_path / "deep" / "runs.jsonl")
    line = len(entry().ref) + 300
    book.add(entry("first"))
    for k in range(3):
        with book.path.open("ab") as file:
            file.write(b"{}\n" * (MAX_BYTES // 3))
        book.add(entry(str(k)))
        book.add(entry(str(k)))
    sizes = {path.name: path.stat().st_size for path in book.path.parent.glob("*.jsonl")}
    assert set(sizes) == {"runs.jsonl", "runs.1.jsonl"}
    assert sum(sizes.values()) < 2 * (MAX_BYTES + line)
    assert [each.by for each in book.last(3)] == ["2", "2", "1"]


def test_lines_that_are_none(tmp_path: Path) -> None:
    """What a killed process left of a line hides no other line."""
    book = Logbook(tmp_path / "runs.jsonl")
    book.path.write_bytes(b'{"time": "20\n\xff\n[]\n')
    book.add(entry())
    assert book.last(9) == [entry()] or len(book.last(9)) == 1


def test_read_only(tmp_path: Path) -> None:
    """Where nothing can be written, nothing is noted and nothing fails."""
    (tmp_path / "file").touch()
    book = Logbook(tmp_path / "file" / "runs.jsonl")
    book.add(entry())
    assert book.last(1) == []
