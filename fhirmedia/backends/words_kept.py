"""Which words the database keeps itself: all, unless those of some types were left to an index beside it."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.errors import Category, Failure

_NAME = "words-dropped"
_GET = "SELECT value FROM idx_state WHERE name = ?"
_SET = "INSERT OR REPLACE INTO idx_state (name, value) VALUES (?, ?)"
KEEP_ALL = f"DELETE FROM idx_state WHERE name = '{_NAME}'"
"""Let the words of all types be kept from this transaction on; what was written before has none."""


class WordsDroppedError(Failure):
    """Words were asked for that the database does not keep, among more resources than it reads one by one."""

    def __init__(self) -> None:
        super().__init__(
            Category.TOO_COSTLY,
            "Words of these types are found by the search index beside the database alone, and it does not answer this "
            "search; name a patient, or search for words of types it holds and for nothing else.",
        )


def types_dropped(connection: sqlite3.Connection) -> frozenset[str]:
    """The types whose words are not kept."""
    row = connection.execute(_GET, (_NAME,)).fetchone()
    return frozenset() if row is None else frozenset(row[0].split())


def keep_none_of(connection: sqlite3.Connection, types: Collection[str]) -> None:
    """Keep no words of these types from this transaction on, nor of those of which none are kept already.

    What was left out before does not come back by itself: only `KEEP_ALL` ends it, where the index is made anew.
    """
    connection.execute(_SET, (_NAME, " ".join(sorted(types_dropped(connection).union(types)))))


def require_words(path: Path, *, folder: Path) -> None:
    """Raise Failure CONFLICT unless the database, asked alone, finds the words of all types."""
    with closing(open_reader(path)) as connection:
        dropped = types_dropped(connection)
    if dropped:
        raise Failure(
            Category.CONFLICT,
            f"The words of {', '.join(sorted(dropped))} were left to the search index (`--drop-fts`), and no "
            f"FHIRMEDIA_INDEX is set. Set it, or run `fhirmedia reindex --data {folder}`.",
        )
