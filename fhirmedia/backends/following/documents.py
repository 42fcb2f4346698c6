"""Documents made of records: of changes that wait, and of everything for a filling; each batch as of one moment."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhirmedia.backends.attached_words import with_attached_words
from fhirmedia.backends.following.outbox import newest_number
from fhirmedia.backends.records_sql import CURRENT_OF_MANY, record_of
from fhirmedia.backends.sqlite import failure_of, open_reader
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.r4.codec import load
from fhirmedia.r4.extract import Extractor

Row = tuple[Any, ...]

_VERSION = "v.type, v.id, v.version, v.sequence, v.changed_at, v.method, v.body, v.facts"
_WAITING = (
    f"SELECT o.number, {_VERSION} FROM json_each(?) AS asked CROSS JOIN index_outbox AS o ON o.number = asked.value"
    " JOIN record_version AS v ON v.sequence = (SELECT n.sequence FROM record_version AS n"
    " WHERE n.type = o.type AND n.id = o.id ORDER BY n.version DESC LIMIT 1)"
)
_OF_PATIENTS = (
    f"SELECT DISTINCT o.number, o.is_dead, {_VERSION} FROM json_each(?) AS p"
    " CROSS JOIN index_outbox_patient AS t ON t.patient = p.value"
    " JOIN index_outbox AS o ON o.type = t.type AND o.id = t.id"
    " JOIN record_version AS v ON v.sequence = (SELECT n.sequence FROM record_version AS n"
    " WHERE n.type = o.type AND n.id = o.id ORDER BY n.version DESC LIMIT 1) LIMIT ?"
)
_CURRENT = (
    f"SELECT {_VERSION} FROM record_version AS v WHERE v.sequence > ? AND v.method <> 'delete' AND v.type IN ({{}})"
    " AND NOT EXISTS (SELECT 1 FROM record_version AS n WHERE n.type = v.type AND n.id = v.id"
    " AND n.version > v.version) ORDER BY v.sequence LIMIT ?"
)
_COUNTED = (
    "SELECT v.type, count(*) FROM record_version AS v WHERE v.method <> 'delete' AND v.type IN ({})"
    " AND NOT EXISTS (SELECT 1 FROM record_version AS n WHERE n.type = v.type AND n.id = v.id"
    " AND n.version > v.version) GROUP BY v.type"
)
_END = "SELECT coalesce(max(sequence), 0) FROM record_version"


_MOST_IDLE = 2

MOST_BYTES = 8 * 2**20
"""Of bodies and words in one batch, but for its last document."""


@dataclass(slots=True)
class Batch:
    """Documents, each with the number of its change (0 in a filling), and what could not be made into one, and why."""

    changes: dict[Key, tuple[int, DocumentChange]] = field(default_factory=dict)
    spoilt: dict[Key, tuple[int, str]] = field(default_factory=dict)
    has_dead: bool = False
    """Whether one of the changes was given up."""
    is_more: bool = False
    """Whether there were more than the batch could take."""
    end: int = 0
    """The sequence up to which a filling has come with this batch."""
    size_bytes: int = 0
    read_at_s: float = field(default_factory=time.monotonic)

    @property
    def is_full(self) -> bool:
        """Whether it takes no more."""
        return self.size_bytes >= MOST_BYTES

    @property
    def age_s(self) -> float:
        """Seconds since it was read."""
        return time.monotonic() - self.read_at_s


class DocumentMaker:
    """Reads records and makes documents of them, for the types of an engine; blocking, for use in threads."""

    def __init__(self, path: Path, extractor: Extractor, *, types: Iterable[str]) -> None:
        self._path = path
        self._extractor = extractor
        self._types = tuple(sorted(types))
        marks = ", ".join("?" * len(self._types))
        self._current, self._counted = _CURRENT.format(marks), _COUNTED.format(marks)
        self._idle: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Let go of the file, once nobody reads any more."""
        while self._idle:
            self._idle.pop().close()

    def of_type(self, kind: str) -> "DocumentMaker":
        """The same for one type alone."""
        return DocumentMaker(self._path, self._extractor, types=[kind])

    def of_changes(self, numbers: Sequence[int]) -> Batch:
        """Of changes that wait under these numbers: those that have been replaced meanwhile are left out."""
        batch = Batch()
        with self._snapshot() as connection:
            for number, *row in connection.execute(_WAITING, (json.dumps(numbers),)):
                self._add(connection, batch, tuple(row), order=number, number=number)
                if batch.is_full:
                    break
        return batch

    def of_patients(self, patients: Sequence[str], *, limit: int) -> Batch:
        """Of changes that wait about these Patients, those that were given up included."""
        batch, seen = Batch(), 0
        with self._snapshot() as connection:
            for number, is_dead, *row in connection.execute(_OF_PATIENTS, (json.dumps(patients), limit + 1)):
                seen += 1
                if seen > limit or batch.is_full:
                    batch.is_more = True
                    break
                batch.has_dead = batch.has_dead or bool(is_dead)
                self._add(connection, batch, tuple(row), order=number, number=number)
        return batch

    def of_current(self, after: int, *, limit: int) -> Batch:
        """Of current resources, in the order of the log of changes from after a sequence on.

        Their order is the newest number any change had at that moment: changes they do not show have a higher one.
        """
        batch, seen = Batch(end=after), 0
        with self._snapshot() as connection:
            order = newest_number(connection)
            for row in connection.execute(self._current, (after, *self._types, limit)):
                seen += 1
                batch.end = row[3]
                self._add(connection, batch, row, order=order, number=0)
                if batch.is_full:
                    break
            batch.is_more = batch.is_full or seen == limit
            if not batch.is_more:
                batch.end = connection.execute(_END).fetchone()[0]
        return batch

    def of_keys(self, keys: Sequence[Key]) -> Batch:
        """Of these Keys as they are now; deleted ones are documents that are to go."""
        batch = Batch()
        with self._snapshot() as connection:
            for row in connection.execute(CURRENT_OF_MANY, {"keys": json.dumps(keys)}):
                self._add(connection, batch, row, order=0, number=0)
        return batch

    def counts(self) -> dict[str, int]:
        """How many current resources there are of each type."""
        with self._snapshot() as connection:
            return dict(connection.execute(self._counted, self._types))

    def end(self) -> int:
        """Where the log of changes ends."""
        with self._snapshot() as connection:
            return int(connection.execute(_END).fetchone()[0])

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """Everything read inside is of one moment. Raises Failure UNAVAILABLE."""
        connection = self._taken()
        is_sound = False
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
            is_sound = True
        except sqlite3.Error as error:
            raise failure_of(error) from error
        finally:
            if is_sound and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def _taken(self) -> sqlite3.Connection:
        """One that is idle, or another: to open one takes as long as to read some hundred records."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return open_reader(self._path)
        except sqlite3.Error as error:
            raise failure_of(error) from error

    def _add(self, connection: sqlite3.Connection, batch: Batch, row: Row, *, order: int, number: int) -> None:
        key = Key(row[0], row[1])
        try:
            change = self._document(connection, record_of(row), order)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 (a record that cannot be read is told of, and stops no other)
            batch.spoilt[key] = (number, f"no document could be made of it ({type(error).__name__})")
            return
        batch.changes[key] = (number, change)
        words = () if change.entries is None else change.entries.texts.values()
        batch.size_bytes += len(change.record.body or b"") + sum(map(len, words))

    def _document(self, connection: sqlite3.Connection, record: Record, order: int) -> DocumentChange:
        if record.deleted or record.body is None:
            return DocumentChange(record, order, None)
        entries = self._extractor.entries(load(record.body), key=record.key, last_updated_ms=record.changed_at)
        return DocumentChange(record, order, with_attached_words(connection, record, entries))
