"""The files of the audit folder: worker slots, and the files a slot's log is kept in, one after another."""

import errno
import fcntl
import os
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

from fhirmedia.backends.chained_table import TABLES, SqliteChainedLog
from fhirmedia.backends.objects_files import sync_folder
from fhirmedia.backends.sqlite import open_writer

_CACHE_KIB = 2048
"""Rows are appended and hardly read again by the process that wrote them."""


def take_slot(folder: Path) -> tuple[int, int]:
    """The lowest free slot and the descriptor that holds its lock; the system lets go of it when the process ends."""
    for slot in count():
        descriptor = os.open(folder / f"slot-{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return slot, descriptor
    raise AssertionError


def segments(folder: Path, log_id: str) -> list[tuple[int, Path]]:
    """The files of a log in order, each with its first sequence, which is in its name."""
    return sorted((int(path.name.split(".")[1]), path) for path in folder.glob(f"{log_id}.*.db"))


def segment_path(folder: Path, log_id: str, first: int) -> Path:
    """Where the rows from `first` on are, or will be."""
    return folder / f"{log_id}.{first}.db"


def slot_logs(folder: Path) -> list[SqliteChainedLog]:
    """The logs of all slots there ever were, for readers."""
    log_ids = sorted({path.name.split(".")[0] for path in folder.glob("disclosures-*.*.db")})
    return [SqliteChainedLog(log_id, segments(folder, log_id)) for log_id in log_ids]


def open_segment(path: Path) -> sqlite3.Connection:
    """The writing connection of a file, which is made, whole and at once for its readers, if it is new.

    Raises sqlite3.Error or OSError, and then leaves no new file.
    """
    if not path.exists():
        _make(path)
    connection = open_writer(path)
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    return connection


def _make(path: Path) -> None:
    """Make the file under another name that no reader looks for, and rename it when its tables are in it."""
    making = path.with_name(f".{path.name}")
    parts = [making, *(making.with_name(making.name + end) for end in ("-wal", "-shm"))]
    for part in parts:
        part.unlink(missing_ok=True)
    try:
        with closing(open_writer(making)) as connection:
            connection.executescript(";".join(("BEGIN IMMEDIATE", *TABLES, "COMMIT")))
        if parts[1].exists():
            raise OSError(errno.ENOSPC, "the write-ahead log could not be copied back")
        making.chmod(0o600)
        making.rename(path)
        sync_folder(path.parent)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
