"""Quota in a small file that all processes of a folder share; it is worth no backup and no sync.

Of each name one time is kept: when everything spent will have come back. What is left comes back evenly, so a full
quota may be spent at once, and never more than twice as much within any hour. Names are kept as hashes.
"""

import hashlib
import sqlite3
import threading
from pathlib import Path

from fhirmedia.backends.sqlite import failure_of

HOUR_MS = 3_600_000
_TABLE = "CREATE TABLE IF NOT EXISTS spent (name BLOB PRIMARY KEY, back_at INTEGER NOT NULL) WITHOUT ROWID"
_GET = "SELECT back_at FROM spent WHERE name = ?"
_PUT = "INSERT OR REPLACE INTO spent (name, back_at) VALUES (?, ?)"
_FORGET = "DELETE FROM spent WHERE back_at <= ?"


class QuotaSql:
    """So many for each name in an hour. It may be asked from any thread."""

    def __init__(self, path: Path, *, per_hour: int) -> None:
        self._each_ms = HOUR_MS / per_hour
        self._turn = threading.Lock()
        try:
            self._connection = _open(path)
        except sqlite3.DatabaseError:  # half written when the power failed: nothing of worth is in it
            path.unlink(missing_ok=True)
            self._connection = _open(path)

    def spend(self, name: str, *, now: int) -> int:
        """Take one, or say in how many seconds there is one. Raises Failure UNAVAILABLE."""
        hashed = hashlib.sha256(name.encode()).digest()
        try:
            with self._turn, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute(_FORGET, (now,))
                found = self._connection.execute(_GET, (hashed,)).fetchone()
                # No more than all of it can be spent: a clock that was ahead once locks nobody out for as long.
                spent = now if found is None else min(found[0], now + HOUR_MS)
                back_at = spent + self._each_ms
                too_late = back_at - now - HOUR_MS
                self._connection.execute(_PUT, (hashed, spent if too_late > 0 else back_at))
                if too_late > 0:
                    return int(too_late // 1000) + 1
        except sqlite3.Error as error:
            raise failure_of(error) from error
        return 0

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(_TABLE)
    return connection
