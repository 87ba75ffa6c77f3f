"""The hub's SQLite database: schema, connections, transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BUSY_SECONDS = 30.0

_FIRST = """
CREATE TABLE owners (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'org')),
    fullname TEXT NOT NULL,
    email TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL
);
CREATE TABLE members (
    org INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('read', 'write', 'admin')),
    PRIMARY KEY (org, user)
) WITHOUT ROWID;
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('read', 'write', 'fine')),
    scopes TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL,
    expires REAL,
    UNIQUE (owner, name)
);
CREATE TABLE repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    owner INTEGER NOT NULL REFERENCES owners,
    name TEXT NOT NULL COLLATE NOCASE,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    gated TEXT NOT NULL DEFAULT '' CHECK (gated IN ('', 'auto', 'manual')),
    sdk TEXT,
    cas TEXT NOT NULL UNIQUE,
    head TEXT NOT NULL DEFAULT '',
    card TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL,
    modified REAL NOT NULL,
    downloads INTEGER NOT NULL DEFAULT 0,
    likes INTEGER NOT NULL DEFAULT 0,
    git_bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, owner, name)
);
CREATE INDEX repos_owner ON repos (owner);
CREATE INDEX repos_modified ON repos (kind, modified, id);
CREATE INDEX repos_created ON repos (kind, created, id);
CREATE INDEX repos_downloads ON repos (kind, downloads, id);
CREATE INDEX repos_likes ON repos (kind, likes, id);
CREATE TABLE former_names (
    kind TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE grants (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('read', 'write', 'admin')),
    PRIMARY KEY (repo, user)
) WITHOUT ROWID;
CREATE TABLE admissions (
    id INTEGER PRIMARY KEY,
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
    asked REAL NOT NULL,
    UNIQUE (repo, user)
);
CREATE TABLE tags (
    tag TEXT NOT NULL,
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    PRIMARY KEY (tag, repo)
) WITHOUT ROWID;
CREATE INDEX tags_repo ON tags (repo);
CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE holdings (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    sha256 TEXT NOT NULL REFERENCES blobs,
    since REAL NOT NULL,
    PRIMARY KEY (repo, sha256)
) WITHOUT ROWID;
CREATE INDEX holdings_sha256 ON holdings (sha256);
CREATE TABLE xorbs (
    cas TEXT NOT NULL,
    hash TEXT NOT NULL,
    bounds BLOB NOT NULL,
    whole INTEGER NOT NULL,
    PRIMARY KEY (cas, hash)
) WITHOUT ROWID;
CREATE TABLE runs (
    cas TEXT NOT NULL,
    xorb TEXT NOT NULL,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    blob TEXT NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (cas, xorb, low, high)
) WITHOUT ROWID;
CREATE TABLE locks (
    id INTEGER PRIMARY KEY,
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    path TEXT NOT NULL,
    owner TEXT NOT NULL,
    locked REAL NOT NULL,
    UNIQUE (repo, path)
);
CREATE TABLE devices (
    device TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    expires REAL NOT NULL,
    polled REAL NOT NULL DEFAULT 0,
    owner INTEGER REFERENCES owners ON DELETE CASCADE,
    role TEXT NOT NULL DEFAULT 'write'
) WITHOUT ROWID;
CREATE VIRTUAL TABLE names USING fts5 (name, tokenize = 'trigram');
CREATE VIRTUAL TABLE words USING fts5 (name, tags, body, tokenize = 'porter unicode61');
"""
_SESSIONS = """
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    token INTEGER NOT NULL REFERENCES tokens ON DELETE CASCADE,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_token ON sessions (token);
ALTER TABLE devices ADD COLUMN until REAL;
"""
_SEARCH = """
ALTER TABLE repos ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repos ADD COLUMN n_tasks INTEGER NOT NULL DEFAULT 0;
UPDATE repos SET serial = ranked.number FROM (
    SELECT id, row_number() OVER (ORDER BY modified, id) AS number FROM repos
) AS ranked WHERE ranked.id = repos.id;
DROP INDEX repos_owner;
DROP INDEX repos_modified;
DROP INDEX repos_created;
CREATE UNIQUE INDEX repos_serial ON repos (serial);
CREATE INDEX repos_tested ON repos (serial, kind, visibility, owner, gated, n_tasks, name);
CREATE INDEX repos_owner ON repos (owner, serial);
CREATE INDEX repos_kind ON repos (kind, serial);
CREATE INDEX repos_id ON repos (kind, id);
CREATE TABLE old_tags AS SELECT tag, serial FROM tags JOIN repos ON repos.id = tags.repo;
CREATE TABLE old_words AS SELECT serial, names.name AS full_name, tags, body
    FROM repos JOIN names ON names.rowid = repos.id JOIN words ON words.rowid = repos.id;
DROP TABLE tags;
DROP TABLE names;
DROP TABLE words;
CREATE TABLE tags (
    tag TEXT NOT NULL,
    serial INTEGER NOT NULL REFERENCES repos (serial) ON DELETE CASCADE,
    PRIMARY KEY (tag, serial)
) WITHOUT ROWID;
CREATE INDEX tags_serial ON tags (serial);
CREATE VIRTUAL TABLE names USING fts5 (name, tokenize = 'trigram', columnsize = 0);
CREATE VIRTUAL TABLE words USING fts5 (
    name, tags, body, tokenize = 'porter unicode61', columnsize = 0, prefix = '3 4 5'
);
INSERT INTO tags SELECT tag, serial FROM old_tags;
INSERT INTO names (rowid, name) SELECT serial, full_name FROM old_words;
INSERT INTO words (rowid, name, tags, body) SELECT serial, full_name, tags, body FROM old_words;
DROP TABLE old_tags;
DROP TABLE old_words;
CREATE TRIGGER repos_gone AFTER DELETE ON repos BEGIN
    DELETE FROM names WHERE rowid = old.serial; DELETE FROM words WHERE rowid = old.serial; END;
"""
_ABOUT = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    sha TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    UNIQUE (repo, sha)
);
CREATE TABLE abouts (
    repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    sha TEXT NOT NULL,
    block TEXT NOT NULL,
    ran INTEGER NOT NULL,
    examined REAL NOT NULL,
    PRIMARY KEY (repo, sha)
) WITHOUT ROWID;
CREATE TABLE previews (
    repo INTEGER NOT NULL,
    sha TEXT NOT NULL,
    type TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (repo, sha),
    FOREIGN KEY (repo, sha) REFERENCES abouts ON DELETE CASCADE
);
"""
SCHEMAS = (_FIRST, _SESSIONS, _SEARCH, _ABOUT)
"""What made the database of a version from that of the version before; a new one is put last."""


class Database:
    """One SQLite file, many threads, several processes.

    Readers never wait (write-ahead log); writers take turns. A connection is used by one thread at
    a time and kept for the next.

    Args:
        path: the file; it is made if it does not exist.
        durable: wait for the disk at each commit, so that not even a power cut loses one.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._durable = durable
        self._idle: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        with self.write() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            for schema in SCHEMAS[version:]:
                for statement in schema.split(";\n"):
                    connection.execute(statement)
            if version < len(SCHEMAS):
                connection.execute(f"PRAGMA user_version = {len(SCHEMAS)}")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, for as long as the block runs."""
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is kept whole if the block ends well, and not at all otherwise."""
        with self._writing, self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def one(self, sql: str, *args: Any) -> sqlite3.Row | None:
        """The first row of an answer."""
        with self.read() as connection:
            row: sqlite3.Row | None = connection.execute(sql, args).fetchone()
        return row

    def all(self, sql: str, *args: Any) -> list[sqlite3.Row]:
        """All rows of an answer."""
        with self.read() as connection:
            return connection.execute(sql, args).fetchall()

    def value(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, `None` if there is none."""
        row = self.one(sql, *args)
        return row[0] if row else None

    def change(self, sql: str, *args: Any) -> int:
        """Change rows in a transaction of its own; returns how many."""
        with self.write() as connection:
            return connection.execute(sql, args).rowcount

    def copy(self, target: Path) -> None:
        """Write a consistent copy of the database, also while others write to it."""
        with self.read() as connection:
            connection.execute("VACUUM INTO ?", (str(target),))

    def check(self) -> list[str]:
        """What SQLite finds to be wrong with the file."""
        found = [row[0] for row in self.all("PRAGMA integrity_check")]
        broken = [
            f"row of {row[0]} refers to nothing" for row in self.all("PRAGMA foreign_key_check")
        ]
        return [line for line in found if line != "ok"] + broken

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
