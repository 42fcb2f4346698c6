"""The file of the index behind the audit logs: its tables, made anew where their form is another."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FORM = 2
_TABLES = (
    "CREATE TABLE indexed (log_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT",
    """CREATE TABLE event (
        id INTEGER PRIMARY KEY, log_id TEXT NOT NULL, sequence INTEGER NOT NULL, number INTEGER NOT NULL,
        at INTEGER NOT NULL, interaction TEXT NOT NULL, outcome TEXT NOT NULL, subject TEXT NOT NULL,
        client TEXT NOT NULL, user TEXT, patient TEXT, sole_patient TEXT
    ) STRICT""",
    "CREATE UNIQUE INDEX event_place ON event (log_id, sequence, number)",
    "CREATE INDEX event_at ON event (at)",
    "CREATE INDEX event_patient ON event (patient, at)",
    "CREATE INDEX event_user ON event (user, at)",
    "CREATE INDEX event_subject ON event (subject, at)",
    """CREATE TABLE principal (
        kind INTEGER NOT NULL, text TEXT NOT NULL, system TEXT, code TEXT NOT NULL, PRIMARY KEY (kind, text)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE entity (
        key TEXT NOT NULL, event INTEGER NOT NULL, version INTEGER, PRIMARY KEY (key, event)
    ) STRICT, WITHOUT ROWID""",
    f"PRAGMA user_version={_FORM}",
)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """What is done inside is done whole, or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def open_index(path: Path) -> sqlite3.Connection:
    """The index, made anew if it is of another form."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.executescript(
        "PRAGMA busy_timeout=30000; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8192;"
        "PRAGMA wal_autocheckpoint=8000;"
    )
    with transaction(connection):
        (form,) = connection.execute("PRAGMA user_version").fetchone()
        if form != _FORM:
            for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                connection.execute(f"DROP TABLE {table}")
            for statement in _TABLES:
                connection.execute(statement)
    path.chmod(0o600)
    return connection
