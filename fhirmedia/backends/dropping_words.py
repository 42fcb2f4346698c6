"""Taking the words of some types out of the database for good, and giving back the room they had."""

import json
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from fhirmedia.backends.index_rows import HOLDS_WORDS
from fhirmedia.backends.index_words import CREATE
from fhirmedia.backends.sqlite import failure_of, open_writer
from fhirmedia.backends.words_kept import keep_none_of

_LEFT = "idx_words_left"
_KEEP = (
    f"INSERT INTO {_LEFT} (rowid, body) SELECT w.rowid, w.body FROM res_row r CROSS JOIN idx_words w ON w.rowid = r.rid"
    f" WHERE r.holds & {HOLDS_WORDS} <> 0 AND r.type NOT IN (SELECT value FROM json_each(?))"
)
_FORGET = (
    f"UPDATE res_row SET holds = holds & ~{HOLDS_WORDS}"
    f" WHERE type IN (SELECT value FROM json_each(?)) AND holds & {HOLDS_WORDS} <> 0"
)


def drop_words(path: Path, types: Collection[str]) -> int:
    """Keep no words of these types any more; returns how many bytes smaller the database is.

    For a folder that nobody else has open. All of them leave in one transaction; the room is given back behind it, and
    by another run if that was interrupted. It needs about as much room again as what is left. Raises Failure DISK_FULL
    or UNAVAILABLE.
    """
    before = path.stat().st_size
    with closing(open_writer(path)) as writer:
        try:
            _drop(writer, types)
            _give_back(writer)
        except sqlite3.Error as error:
            raise failure_of(error) from error
    return before - path.stat().st_size


def _drop(writer: sqlite3.Connection, types: Collection[str]) -> None:
    named = (json.dumps(sorted(types)),)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute(CREATE.replace("idx_words", _LEFT, 1))
    writer.execute(_KEEP, named)
    writer.execute("DROP TABLE idx_words")
    writer.execute(f"ALTER TABLE {_LEFT} RENAME TO idx_words")
    writer.execute(_FORGET, named)
    keep_none_of(writer, types)
    writer.execute("COMMIT")


def _give_back(writer: sqlite3.Connection) -> None:
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    writer.execute("PRAGMA temp_store=FILE")
    writer.execute("VACUUM")
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
