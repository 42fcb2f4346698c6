"""Index rows of one resource: made from its entries and facts, and put in place of the rows it had before.

Everything runs inside the record's own transaction, on the driver's connection. An update writes only the rows that
differ.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import Table

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.added_sql import added_text
from fhirmedia.backends.attached_words import with_attached_words
from fhirmedia.backends.index_record_words import Texts, too_long
from fhirmedia.backends.index_sql import search_within
from fhirmedia.backends.index_tables import (
    IN_COMPARTMENT,
    IN_FACTS,
    MISSING,
    PATIENT,
    SOLE,
    IndexState,
    PatientRow,
    ResRow,
    Spelling,
)
from fhirmedia.backends.index_terms import FIELD, TYPE, WritableTerms
from fhirmedia.backends.index_values import VALUE_TABLES, WIDE, RowSets, ValueRow, ValueRows, date_kind
from fhirmedia.backends.index_words import DELETE as DELETE_WORDS
from fhirmedia.backends.index_words import DOCUMENT, document, equip, mark_of
from fhirmedia.backends.index_words import INSERT as INSERT_WORDS
from fhirmedia.backends.pending_rows import PendingRows, Statement
from fhirmedia.backends.tables import table_of
from fhirmedia.backends.words_kept import types_dropped
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.added import Latecomers
from fhirmedia.r4.values import DateValue, IndexEntries

TYPES_AT_MOST = 255
"""The rank of the type is the last byte of a rid."""

SEARCH_S = 2.0
"""Seconds a search inside a transaction may take, while every other writer waits; and all searches of one work
together to read words from records."""

HOLDS_WORDS = 1 << len(VALUE_TABLES)
"""The bit of `holds` for a document of words."""

_NONE: frozenset[ValueRow] = frozenset()
_RES, _PATIENT, _STATE = table_of(ResRow), table_of(PatientRow), table_of(IndexState)
_SPELLING = table_of(Spelling)


def _insert(table: Table, *, verb: str = "INSERT") -> str:
    names = [column.name for column in table.columns]
    return f"{verb} INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def _delete_row(table: Table) -> str:
    return f"DELETE FROM {table.name} WHERE " + " AND ".join(f"{column.name} = ?" for column in table.columns)


def _select_of_resource(table: Table) -> str:
    return f"SELECT {', '.join(column.name for column in table.columns)} FROM {table.name} WHERE rid = ?"


_FIND_RES = "SELECT rid, holds, recency, sole_patient, patients FROM res_row WHERE type = ? AND id = ?"
_GOING, _COMING = 10, 11
"""Places of statements: what leaves the index makes room first."""

# A stray row in the way (damage that `check` finds) must not stop every writer: it is replaced.
_INSERT_RES = Statement(_COMING, _insert(_RES, verb="INSERT OR REPLACE"))
_UPDATE_RES = Statement(
    _COMING, f"UPDATE res_row SET {', '.join(f'{column.name} = ?' for column in _RES.columns)} WHERE rid = ?"
)
_DELETE_RES = Statement(_GOING, "DELETE FROM res_row WHERE rid = ?")
_INSERT_PATIENT = Statement(_COMING, _insert(_PATIENT, verb="INSERT OR REPLACE"))
_DELETE_PATIENT = Statement(_GOING, "DELETE FROM idx_patient WHERE patient = ? AND recency = ? AND type = ? AND id = ?")
_DEPENDENT = "SELECT 1 FROM idx_patient WHERE patient = ? AND how & 3 <> 0 AND NOT (type = ? AND id = ?) LIMIT 1"
_INSERT_VALUE = tuple(Statement(_COMING, _insert(table)) for table in VALUE_TABLES)
_DELETE_VALUE = tuple(Statement(_GOING, _delete_row(table)) for table in VALUE_TABLES)
_SELECT_VALUE = tuple(map(_select_of_resource, VALUE_TABLES))
_DELETE_VALUES = tuple(Statement(_GOING, f"DELETE FROM {table.name} WHERE rid = ?") for table in VALUE_TABLES)
_INSERT_WORDS, _DELETE_WORDS = Statement(_COMING, INSERT_WORDS), Statement(_GOING, DELETE_WORDS)

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class IndexWriter:
    """Keeps the rows of current resources; one per writer thread. Call `begin` first in each transaction.

    `late` completes entries by what was added to the folder's search parameters after they were made; `texts` reads
    words that are not kept.
    """

    def __init__(self, late: Latecomers | None = None, *, texts: Texts | None = None) -> None:
        self._late = late
        self._texts = None if texts is None else self._while_there_is_time(texts)
        self._reading_s = SEARCH_S
        self._wordless: frozenset[str] = frozenset()
        self._terms = WritableTerms()
        self._values = ValueRows(self._terms)
        self._equipped: sqlite3.Connection | None = None

    def begin(self, connection: sqlite3.Connection) -> None:
        """Take note of what other transactions committed. Raises Failure UNAVAILABLE as `Latecomers.follow`."""
        if self._equipped is not connection:  # not later: SQLite refuses it while a statement is under way
            equip(connection)
            self._equipped = connection
        self._terms.begin(connection)
        self._wordless = types_dropped(connection)
        if self._late is not None:
            self._late.follow(added_text(connection))

    def put(self, connection: sqlite3.Connection, record: Record, entries: IndexEntries) -> None:
        """Make these the index rows of the record's Key, now. Raises as `stage`."""
        pending = PendingRows(connection)
        self.stage(connection, pending, record, entries)
        pending.write_own()

    def stage(
        self,
        connection: sqlite3.Connection,
        pending: PendingRows,
        record: Record,
        entries: IndexEntries,
        *,
        is_first: bool = False,
    ) -> None:
        """The same, but let the rows wait; what waits of older versions has to be written before.

        `is_first`: there is none. Raises Failure INTERNAL if `when` has several values: its SearchParameter promises
        one at most.
        """
        key = record.key
        if self._late is not None:
            entries = self._late.completed(entries, record.body)
        found = connection.execute(_FIND_RES, key).fetchone() if not is_first else None
        rid = self._new_rid(connection, record) if found is None else found[0]
        people = _people_in(entries, record.facts)
        rows = self._values.of(connection, entries, rid=rid, people=people)
        words = self._words_of(connection, record, entries)
        holds = sum(1 << table for table in rows) | (HOLDS_WORDS if words else 0)
        columns = _res_columns(rid, record, entries=entries, holds=holds, people=people)
        recency = columns[4]
        if found is None:
            pending.add(_INSERT_RES, columns)
            _exchange(pending, {}, rows)
        else:
            pending.add(_UPDATE_RES, (*columns, rid))
            _exchange(pending, _rows_of(connection, rid, holds=found[1]), rows)
            _remove_people(pending, key, *found[2:])
            _stage_words(connection, pending, rid, had=bool(found[1] & HOLDS_WORDS), words=words)
        if found is None and words:
            pending.add(_INSERT_WORDS, (rid, words))
        pending.extend(_INSERT_PATIENT, ((patient, recency, *key, rid, how) for patient, how in people.items()))

    def _words_of(self, connection: sqlite3.Connection, record: Record, entries: IndexEntries) -> str:
        """The document of words; empty where it has none, or where they are not kept."""
        if record.key.type in self._wordless:
            return ""
        texts = with_attached_words(connection, record, entries).texts
        return document(texts, {field: mark_of(self._terms.rank(connection, field, kind=FIELD)) for field in texts})

    def remove(self, connection: sqlite3.Connection, key: Key) -> None:
        """Leave no index row of the Key."""
        pending = PendingRows(connection)
        self.stage_removal(connection, pending, key)
        pending.write_own()

    def stage_removal(self, connection: sqlite3.Connection, pending: PendingRows, key: Key) -> None:
        """The same, but let it wait; what waits of older versions has to be written before."""
        found = connection.execute(_FIND_RES, key).fetchone()
        if found is None:
            return
        rid, holds, recency, *people = found
        pending.add(_DELETE_RES, (rid,))
        for table, statement in enumerate(_DELETE_VALUES):
            if holds >> table & 1:
                pending.add(statement, (rid,))
        if holds & HOLDS_WORDS:
            pending.add(_DELETE_WORDS, (rid,))
        _remove_people(pending, key, recency, *people)

    def search(self, connection: sqlite3.Connection, query: NarrowedQuery, *, page: Page) -> Hits:
        """What the query selects, the rows put in this transaction included. Raises Failure TOO_COSTLY."""
        return search_within(connection, query, page=page, budget_s=SEARCH_S, texts=self._texts)

    def end_work(self) -> None:
        """What is asked from now on belongs to another work of the transaction."""
        self._reading_s = SEARCH_S

    def _while_there_is_time(self, texts: Texts) -> Texts:
        """The texts, as long as this work may still read some; then it raises Failure TOO_COSTLY."""

        def read(connection: sqlite3.Connection, keys: Sequence[Key]) -> Iterator[tuple[Key, Mapping[str, str]]]:
            until = time.monotonic() + self._reading_s
            for each in texts(connection, keys):
                yield each
                self._reading_s = until - time.monotonic()
                if self._reading_s < 0:
                    raise too_long()

        return read

    def _new_rid(self, connection: sqlite3.Connection, record: Record) -> int:
        rank = self._terms.rank(connection, record.key.type, kind=TYPE)
        if rank > TYPES_AT_MOST:
            raise Failure(Category.INTERNAL, "there are more resource types than the index can tell apart")
        return record.sequence * (TYPES_AT_MOST + 1) + rank

    def has_dependents(self, connection: sqlite3.Connection, patient_id: str) -> bool:
        """Whether a live record other than the Patient itself is in this Patient's compartment or names it in facts."""
        return connection.execute(_DEPENDENT, (patient_id, PATIENT, patient_id)).fetchone() is not None


def _rows_of(connection: sqlite3.Connection, rid: int, *, holds: int) -> Mapping[int, AbstractSet[ValueRow]]:
    return {
        table: set(connection.execute(statement, (rid,)))
        for table, statement in enumerate(_SELECT_VALUE)
        if holds >> table & 1
    }


def _exchange(pending: PendingRows, had: Mapping[int, AbstractSet[ValueRow]], rows: RowSets) -> None:
    for table, old in had.items():
        if gone := old - rows.get(table, _NONE):
            pending.extend(_DELETE_VALUE[table], gone)
    for table, now in rows.items():
        if new := now - had.get(table, _NONE):
            pending.extend(_INSERT_VALUE[table], new)


def _stage_words(connection: sqlite3.Connection, pending: PendingRows, rid: int, *, had: bool, words: str) -> None:
    """Replace the document of a resource by another; a long one costs more than all other rows."""
    if had and words and connection.execute(DOCUMENT, (rid,)).fetchone() == (words,):
        return
    if words or had:  # a stray document (as a stray row) must not stop every writer
        pending.add(_DELETE_WORDS, (rid,))
    if words:
        pending.add(_INSERT_WORDS, (rid, words))


def _when_of(entries: IndexEntries) -> tuple[int, int | None, int]:
    """The columns recency, when_hi and wide."""
    values = entries.values.get("when", ())
    if not values:
        return MISSING, None, 0
    value = values[0]
    if len(values) > 1 or not isinstance(value, DateValue):
        raise Failure(Category.INTERNAL, "the search parameter when yields more than one date")
    return -value.lo, value.hi, int(date_kind(value) == WIDE)


def _people_in(entries: IndexEntries, facts: Facts) -> dict[str, int]:
    """The Patients of the compartment and of the facts, with the bits that say so."""
    people = dict.fromkeys(entries.patients, IN_COMPARTMENT)
    if entries.key.type == PATIENT:
        people[entries.key.id] = IN_COMPARTMENT
    in_facts = IN_FACTS | SOLE if len(facts.patients) == 1 else IN_FACTS
    for patient in facts.patients:
        people[patient] = people.get(patient, 0) | in_facts
    return people


def _remove_people(pending: PendingRows, key: Key, recency: int, sole: str | None, patients: str | None) -> None:
    if patients is None:
        stored = [] if sole is None else [sole]
    else:
        stored = patients.split()
    pending.extend(_DELETE_PATIENT, ((patient, recency, *key) for patient in stored))


def _res_columns(
    rid: int, record: Record, *, entries: IndexEntries, holds: int, people: Mapping[str, int]
) -> tuple[int | str | None, ...]:
    """In the order of the table's columns."""
    facts = record.facts
    sole = facts.patients[0] if len(facts.patients) == 1 else None
    return (
        rid,
        *record.key,
        record.sequence,
        *_when_of(entries),
        record.changed_at,
        holds,
        sole,
        facts.unit,
        facts.enterprise,
        facts.encounter,
        facts.status,
        facts.source,
        facts.confidentiality,
        _to_json(facts.labels) if facts.labels else None,
        _to_json(facts.authors) if facts.authors else None,
        _to_json({parameter: _spellings(kept) for parameter, kept in facts.tokens.items()}) if facts.tokens else None,
        # Ids hold no blank.
        None if list(people) == ([] if sole is None else [sole]) else " ".join(people),
    )


def _spellings(kept: Iterable[str]) -> list[str]:
    """Each `system|code` as it stands, and its bare code: the two ways an access rule may name it."""
    return [form for token in kept for form in (token, token.partition("|")[2]) if form]
