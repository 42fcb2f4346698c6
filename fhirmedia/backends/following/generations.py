"""Which fillings of the index there are, and which one answers: in the records' own database."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fhirmedia.backends.following.outbox_rows import FOLLOWED
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.errors import Category, Failure

State = Literal["live", "filling", "filled", "kept", "lost"]

_COLUMNS = "name, state, fingerprint, position, documents, state_since"
_ALL = f"SELECT {_COLUMNS} FROM index_generation ORDER BY state_since, name"
_ADD = f"INSERT INTO index_generation ({_COLUMNS}) VALUES (?, 'filling', ?, 0, 0, ?)"
_SET_STATE = "UPDATE index_generation SET state = ?, state_since = ? WHERE name = ?"
_MOVE = "UPDATE index_generation SET state = ?, state_since = ? WHERE state = ?"
_LOSE_OTHERS = "UPDATE index_generation SET state = 'lost', state_since = ? WHERE fingerprint <> ? AND state <> 'lost'"
_FINGERPRINT = "(SELECT fingerprint FROM index_generation WHERE name = ?)"
_ADVANCE = "UPDATE index_generation SET position = ?, documents = documents + ? WHERE name = ?"
_FORGET = "DELETE FROM index_generation WHERE name = ?"
_FOLLOW = "INSERT OR REPLACE INTO installation (name, value) VALUES (?, ?)"
_REFILLED, _REFILL = "SELECT value FROM idx_state WHERE name = ?", "refill/{}/{}"
_NOTE_REFILLED = "INSERT OR REPLACE INTO idx_state (name, value) VALUES (?, ?)"
_FORGET_REFILLED = "DELETE FROM idx_state WHERE name GLOB ?"
_NOT_FOLLOWED = "DELETE FROM installation WHERE name = ?"
_EMPTY = ("DELETE FROM index_outbox", "DELETE FROM index_outbox_patient")
_HAS_TABLE = "SELECT 1 FROM sqlite_schema WHERE name = 'index_generation'"
_NUMBER_OF_DEAD = "SELECT count(*) FROM index_outbox WHERE is_dead = 1"


@dataclass(frozen=True, slots=True)
class Generation:
    """One filling: its name, what it is good for, how its documents were made, and how far it has come.

    `position` is a sequence of the log of changes, `documents` the number filled in; `state_since` is in milliseconds.
    """

    name: str
    state: State
    fingerprint: str
    position: int
    documents: int
    state_since: int


@dataclass(frozen=True, slots=True)
class Generations:
    """All there are, oldest state first."""

    each: tuple[Generation, ...]

    @property
    def live(self) -> Generation | None:
        """The one that answers."""
        return self.in_state("live")

    @property
    def targets(self) -> tuple[Generation, ...]:
        """Those that changes go to, the one that answers first."""
        followed = [each for each in self.each if each.state != "lost"]
        return tuple(sorted(followed, key=lambda each: each.state != "live"))

    def in_state(self, state: State) -> Generation | None:
        """The newest one in a state."""
        return next((each for each in reversed(self.each) if each.state == state), None)

    def named(self, name: str) -> Generation | None:
        """The one of a name."""
        return next((each for each in self.each if each.name == name), None)


def generations(connection: sqlite3.Connection) -> Generations:
    """Those there are now."""
    return Generations(tuple(Generation(*row) for row in connection.execute(_ALL)))


def begin(connection: sqlite3.Connection, name: str, *, fingerprint: str, types: frozenset[str], now: int) -> None:
    """Let a generation be filled; from the end of this transaction on, changes of these types are followed.

    Those of other fingerprints are lost: changes that are handed over by this program do not reach them.
    """
    connection.execute(_LOSE_OTHERS, (now, fingerprint))
    connection.execute(_FOLLOW, (FOLLOWED, " ".join(sorted(types))))
    connection.execute(_ADD, (name, fingerprint, now))


def advance(connection: sqlite3.Connection, name: str, *, position: int, documents: int) -> None:
    """So many more documents are in it, of versions up to a sequence."""
    connection.execute(_ADVANCE, (position, documents, name))


def set_state(connection: sqlite3.Connection, name: str, state: State, *, now: int) -> None:
    """Let a generation be good for something else."""
    connection.execute(_SET_STATE, (state, now, name))


def publish(connection: sqlite3.Connection, name: str, *, now: int) -> None:
    """Let a generation answer, and keep the one that did, if changes have reached it; another that was kept is lost."""
    connection.execute(f"{_MOVE} AND name <> ?", ("lost", now, "kept", name))
    connection.execute(f"{_MOVE} AND fingerprint <> {_FINGERPRINT}", ("lost", now, "live", name))
    connection.execute(_MOVE, ("kept", now, "live"))
    set_state(connection, name, "live", now=now)


def require_no_dead(connection: sqlite3.Connection) -> None:
    """Raise Failure CONFLICT while there are records that could not be indexed."""
    (dead,) = connection.execute(_NUMBER_OF_DEAD).fetchone()
    if dead:
        text = f"{dead} records could not be indexed; see `fhirmedia index dead`, and retry or mend them first."
        raise Failure(Category.CONFLICT, text)


def forget(connection: sqlite3.Connection, name: str) -> None:
    """A generation has been dropped."""
    connection.execute(_FORGET, (name,))
    connection.execute(_FORGET_REFILLED, (_REFILL.format(name, "*"),))


def refilled(connection: sqlite3.Connection, name: str, kind: str) -> int:
    """Behind which sequence writing the documents of a type anew has stopped; 0 if it has not begun, or ended."""
    row = connection.execute(_REFILLED, (_REFILL.format(name, kind),)).fetchone()
    return 0 if row is None else int(row[0])


def note_refilled(connection: sqlite3.Connection, name: str, kind: str, *, position: int) -> None:
    """How far that is; 0 where it has ended."""
    state = _REFILL.format(name, kind)
    if position:
        connection.execute(_NOTE_REFILLED, (state, str(position)))
    else:
        connection.execute(_FORGET_REFILLED, (state,))


def disown(path: Path) -> None:
    """Let a copy of a database follow nothing: the indexes it names are those of the folder it was copied from."""
    with closing(open_writer(path)) as connection:
        if connection.execute(_HAS_TABLE).fetchone() is None or not generations(connection).each:
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_NOT_FOLLOWED, (FOLLOWED,))
        for statement in (*_EMPTY, "DELETE FROM index_generation"):
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def distrust(path: Path, *, now: int) -> None:
    """Nothing that was filled is as it would be filled now; whoever serves fills it anew."""
    with closing(open_writer(path)) as connection:
        connection.execute("UPDATE index_generation SET state = 'lost', state_since = ?", (now,))


def unfollow(connection: sqlite3.Connection, *, now: int) -> None:
    """Nothing follows any more: changes write no rows, and what was filled is not to be trusted again."""
    connection.execute(_NOT_FOLLOWED, (FOLLOWED,))
    connection.execute("UPDATE index_generation SET state = 'lost', state_since = ?", (now,))
    for statement in _EMPTY:
        connection.execute(statement)
