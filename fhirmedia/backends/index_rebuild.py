"""The index made anew from every current resource, which takes a while in which it is not complete."""

import sqlite3
from collections.abc import Callable, Iterable
from itertools import islice

from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_tables import PatientRow, ResRow, Spelling
from fhirmedia.backends.index_values import VALUE_TABLES
from fhirmedia.backends.index_words import EMPTY as EMPTY_WORDS
from fhirmedia.backends.pending_rows import PendingRows
from fhirmedia.backends.tables import table_of
from fhirmedia.backends.words_kept import KEEP_ALL
from fhirmedia.core.records import Record
from fhirmedia.r4.values import IndexEntries

_TABLES = (table_of(ResRow), table_of(PatientRow), table_of(Spelling), *VALUE_TABLES)
_EMPTY = (*(f"DELETE FROM {table.name}" for table in _TABLES), *EMPTY_WORDS)
_REBUILDING = "rebuilding"
_SET_STATE = "INSERT OR REPLACE INTO idx_state (name, value) VALUES (?, '1')"
_CLEAR_STATE = "DELETE FROM idx_state WHERE name = ?"
_STATE_OF = "SELECT 1 FROM idx_state WHERE name = ?"


def rebuild(
    connection: sqlite3.Connection,
    resources: Iterable[tuple[Record, IndexEntries]],
    *,
    batch: int = 2000,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> int:
    """Empty the index and fill it from every current resource, words included; returns how many there were.

    Needs the writer's connection, and nobody else writing. Commits after each batch and then tells `on_progress` how
    many are done; until the last one `is_complete` is false. `resources` may read from another connection.
    """
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_SET_STATE, (_REBUILDING,))
    for statement in (*_EMPTY, KEEP_ALL):
        connection.execute(statement)
    connection.execute("COMMIT")
    writer, waiting, done = IndexWriter(), iter(resources), 0
    while some := list(islice(waiting, batch)):
        connection.execute("BEGIN IMMEDIATE")
        writer.begin(connection)
        pending = PendingRows(connection)
        for record, entries in some:
            writer.stage(connection, pending, record, entries)
        pending.write_own()
        connection.execute("COMMIT")
        done += len(some)
        on_progress(done)
    connection.execute(_CLEAR_STATE, (_REBUILDING,))
    return done


def is_complete(connection: sqlite3.Connection) -> bool:
    """False while a rebuild has begun and not ended: searches would miss resources."""
    return connection.execute(_STATE_OF, (_REBUILDING,)).fetchone() is None
