"""What workers do to the outbox, inside the writer's transaction: claim rows, and say what became of them.

A row is claimed until a time; whoever died meanwhile has claimed nothing. A row that was changed while its claim was
worked on has another number, so that saying it is done leaves the change where it is.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from fhirmedia.core.records import Key

MOST_ATTEMPTS = 5
"""So often a document that is refused for itself is handed over before it is given up."""

_DUE = "is_dead = 0 AND due_at <= :now AND until <= :now"
_CLAIM = (
    "UPDATE index_outbox SET worker = :worker, until = :until WHERE number IN"
    f" (SELECT number FROM index_outbox WHERE {_DUE} ORDER BY number LIMIT :limit) RETURNING number"
)
_RELEASE = "UPDATE index_outbox SET worker = NULL, until = 0 WHERE number IN (SELECT value FROM json_each(?))"
_CLAIMANTS = "SELECT DISTINCT worker FROM index_outbox WHERE until > 0 AND worker IS NOT NULL"
_RELEASE_ALL_OF = "UPDATE index_outbox SET worker = NULL, until = 0 WHERE worker = ?"
_DONE_PATIENTS = (
    "DELETE FROM index_outbox_patient WHERE (type, id) IN"
    " (SELECT type, id FROM index_outbox WHERE number IN (SELECT value FROM json_each(?)))"
)
_DONE = "DELETE FROM index_outbox WHERE number IN (SELECT value FROM json_each(?))"
_REFUSED = (
    "UPDATE index_outbox SET attempts = attempts + 1, reason = :reason, worker = NULL, until = 0,"
    f" is_dead = attempts + 1 >= {MOST_ATTEMPTS}, due_at = :now + 1000 * (1 << attempts) WHERE number = :number"
)
_RETRY = "UPDATE index_outbox SET attempts = 0, is_dead = 0, due_at = 0, until = 0 WHERE is_dead = 1"
_ENQUEUE = (
    "INSERT OR REPLACE INTO index_outbox (type, id, moved, since, attempts, due_at, until, is_dead)"
    " VALUES (?, ?, 0, ?, 0, 0, 0, 0)"
)
_FACTS = "CASE WHEN json_valid(CAST(v.facts AS TEXT)) THEN CAST(v.facts AS TEXT) ELSE '{}' END"
_ENQUEUE_PATIENTS = (
    "INSERT OR IGNORE INTO index_outbox_patient (type, id, patient) SELECT v.type, v.id, p.value"
    f" FROM record_version AS v, json_each({_FACTS}, '$.patients') AS p WHERE v.sequence ="
    " (SELECT sequence FROM record_version WHERE type = ? AND id = ? ORDER BY version DESC LIMIT 1)"
)
_DEAD = "SELECT 1 FROM index_outbox WHERE is_dead = 1 LIMIT 1"
_WAITS = "SELECT 1 FROM index_outbox WHERE type = ? AND id = ?"


def claim(connection: sqlite3.Connection, worker: str, *, now: int, until: int, limit: int) -> list[int]:
    """Numbers of rows that are due and nobody's, now claimed by `worker`; oldest first."""
    claimed = {"worker": worker, "now": now, "until": until, "limit": limit}
    return sorted(number for (number,) in connection.execute(_CLAIM, claimed))


def release(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """The rows are nobody's again, and due as they were."""
    connection.execute(_RELEASE, (json.dumps(numbers),))


def claimants(connection: sqlite3.Connection) -> list[str]:
    """Who has claimed rows."""
    return [worker for (worker,) in connection.execute(_CLAIMANTS)]


def release_all_of(connection: sqlite3.Connection, worker: str) -> None:
    """Nothing is claimed by this worker any more."""
    connection.execute(_RELEASE_ALL_OF, (worker,))


def done(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """The index has these changes, and can be searched for them."""
    listed = (json.dumps(numbers),)
    connection.execute(_DONE_PATIENTS, listed)
    connection.execute(_DONE, listed)


def refused(connection: sqlite3.Connection, reasons: Mapping[int, str], *, now: int) -> None:
    """The documents of these rows were refused for themselves: they are tried again later, and in the end given up."""
    for number, reason in reasons.items():
        connection.execute(_REFUSED, {"number": number, "reason": reason, "now": now})


def retry_dead(connection: sqlite3.Connection, key: Key | None = None) -> int:
    """Let what was given up (of one Key, or all) be tried again; how many rows that are."""
    if key is None:
        return connection.execute(_RETRY).rowcount
    return connection.execute(f"{_RETRY} AND type = ? AND id = ?", key).rowcount


def enqueue(connection: sqlite3.Connection, keys: Sequence[Key], *, now: int) -> None:
    """Let these be indexed anew, though nothing has changed; what waits already goes on waiting as it did."""
    for key in keys:
        if connection.execute(_WAITS, key).fetchone() is None:
            connection.execute(_ENQUEUE, (*key, now))
            connection.execute(_ENQUEUE_PATIENTS, key)


def revive(connection: sqlite3.Connection, keys: Iterable[Key]) -> None:
    """Let those of the Keys that were given up be tried again: another filling has taken them."""
    if connection.execute(_DEAD).fetchone() is not None:
        for key in keys:
            retry_dead(connection, key)
