"""Copying SQLite's write-ahead log back into the database, beside its writers and in pieces."""

import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from fhirmedia.backends.sqlite import disk_failed, failure_of, open_writer

PIECE_PAGES = 4_096
"""The log is copied each time about so many pages (16 MiB) were added: a larger piece holds up whoever syncs."""

LONG_PAGES = 16_384
"""Above this many pages (64 MiB) a writer copies the rest of a piece, so that the log starts anew."""

MOST_COMMITS = 1_000
"""The log is copied after so many commits at the latest, however little they wrote."""

NEVER = sys.maxsize


class WalCheckpoints:
    """A thread that copies the write-ahead log into the database, so that no writer waits for more than a rest.

    SQLite tells the length of the log only when it copies, so the thread learns how long the log grows by a commit
    (the commits of other processes included) and copies when a piece must have come together, or after `idle_s`.
    What cannot be copied for want of room stays in the log and is copied later; `on_broken` is called where a sync
    failed.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_broken: Callable[[], None],
        piece_pages: int = PIECE_PAGES,
        long_pages: int = LONG_PAGES,
        idle_s: float = 5.0,
    ) -> None:
        self._connection = open_writer(path)
        self._on_broken = on_broken
        self._piece_pages = piece_pages
        self._long_pages = long_pages
        self._idle_s = idle_s
        self._commits = 0
        self._due_at = 1
        self._pages = 0
        self._due = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="wal-checkpoints", daemon=True)
        self._thread.start()

    def committed(self, writer: sqlite3.Connection) -> None:
        """Told after each commit, in the writer's thread and before another process may write."""
        self._commits += 1
        if self._commits >= self._due_at:
            self._due.set()
        # A log begins anew only when nothing in it is left to be copied, and the thread never sees that while writers
        # do not rest. What came since it copied is little. It may be copying now: then the next commit finds an end.
        if self._pages > self._long_pages and self._copy(writer):
            self._pages = 0

    def close(self) -> None:
        """The thread ends; SQLite copies the rest when the last connection to the database is closed."""
        self._closing = True
        self._due.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        done, length, apart = 0, 0, 1
        while not self._closing:
            self._due.wait(self._idle_s)
            self._due.clear()
            commits = self._commits
            if commits == done:
                continue
            self._due_at = NEVER  # what is committed while it copies is of the next piece
            pages = self._copy(self._connection)
            if pages:
                grown = pages - length if pages > length else pages
                # At most twice: a log that began anew meanwhile looks as if it had hardly grown.
                apart = min(MOST_COMMITS, 2 * apart, 1 + self._piece_pages * (commits - done) // grown)
                length = self._pages = pages
                done = commits
            self._due_at = commits + apart

    def _copy(self, connection: sqlite3.Connection) -> int:
        """How many pages the log has; 0 where another process is copying it or it could not be copied."""
        try:
            pages: int = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        except sqlite3.Error as error:
            if disk_failed(error):
                self._on_broken()
            failure_of(error)
            return 0
        return max(0, pages)
