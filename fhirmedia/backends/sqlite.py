"""How SQLite is opened, and what its errors mean."""

import logging
import sqlite3
from pathlib import Path

from fhirmedia.core.errors import Category, Failure

log = logging.getLogger("fhirmedia")

NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""A write is refused for want of room, quota or file size and leaves nothing; damage shows when a file is synced."""


_HARMLESS = NO_ROOM | {sqlite3.SQLITE_CORRUPT_VTAB}
"""A full-text index that contradicts itself is damage within a sound file, and can be made anew."""


MAPPED_BYTES = 2**30
"""Of a file whose pages are read in place, so many at most."""


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection for the one writing thread: WAL, every commit synced, transactions begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise Failure(Category.UNAVAILABLE, "The database cannot use write-ahead logging on this file system.")
    connection.executescript(
        "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA busy_timeout=30000;"
        "PRAGMA foreign_keys=ON; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY;"
    )
    return connection


def open_reader(path: Path, *, mapped: bool = False, cache_kib: int = 16_384) -> sqlite3.Connection:
    """A connection that cannot write, keeping so many pages in memory; usable from any one thread at a time.

    `mapped`: pages are read where the operating system keeps them. That takes a tenth off the reading of one record,
    and each page that was read counts as memory of the process: not for what walks through the archive.
    """
    connection = sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.executescript(
        f"PRAGMA query_only=ON; PRAGMA busy_timeout=5000; PRAGMA cache_size=-{cache_kib}; PRAGMA temp_store=MEMORY;"
        f"PRAGMA mmap_size={MAPPED_BYTES if mapped else 0};"
    )
    return connection


def disk_failed(error: sqlite3.Error) -> bool:
    """Whether a sync or write failed in a way after which nothing this process believes about the file is safe."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code not in _HARMLESS and code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT)


def is_interrupt(error: sqlite3.Error) -> bool:
    """Whether a statement was stopped because its time was up."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT


def failure_of(error: sqlite3.Error) -> Failure:
    """The Failure a client sees for a database error; its text holds nothing of the statement."""
    if getattr(error, "sqlite_errorcode", 0) in NO_ROOM:
        return Failure(Category.DISK_FULL, "The storage is full; nothing was changed.")
    log.error("the database refused: %s", getattr(error, "sqlite_errorname", type(error).__name__))
    return Failure(Category.UNAVAILABLE, "The database cannot take the request at present.", retry_after_s=5)
