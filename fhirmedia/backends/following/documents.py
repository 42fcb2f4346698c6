"""Documents made of records: of changes that wait, and of everything for a filling; each batch as of one moment."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhirmedia.backends.attached_words import with_attached_words
from fhirmedia.backends.following.outbox import newest_number
from fhirmedia.backends.records_sql import CURRENT_OF_MANY, record_of
from fhirmedia.backends.sqlite import failure_of, open_reader
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json

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


@dataclass(slots=True)
class Batch:
    """Documents, each with the number of its change (0 in a filling), and what could not be made into one, and why."""

    changes: dict[Key, tuple[int, DocumentChange]] = field(default_factory=dict)
    spoilt: dict[Key, tuple[int, str]] = field(default_factory=dict)
    dead: bool = False
    """Whether one of the changes was given up."""
    end: int = 0
    """The sequence up to which a filling has come with this batch."""


class DocumentMaker:
    """Reads records and makes documents of them, for the types of an engine; blocking, for use in a thread."""

    def __init__(self, path: Path, extractor: Extractor, *, types: Iterable[str]) -> None:
        self._path = path
        self._extractor = extractor
        self._types = tuple(sorted(types))
        marks = ", ".join("?" * len(self._types))
        self._current, self._counted = _CURRENT.format(marks), _COUNTED.format(marks)

    def of_changes(self, numbers: Sequence[int]) -> Batch:
        """Of changes that wait under these numbers: those that have been replaced meanwhile are left out."""
        batch = Batch()
        with closing(open_reader(self._path)) as connection:
            for number, *row in self._rows(connection, _WAITING, (json.dumps(numbers),)):
                self._add(connection, batch, tuple(row), order=number, number=number)
        return batch

    def of_patients(self, patients: Sequence[str], *, limit: int) -> Batch:
        """Of changes that wait about these Patients, those that were given up included."""
        batch = Batch()
        with closing(open_reader(self._path)) as connection:
            for number, is_dead, *row in self._rows(connection, _OF_PATIENTS, (json.dumps(patients), limit)):
                batch.dead = batch.dead or bool(is_dead)
                self._add(connection, batch, tuple(row), order=number, number=number)
        return batch

    def of_current(self, after: int, *, limit: int) -> Batch:
        """Of current resources, in the order of the log of changes from after a sequence on.

        Their order is the newest number any change had at that moment: changes they do not show have a higher one.
        """
        batch = Batch()
        with closing(open_reader(self._path)) as connection:
            connection.execute("BEGIN")
            order = newest_number(connection)
            rows = self._rows(connection, self._current, (after, *self._types, limit))
            for row in rows:
                self._add(connection, batch, row, order=order, number=0)
            batch.end = rows[-1][3] if len(rows) == limit else connection.execute(_END).fetchone()[0]
            connection.execute("COMMIT")
        return batch

    def of_keys(self, keys: Sequence[Key]) -> Batch:
        """Of these Keys as they are now; deleted ones are documents that are to go."""
        batch = Batch()
        with closing(open_reader(self._path)) as connection:
            for row in self._rows(connection, CURRENT_OF_MANY, {"keys": json.dumps(keys)}):
                self._add(connection, batch, row, order=0, number=0)
        return batch

    def counts(self) -> dict[str, int]:
        """How many current resources there are of each type."""
        with closing(open_reader(self._path)) as connection:
            return dict(self._rows(connection, self._counted, self._types))

    def end(self) -> int:
        """Where the log of changes ends."""
        with closing(open_reader(self._path)) as connection:
            return int(connection.execute(_END).fetchone()[0])

    def _rows(self, connection: sqlite3.Connection, statement: str, values: Row | dict[str, str]) -> list[Row]:
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise failure_of(error) from error

    def _add(self, connection: sqlite3.Connection, batch: Batch, row: Row, *, order: int, number: int) -> None:
        key = Key(row[0], row[1])
        try:
            batch.changes[key] = (number, self._document(connection, record_of(row), order))
        except Exception as error:  # noqa: BLE001 (a record that cannot be read is told of, and stops no other)
            batch.spoilt[key] = (number, f"no document could be made of it ({type(error).__name__})")

    def _document(self, connection: sqlite3.Connection, record: Record, order: int) -> DocumentChange:
        if record.deleted or record.body is None:
            return DocumentChange(record, order, None)
        resource = parse_json(record.body)
        entries = self._extractor.entries(resource, key=record.key, last_updated_ms=record.changed_at)
        return DocumentChange(record, order, with_attached_words(connection, record, entries))
