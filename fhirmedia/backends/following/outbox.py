"""What waits for an index beside the database, and which of its fillings answers: asked, not changed."""

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fhirmedia.backends.following.generations import Generations, generations
from fhirmedia.backends.sqlite import failure_of, open_reader
from fhirmedia.core.records import Key

T = TypeVar("T")

_DEPTH = "SELECT count(*) FROM index_outbox WHERE is_dead = ?"
_SINCE = "SELECT min(since) FROM index_outbox WHERE is_dead = 0"
_LATEST = "SELECT max(since) FROM index_outbox WHERE is_dead = 0"
_WAITS_SINCE = "SELECT 1 FROM index_outbox WHERE is_dead = 0 AND since <= ? LIMIT 1"
_OF_PATIENTS = (
    "SELECT o.number, o.is_dead FROM json_each(?) AS p CROSS JOIN index_outbox_patient AS t ON t.patient = p.value"
    " JOIN index_outbox AS o ON o.type = t.type AND o.id = t.id LIMIT ?"
)
_MOVED = "SELECT type, id FROM index_outbox WHERE moved = 1 LIMIT ?"
_DEAD = "SELECT type, id, since, attempts, reason FROM index_outbox WHERE is_dead = 1 ORDER BY number LIMIT ?"
_NEWEST = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'index_outbox'), 0)"


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many changes wait, how long the oldest has waited (milliseconds, 0 if none), how many were given up."""

    depth: int
    lag_ms: int
    dead: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record whose document was refused until it was given up: since when it lacks (milliseconds UTC), and why."""

    key: Key
    since: int
    attempts: int
    reason: str


class Outbox:
    """Reads; it may be asked from any thread, and every answer is of one moment. Raises Failure UNAVAILABLE."""

    def __init__(self, path: Path) -> None:
        self._connection = open_reader(path)
        self._turn = threading.Lock()

    def backlog(self, *, now: int) -> Backlog:
        """How far the index is behind."""
        return self._ask(
            lambda ask: Backlog(ask.execute(_DEPTH, (0,)).fetchone()[0], _lag(ask, now), _number_of_dead(ask))
        )

    def lag(self, *, now: int) -> tuple[int, int]:
        """How long the oldest change has waited, in milliseconds, and how many were given up."""
        return self._ask(lambda ask: (_lag(ask, now), _number_of_dead(ask)))

    def waits_since(self, moment: int) -> bool:
        """Whether some change of this moment (milliseconds UTC) or before still waits."""
        return self._ask(lambda ask: ask.execute(_WAITS_SINCE, (moment,)).fetchone() is not None)

    def moment(self, *, now: int) -> int:
        """Not before any change that waits, in milliseconds UTC: the clock of the machine may have been set back."""
        return self._ask(lambda ask: max(now, ask.execute(_LATEST).fetchone()[0] or now))

    def of_patients(self, patients: Sequence[str], *, limit: int) -> list[tuple[int, bool]]:
        """Numbers of changes about these Patients that wait, and whether they were given up."""
        found = self._ask(lambda ask: ask.execute(_OF_PATIENTS, (json.dumps(patients), limit)).fetchall())
        return [(number, bool(is_dead)) for number, is_dead in dict.fromkeys(found)]

    def moved(self, *, limit: int) -> list[Key]:
        """Keys of which the index may hold facts that are no longer theirs."""
        return self._ask(lambda ask: [Key(*row) for row in ask.execute(_MOVED, (limit,))])

    def dead(self, *, limit: int) -> list[DeadLetter]:
        """What was given up, oldest first."""
        rows = self._ask(lambda ask: ask.execute(_DEAD, (limit,)).fetchall())
        return [DeadLetter(Key(kind, identity), *rest) for kind, identity, *rest in rows]

    def newest(self) -> int:
        """The highest number any change was ever given."""
        return self._ask(newest_number)

    def generations(self) -> Generations:
        """The fillings there are."""
        return self._ask(generations)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._turn:
                return question(self._connection)
        except sqlite3.Error as error:
            raise failure_of(error) from error


def newest_number(connection: sqlite3.Connection) -> int:
    """The highest number any change was ever given, as of what the connection sees."""
    return int(connection.execute(_NEWEST).fetchone()[0])


def _lag(connection: sqlite3.Connection, now: int) -> int:
    since = connection.execute(_SINCE).fetchone()[0]
    return 0 if since is None else max(0, now - since)


def _number_of_dead(connection: sqlite3.Connection) -> int:
    return int(connection.execute(_DEPTH, (1,)).fetchone()[0])
