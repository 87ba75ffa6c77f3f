"""How often repos were downloaded: counted in memory, written down now and then."""

from __future__ import annotations

import threading
from collections import Counter

from envhub.server.database import Database

COUNTED = frozenset({"env.py", "envhub.toml", "config.json"})
"""The files whose download counts: each load of an env takes one of them, and few take several."""


class Downloads:
    """Counts since they were last written to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._counts: Counter[int] = Counter()

    def add(self, repo: int, path: str) -> None:
        """Count the download of a file, if it is one that counts."""
        if path in COUNTED:
            with self._lock:
                self._counts[repo] += 1

    def flush(self) -> None:
        """Write the counts down; a crash loses those of the last seconds."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if counts:
            with self._database.write() as connection:
                connection.executemany(
                    "UPDATE repos SET downloads = downloads + ? WHERE id = ?",
                    [(number, repo) for repo, number in counts.items()],
                )
