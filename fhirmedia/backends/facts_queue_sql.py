"""The queue of facts that wait for a change elsewhere, on SQLite."""

import sqlite3
import threading
from pathlib import Path
from typing import cast

from fhirmedia.backends.facts_codec import decode_facts
from fhirmedia.backends.reach import reach_text
from fhirmedia.backends.sqlite import failure_of, open_reader
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.changes import Reach, ReachFact
from fhirmedia.ports.facts_queue import Waiting

_NEWEST = (
    "SELECT v.type, v.id, v.version, v.sequence, v.changed_at, v.method, v.body, v.facts"
    " FROM version_reach r JOIN record_version v ON v.sequence = r.sequence"
    " WHERE r.reach = ? AND (r.type, r.sequence) > (?, ?) AND NOT EXISTS"
    " (SELECT 1 FROM record_version n WHERE n.type = v.type AND n.id = v.id AND n.version > v.version)"
    " ORDER BY r.type, r.sequence LIMIT ?"
)
_LAST_BODY = (
    "SELECT body FROM record_version WHERE type = ? AND id = ? AND body IS NOT NULL ORDER BY version DESC LIMIT 1"
)
_DEFER = "INSERT OR REPLACE INTO pending_facts (reach, after_type, after_sequence) VALUES (?, ?, ?)"
_FINISH = "DELETE FROM pending_facts WHERE reach = ?"
_FIRST = "SELECT reach, after_type, after_sequence FROM pending_facts ORDER BY reach LIMIT 1"
_ALL = "SELECT reach FROM pending_facts"


def newest_with(connection: sqlite3.Connection, waiting: Waiting, *, limit: int) -> list[Record]:
    """As `FactsQueue.newest_with`, of what is written."""
    rows = connection.execute(_NEWEST, (reach_text(waiting.reach), *waiting.after, limit))
    return [
        Record(Key(kind, identity), version, sequence, changed_at, method, body, _facts(facts))
        for kind, identity, version, sequence, changed_at, method, body, facts in rows
    ]


def last_body(connection: sqlite3.Connection, key: Key) -> bytes | None:
    """As `FactsQueue.last_body`."""
    row = connection.execute(_LAST_BODY, key).fetchone()
    return None if row is None else row[0]


def defer(connection: sqlite3.Connection, waiting: Waiting) -> None:
    """As `FactsQueue.defer`."""
    connection.execute(_DEFER, (reach_text(waiting.reach), *waiting.after))


def finish(connection: sqlite3.Connection, reach: Reach) -> None:
    """As `FactsQueue.finish`."""
    connection.execute(_FINISH, (reach_text(reach),))


def first_waiting(connection: sqlite3.Connection) -> Waiting | None:
    """As `FactsQueue.first_waiting`."""
    row = connection.execute(_FIRST).fetchone()
    return None if row is None else Waiting(_reach(row[0]), (row[1], row[2]))


class PendingFacts:
    """What waits now, for whoever decides about access; it may be asked from any thread."""

    def __init__(self, path: Path) -> None:
        self._connection = open_reader(path)
        self._turn = threading.Lock()

    def __call__(self) -> frozenset[Reach]:
        """The facts by which something waits. Raises Failure UNAVAILABLE."""
        try:
            with self._turn:
                rows = self._connection.execute(_ALL).fetchall()
        except sqlite3.Error as error:
            raise failure_of(error) from error
        return frozenset(_reach(text) for (text,) in rows) if rows else _NONE

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


_NONE: frozenset[Reach] = frozenset()


def _reach(text: str) -> Reach:
    fact, _, value = text.partition("/")
    return Reach(cast(ReachFact, fact), value)


def _facts(content: bytes) -> Facts:
    """What cannot be read is as good as none: the facts are about to be made anew."""
    try:
        return decode_facts(content)
    except ValueError:
        return Facts()
