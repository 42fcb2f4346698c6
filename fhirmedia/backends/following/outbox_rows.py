"""What a change writes for an index beside the database: one row, in the transaction of the change.

Whether anything follows is said in the database, not by the settings of whoever writes: an import or a repair in
another process is followed like the rest. While nothing follows, a group of changes costs one look.
"""

import sqlite3
from collections.abc import Callable

from fhirmedia.backends.pending_rows import PendingRows, Statement
from fhirmedia.core.records import Facts, Record

FOLLOWED = "followed_types"
"""The name, in `installation`, of the types whose changes an index takes in."""

_FOLLOWED = f"SELECT value FROM installation WHERE name = '{FOLLOWED}'"
_WAITS = "(SELECT {0} FROM index_outbox WHERE type = :type AND id = :id)"
_INSERT = Statement(
    80,
    "INSERT OR REPLACE INTO index_outbox (type, id, moved, since, attempts, due_at, until, is_dead)"
    f" VALUES (:type, :id, max(:moved, coalesce({_WAITS.format('moved')}, 0)),"
    f" min(:now, coalesce({_WAITS.format('since')}, :now)), 0, 0, 0, 0)",
)
_INSERT_PATIENT = Statement(81, "INSERT OR IGNORE INTO index_outbox_patient (type, id, patient) VALUES (?, ?, ?)")


class OutboxRows:
    """The outbox as far as a write transaction is concerned; one per writer thread.

    `wake` is called, in that thread, after a commit that wrote rows.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._types: frozenset[str] = frozenset()
        self._staged = False

    def begin(self, connection: sqlite3.Connection) -> None:
        """Called first in each transaction."""
        row = connection.execute(_FOLLOWED).fetchone()
        self._types = frozenset() if row is None else frozenset(row[0].split())
        self._staged = False

    def stage(self, pending: PendingRows, record: Record, *, before: Facts | None, now: int) -> None:
        """Let the row of a changed record wait; `before` are the facts an index may know it by."""
        key, facts = record.key, record.facts
        if key.type not in self._types:
            return
        moved = before is not None and (record.deleted or before != facts)
        pending.add(_INSERT, {"type": key.type, "id": key.id, "moved": int(moved), "now": now})
        concerned = facts.patients if before is None else dict.fromkeys((*before.patients, *facts.patients))
        pending.extend(_INSERT_PATIENT, ((*key, patient) for patient in concerned))
        self._staged = True

    def committed(self) -> None:
        """Called after each commit."""
        if self._staged:
            self._staged = False
            self._wake()
