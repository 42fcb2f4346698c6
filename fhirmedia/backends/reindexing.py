"""Building the search index anew from the records of a folder that nobody else has open."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from fhirmedia.backends.added_sql import have_all_ready
from fhirmedia.backends.folder import UNFINISHED
from fhirmedia.backends.index_rebuild import rebuild
from fhirmedia.backends.records_sql import record_of
from fhirmedia.backends.sqlite import failure_of, open_reader, open_writer
from fhirmedia.backends.texts_sql import queue_failed
from fhirmedia.core.records import Record
from fhirmedia.core.settings import DEFAULT_LANGUAGE
from fhirmedia.r4.values import IndexEntries

_AT_ONCE = 500
_CURRENT = """
    SELECT v.type, v.id, v.version, v.sequence, v.changed_at, v.method, v.body, v.facts FROM record_version v
    WHERE v.sequence > ? AND v.method <> 'delete' AND v.body IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM record_version n WHERE n.type = v.type AND n.id = v.id AND n.version > v.version)
    ORDER BY v.sequence LIMIT ?"""
_END = "SELECT coalesce(max(sequence), 0) FROM record_version"

_SET_TIMEZONE = "INSERT OR REPLACE INTO installation (name, value) VALUES ('timezone', ?)"
_SET_LANGUAGE = "INSERT OR REPLACE INTO installation (name, value) VALUES ('language', ?)"


def reindex(
    path: Path,
    entries_of: Callable[[Record], IndexEntries | None],
    *,
    timezone: str,
    language: str = DEFAULT_LANGUAGE,
    on_progress: Callable[[int], None],
) -> int:
    """Rebuild the index, for dates without a time read in `timezone` and names sorted in `language`.

    Returns how many resources are in it.

    `entries_of` is None for what is not searched; `on_progress` is told how many changes of the log are behind. An
    interrupted rebuild has to be run again, and the folder says so. What was added to its search parameters can then be
    searched by, so `entries_of` has to know all of it. Texts of contents are not read again; those that could not be
    read are put in the queue of the server. Raises Failure DISK_FULL or UNAVAILABLE.
    """
    with closing(open_writer(path)) as writer, closing(open_reader(path)) as reader:

        def after_batch(_done: int) -> None:
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        try:
            writer.execute(_SET_TIMEZONE, (UNFINISHED,))
            number = rebuild(writer, _resources(reader, entries_of, on_progress), on_progress=after_batch)
            have_all_ready(writer)
            queue_failed(writer)
            writer.execute(_SET_LANGUAGE, (language,))
            writer.execute(_SET_TIMEZONE, (timezone,))
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise failure_of(error) from error
    return number


def last_sequence(path: Path) -> int:
    """Where the log of changes ends."""
    with closing(open_reader(path)) as connection:
        return int(connection.execute(_END).fetchone()[0])


def _resources(
    reader: sqlite3.Connection,
    entries_of: Callable[[Record], IndexEntries | None],
    on_progress: Callable[[int], None],
) -> Iterator[tuple[Record, IndexEntries]]:
    last = 0
    while rows := reader.execute(_CURRENT, (last, _AT_ONCE)).fetchall():
        for row in rows:
            record = record_of(row)
            entries = entries_of(record)
            if entries is not None:
                yield record, entries
        on_progress(rows[-1][3] - last)
        last = rows[-1][3]
    (end,) = reader.execute(_END).fetchone()
    on_progress(end - last)
