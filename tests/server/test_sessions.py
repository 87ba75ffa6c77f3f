"""Sessions of browsers: what they stand for, and when they end."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from envhub.server import database, sessions
from envhub.server.accounts import Accounts
from envhub.server.database import Database
from envhub.server.sessions import Sessions


@pytest.fixture
def opened(tmp_path: Path) -> Database:
    return Database(tmp_path / "hub.sqlite3", durable=False)


def test_session_is_its_token(opened: Database) -> None:
    """A session may what the token may, and ends with the token, however that ends."""
    accounts = Accounts(opened)
    accounts.add("ada")
    kept = Sessions(opened, accounts)
    for name, ending in (
        ("dropped", lambda: accounts.drop_token("ada", "dropped")),
        ("replaced", lambda: accounts.new_token("ada", "replaced")),
        ("old", lambda: opened.change("UPDATE tokens SET expires = 1 WHERE name = 'old'")),
    ):
        cookie = kept.begin(accounts.new_token("ada", name, "read", seconds=60))
        found = kept.find(cookie or "")
        assert found
        assert (found.caller.name, found.caller.role, found.caller.token) == ("ada", "read", name)
        ending()
        assert kept.find(cookie or "") is None


def test_cookie_is_not_kept(opened: Database) -> None:
    """Whoever reads the database cannot make a cookie from it."""
    accounts = Accounts(opened)
    accounts.add("ada")
    kept = Sessions(opened, accounts)
    secret = accounts.new_token("ada", "first")
    cookies = [kept.begin(secret) or "" for _ in range(2)]
    assert len({*cookies, secret}) == 3
    rows = "".join(str(tuple(row)) for row in opened.all("SELECT * FROM sessions"))
    assert not [cookie for cookie in cookies if cookie in rows]
    found = kept.find(cookies[0])
    assert found
    assert kept.find(found.key) is None


def test_session_ends(opened: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session ends when one signs out, alone, or after two weeks; a wrong token begins none."""
    accounts = Accounts(opened)
    accounts.add("ada")
    kept = Sessions(opened, accounts)
    secret = accounts.new_token("ada", "first")
    first, second = (kept.begin(secret) or "" for _ in range(2))
    found = kept.find(first)
    assert found
    kept.end(found.key)
    assert kept.find(first) is None
    assert kept.find(second)
    assert kept.begin("hf_nobody") is None
    for wrong in ("", "\udcff", second[:-1], second + "x"):
        assert kept.find(wrong) is None
    late = time.time() + sessions.SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: late)
    assert kept.find(second) is None
    kept.begin(secret)
    assert opened.value("SELECT count(*) FROM sessions") == 1


def test_old_database_gets_sessions(tmp_path: Path) -> None:
    """A hub of the first version keeps what it has, and gains what later versions need."""
    path = tmp_path / "hub.sqlite3"
    with sqlite3.connect(path) as old:
        old.executescript(database.SCHEMAS[0] + "PRAGMA user_version = 1;")
        old.execute("INSERT INTO owners VALUES (1, 'ada', 'user', 'Ada', '', 0)")
    old.close()
    again = Database(path, durable=False)
    accounts = Accounts(again)
    assert Sessions(again, accounts).begin(accounts.new_token("ada", "first"))
    again.close()
    assert Database(path).value("PRAGMA user_version") == len(database.SCHEMAS)
