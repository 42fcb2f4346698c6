"""Rows of a shared transaction that wait to be written together: one statement for all of a kind, at the end.

What a work puts is its own until the work has ended well; then it is kept. A work that is refused leaves nothing, and
needs no savepoint unless its rows had to be written before its end. Savepoints cost more than they seem to: the
full-text index is flushed at each.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Row = Sequence[object] | Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """SQL that writes or removes a row; those of a lower `place` run before the others."""

    place: int
    sql: str


class PendingRows:
    """The rows that wait on one connection, inside its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: dict[Statement, list[Row]] = {}
        self._own: dict[Statement, list[Row]] = {}

    def __bool__(self) -> bool:
        return bool(self._kept or self._own)

    def add(self, statement: Statement, *rows: Row) -> None:
        """Let these wait; rows of one statement run in their order."""
        self.extend(statement, rows)

    def extend(self, statement: Statement, rows: Iterable[Row]) -> None:
        """As `add`."""
        waiting = self._own.get(statement)
        if waiting is None:
            waiting = self._own[statement] = []
        waiting.extend(rows)

    def keep(self) -> None:
        """The work has ended well."""
        if not self._kept:
            self._kept, self._own = self._own, {}
            return
        for statement, rows in self._own.items():
            self._kept.setdefault(statement, []).extend(rows)
        self._own = {}

    def drop(self) -> None:
        """The work was refused."""
        self._own = {}

    def write_kept(self) -> None:
        """Write what ended works put."""
        waiting, self._kept = self._kept, {}
        self._write(waiting)

    def write_own(self) -> None:
        """Write what the present work has put so far; what is kept has to be written before."""
        waiting, self._own = self._own, {}
        self._write(waiting)

    def _write(self, waiting: dict[Statement, list[Row]]) -> None:
        for statement in sorted(waiting, key=_place):
            self._connection.executemany(statement.sql, waiting[statement])


def _place(statement: Statement) -> int:
    return statement.place
