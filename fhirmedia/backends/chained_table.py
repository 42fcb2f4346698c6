"""The tables of a chained log in SQLite: appending to them inside a transaction, and reading them back."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from itertools import zip_longest
from pathlib import Path

from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.audit_chain import GENESIS, ChainedRow, Head, chain_hash

CHANGES = "changes"
"""The id of the log of changes, which stands in the records' own database."""

APPEND_ONLY = tuple(
    f"CREATE TRIGGER {table}_keeps_{act.lower()} BEFORE {act} ON {table}"
    f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    for table, act in (("audit_row", "UPDATE"), ("audit_row", "DELETE"), ("raw_query", "UPDATE"))
)
"""Statements that make the tables append-only; a raw query may still be erased."""

TABLES = (
    (
        "CREATE TABLE audit_row (log_id TEXT NOT NULL, sequence INTEGER PRIMARY KEY, previous BLOB NOT NULL,"
        " hash BLOB NOT NULL, disclosure BLOB NOT NULL) STRICT"
    ),
    "CREATE TABLE raw_query (log_id TEXT NOT NULL, sequence INTEGER PRIMARY KEY, salted BLOB NOT NULL) STRICT",
    *APPEND_ONLY,
)

INSERT_ROW = "INSERT INTO audit_row (log_id, sequence, previous, hash, disclosure) VALUES (?, ?, ?, ?, ?)"
INSERT_QUERY = "INSERT INTO raw_query (log_id, sequence, salted) VALUES (?, ?, ?)"
_HEAD = "SELECT sequence, hash FROM audit_row WHERE log_id = ? ORDER BY sequence DESC LIMIT 1"
_ROWS = (
    "SELECT audit_row.sequence, previous, hash, disclosure, salted FROM audit_row LEFT JOIN raw_query"
    " ON raw_query.log_id = audit_row.log_id AND raw_query.sequence = audit_row.sequence WHERE audit_row.log_id = ?"
)
_ROWS_AFTER = f"{_ROWS} AND audit_row.sequence > ? ORDER BY audit_row.sequence"
_ROW = f"{_ROWS} AND audit_row.sequence = ?"


class ChangeChain:
    """The chained log of changes: a row goes in with the change it tells of, in one transaction.

    The lock that the transaction holds is what keeps two processes from extending the same head.
    """

    def __init__(self, log_id: str = CHANGES) -> None:
        self._log_id = log_id

    def head(self, connection: sqlite3.Connection) -> Head:
        """Where the log ends, as this transaction sees it."""
        sequence, head = connection.execute(_HEAD, (self._log_id,)).fetchone() or (0, GENESIS)
        return Head(self._log_id, sequence, head)

    def append(self, connection: sqlite3.Connection, disclosure: bytes, raw_query: bytes | None) -> int:
        """Chain one row and return its sequence."""
        head = self.head(connection)
        following = self.following(head, disclosure)
        connection.execute(INSERT_ROW, self.row(head, following, disclosure))
        if raw_query is not None:
            connection.execute(INSERT_QUERY, (self._log_id, following.sequence, raw_query))
        return following.sequence

    def following(self, head: Head, disclosure: bytes) -> Head:
        """Where the log ends with one more row."""
        sequence = head.sequence + 1
        return Head(self._log_id, sequence, chain_hash(self._log_id, sequence, head.hash, disclosure))

    def row(self, head: Head, following: Head, disclosure: bytes) -> tuple[str, int, bytes, bytes, bytes]:
        """That row, as INSERT_ROW takes it."""
        return self._log_id, following.sequence, head.hash, following.hash, disclosure


class SqliteChainedLog:
    """ChainedLog over files that continue each other, each given with its first sequence; opened for each question."""

    def __init__(self, log_id: str, files: Sequence[tuple[int, Path]]) -> None:
        self._log_id = log_id
        self._files = tuple(files)

    @property
    def log_id(self) -> str:
        return self._log_id

    def rows(self, *, after: int = 0) -> Iterator[ChainedRow]:
        following = [first for first, _ in self._files[1:]]
        for (_, path), next_first in zip_longest(self._files, following):
            if next_first is None or next_first > after + 1:
                with closing(open_reader(path)) as connection:
                    yield from map(ChainedRow._make, connection.execute(_ROWS_AFTER, (self._log_id, after)))

    def pick(self, sequences: Collection[int]) -> Iterator[ChainedRow]:
        for path, wanted in self._by_file(sequences).items():
            with closing(open_reader(path)) as connection:
                for sequence in wanted:
                    yield from map(ChainedRow._make, connection.execute(_ROW, (self._log_id, sequence)))

    def _by_file(self, sequences: Collection[int]) -> dict[Path, list[int]]:
        found: dict[Path, list[int]] = {}
        for sequence in sequences:
            for first, path in reversed(self._files):
                if first <= sequence:
                    found.setdefault(path, []).append(sequence)
                    break
        return found
