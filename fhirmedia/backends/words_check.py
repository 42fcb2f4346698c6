"""Whether the full-text index finds the documents it holds, and making it anew from them.

The engine's own check counts as a statement that writes, so whoever may only read runs it on a copy.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

_CHECK = "INSERT INTO main.idx_words (idx_words) VALUES ('integrity-check')"
_REBUILD = "INSERT INTO idx_words (idx_words) VALUES ('rebuild')"
_PARTS = tuple(f"idx_words_{part}" for part in ("data", "idx", "content", "docsize", "config"))
TABLES = ("idx_words", *_PARTS)
"""The full-text index, and the tables the engine keeps it in."""

_SQL = "SELECT sql FROM stored.sqlite_schema WHERE name = ?"


def words_agree(path: Path) -> bool:
    """Whether the stored index agrees with its documents, as of one moment, beside whoever writes.

    The copy is a private file without a name in the directory for temporary files, as large as the index. Raises
    sqlite3.Error where it cannot be made.
    """
    with closing(sqlite3.connect("", isolation_level=None, uri=True)) as copy:
        copy.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
        copy.execute("ATTACH ? AS stored", (f"file:{path}?mode=ro",))
        copy.execute("BEGIN")
        # The engine remembers what it has seen of a table: the rows are there before it opens theirs.
        for name in _PARTS:
            copy.execute(copy.execute(_SQL, (name,)).fetchone()[0])
            copy.execute(f"INSERT INTO main.{name} SELECT * FROM stored.{name}")
        (sql,) = copy.execute(_SQL, ("idx_words",)).fetchone()
        copy.execute("PRAGMA writable_schema=ON")
        copy.execute(
            "INSERT INTO main.sqlite_schema (type, name, tbl_name, rootpage, sql)"
            " VALUES ('table', 'idx_words', 'idx_words', 0, ?)",
            (sql,),
        )
        copy.execute("COMMIT")
        copy.execute("PRAGMA writable_schema=RESET")
        return is_sound(copy)


def is_sound(connection: sqlite3.Connection) -> bool:
    """The same of a connection that may write."""
    try:
        connection.execute(_CHECK)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CORRUPT_VTAB:
            return False
        raise
    return True


def index_anew(connection: sqlite3.Connection) -> None:
    """Make the index anew from the documents it holds."""
    connection.execute(_REBUILD)
