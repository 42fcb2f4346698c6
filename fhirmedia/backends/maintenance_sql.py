"""What only upkeep does to the records: releases what nobody refers to, and mends facts, links and index rows."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from fhirmedia.backends import facts_queue_sql, texts_sql
from fhirmedia.backends.facts_codec import decode_facts, encode_facts
from fhirmedia.backends.index_rows import TYPES_AT_MOST
from fhirmedia.backends.index_values import VALUE_TABLES
from fhirmedia.backends.reach import put_reaches, reach_text, remove_reaches
from fhirmedia.backends.records_transaction import SqliteRecordTransaction
from fhirmedia.backends.words_check import index_anew, is_sound
from fhirmedia.core.digests import Digest
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.changes import Reach
from fhirmedia.ports.facts_queue import Waiting
from fhirmedia.ports.texts import ReadText, WaitingText
from fhirmedia.r4.values import IndexEntries

T = TypeVar("T")

VALUES = tuple(table.name for table in VALUE_TABLES)

UNCLAIMED = "SELECT binary_id FROM unclaimed_binary WHERE uploaded_at < ? AND binary_id > ? ORDER BY binary_id LIMIT ?"
STRAY_RESOURCES = (
    "FROM res_row r WHERE coalesce((SELECT v.method FROM record_version v WHERE v.type = r.type AND v.id = r.id"
    " ORDER BY v.version DESC LIMIT 1), 'delete') = 'delete'"
)
STRAY_VALUES = tuple(
    f"FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM res_row r WHERE r.rid = t.rid)" for table in VALUES
)
STRAY_WORDS = "FROM idx_words AS t WHERE NOT EXISTS (SELECT 1 FROM res_row r WHERE r.rid = t.rowid)"
STRAY_PATIENTS = (
    "FROM idx_patient AS p WHERE NOT EXISTS (SELECT 1 FROM res_row r WHERE r.rid = p.rid AND r.type = p.type"
    " AND r.id = p.id AND r.recency = p.recency"
    " AND instr(' ' || coalesce(r.patients, r.sole_patient) || ' ', ' ' || p.patient || ' ') > 0)"
)
_FACTS = "CASE WHEN json_valid(CAST(v.facts AS TEXT)) THEN CAST(v.facts AS TEXT) ELSE '{}' END"
_NAMED = f"json_each({_FACTS}, '$.binaries')"
_REACHES = (
    f"SELECT 'unit/' || json_extract({_FACTS}, '$.unit') AS reach, v.type AS type, v.sequence AS sequence"
    f" FROM record_version v UNION ALL SELECT 'encounter/' || json_extract({_FACTS}, '$.encounter'), v.type, v.sequence"
    f" FROM record_version v UNION ALL SELECT 'sole_patient/' || json_extract({_FACTS}, '$.patients[0]'), v.type,"
    f" v.sequence FROM record_version v WHERE json_array_length({_FACTS}, '$.patients') = 1"
)
_REACH_COLUMNS = "reach, type, sequence"
MISSING_REACHES = (
    f"FROM (SELECT * FROM ({_REACHES}) WHERE reach IS NOT NULL AND type <> 'Binary'"
    f" EXCEPT SELECT {_REACH_COLUMNS} FROM version_reach) AS t JOIN record_version v ON v.sequence = t.sequence"
)
STRAY_REACHES = (
    f"FROM (SELECT {_REACH_COLUMNS} FROM version_reach EXCEPT SELECT * FROM ({_REACHES})) AS t"
    " JOIN record_version v ON v.sequence = t.sequence"
)
"""Of versions that are gone nothing is said: a history passes over them."""
MISSING_REFERRERS = (
    f"FROM record_version v, {_NAMED} AS b WHERE NOT EXISTS"
    " (SELECT 1 FROM binary_referrer r WHERE r.binary_id = b.value AND r.sequence = v.sequence)"
)
STRAY_REFERRERS = (
    "FROM binary_referrer AS r WHERE EXISTS (SELECT 1 FROM record_version v WHERE v.sequence = r.sequence)"
    f" AND NOT EXISTS (SELECT 1 FROM record_version v, {_NAMED} AS b"
    " WHERE v.sequence = r.sequence AND b.value = r.binary_id)"
)
_REFERRED = "EXISTS (SELECT 1 FROM binary_referrer r WHERE r.binary_id = {0}.binary_id)"
MISSING_UNCLAIMED = (
    f"FROM binary_content AS c WHERE NOT {_REFERRED.format('c')}"
    " AND NOT EXISTS (SELECT 1 FROM unclaimed_binary u WHERE u.binary_id = c.binary_id)"
)
STRAY_UNCLAIMED = (
    f"FROM unclaimed_binary AS u WHERE {_REFERRED.format('u')}"
    " OR NOT EXISTS (SELECT 1 FROM binary_content c WHERE c.binary_id = u.binary_id)"
)
_MEND_INDEX = (
    *(f"DELETE FROM {table} WHERE rid IN (SELECT r.rid {STRAY_RESOURCES})" for table in VALUES),
    f"DELETE FROM res_row WHERE rid IN (SELECT r.rid {STRAY_RESOURCES})",
    *(
        f"DELETE FROM {table} WHERE rid IN (SELECT t.rid {stray})"
        for table, stray in zip(VALUES, STRAY_VALUES, strict=True)
    ),
    f"DELETE FROM idx_words WHERE rowid IN (SELECT t.rowid {STRAY_WORDS})",
    (
        "DELETE FROM idx_patient WHERE (patient, recency, type, id)"
        f" IN (SELECT p.patient, p.recency, p.type, p.id {STRAY_PATIENTS})"
    ),
)
_MEND_REACHES = (
    f"DELETE FROM version_reach WHERE ({_REACH_COLUMNS}) IN (SELECT t.reach, t.type, t.sequence {STRAY_REACHES})",
    f"INSERT INTO version_reach ({_REACH_COLUMNS}) SELECT t.reach, t.type, t.sequence {MISSING_REACHES}",
)
_MEND_CLAIMS = (
    f"DELETE FROM binary_referrer WHERE (binary_id, sequence) IN (SELECT r.binary_id, r.sequence {STRAY_REFERRERS})",
    f"INSERT INTO binary_referrer (binary_id, sequence) SELECT DISTINCT b.value, v.sequence {MISSING_REFERRERS}",
    f"DELETE FROM unclaimed_binary WHERE binary_id IN (SELECT u.binary_id {STRAY_UNCLAIMED})",
    (
        "INSERT INTO unclaimed_binary (binary_id, uploaded_at) SELECT DISTINCT c.binary_id, coalesce((SELECT"
        " v.changed_at FROM record_version v WHERE v.type = 'Binary' AND v.id = c.binary_id"
        f" ORDER BY v.version DESC LIMIT 1), 0) {MISSING_UNCLAIMED}"
    ),
)


class SqliteUpkeepTransaction(SqliteRecordTransaction):
    """UpkeepTransaction over the writer's connection."""

    def holds(self, digest: Digest) -> bool:
        self._require_written()
        found = self._connection.execute(
            "SELECT 1 FROM blob WHERE digest = ?1 UNION ALL SELECT 1 FROM binary_content WHERE digest = ?1 LIMIT 1",
            (digest,),
        )
        return found.fetchone() is not None

    def release(self, binary_id: str) -> None:
        self._require_written()
        execute = self._connection.execute
        digests = execute("SELECT DISTINCT digest FROM binary_content WHERE binary_id = ?", (binary_id,)).fetchall()
        execute("DELETE FROM binary_content WHERE binary_id = ?", (binary_id,))
        for (digest,) in digests:
            execute(
                "DELETE FROM blob WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM binary_content WHERE digest = ?1)",
                (digest,),
            )
            execute(texts_sql.FORGET_TEXT, (digest,))
        execute(texts_sql.FORGET, (binary_id,))
        execute("DELETE FROM unclaimed_binary WHERE binary_id = ?", (binary_id,))

    def keep_text(self, waiting: WaitingText, *, format: str, text: ReadText) -> bool:
        self._require_written()
        return texts_sql.keep_text(self._connection, waiting, format=format, text=text)

    def try_text_again(self, waiting: WaitingText) -> None:
        self._require_written()
        texts_sql.try_text_again(self._connection, waiting)

    def without_words(self, binary_id: str, *, limit: int) -> Sequence[Record]:
        self._require_written()
        return texts_sql.without_words(self._connection, binary_id, limit=limit)

    def index_anew(self, record: Record, entries: IndexEntries) -> None:
        self._require_written()
        self._parts.index.put(self._connection, record, entries)
        self._parts.outbox.stage(self._pending, record, before=record.facts, now=self._now)

    def have_words(self, binary_id: str, *, up_to: int) -> None:
        self._require_written()
        texts_sql.have_words(self._connection, binary_id, up_to=up_to)

    def finish_text(self, binary_id: str) -> None:
        self._require_written()
        texts_sql.finish_text(self._connection, binary_id)

    def queue_older_texts(self) -> None:
        self._require_written()
        texts_sql.queue_older(self._connection)

    def newest_with(self, waiting: Waiting, *, limit: int) -> Sequence[Record]:
        self._require_seen(reach_text(waiting.reach))
        return facts_queue_sql.newest_with(self._connection, waiting, limit=limit)

    def last_body(self, key: Key) -> bytes | None:
        self._require_written()
        return facts_queue_sql.last_body(self._connection, key)

    def defer(self, waiting: Waiting) -> None:
        self._require_written()
        facts_queue_sql.defer(self._connection, waiting)

    def finish(self, reach: Reach) -> None:
        self._require_written()
        facts_queue_sql.finish(self._connection, reach)

    def first_waiting(self) -> Waiting | None:
        return facts_queue_sql.first_waiting(self._connection)

    def correct(self, record: Record, entries: IndexEntries | None) -> None:
        self._require_written()
        self._newest.clear()
        execute, sequence = self._connection.execute, record.sequence
        (facts,) = execute("SELECT facts FROM record_version WHERE sequence = ?", (sequence,)).fetchone()
        execute("UPDATE record_version SET facts = ? WHERE sequence = ?", (encode_facts(record.facts), sequence))
        had = _legible(facts)
        remove_reaches(self._connection, had, type=record.key.type, sequence=sequence)
        put_reaches(self._connection, record.facts, type=record.key.type, sequence=sequence)
        for binary_id in had.binaries:
            execute("DELETE FROM binary_referrer WHERE binary_id = ? AND sequence = ?", (binary_id, sequence))
        for binary_id in record.facts.binaries:
            execute("INSERT OR IGNORE INTO binary_referrer (binary_id, sequence) VALUES (?, ?)", (binary_id, sequence))
            execute("DELETE FROM unclaimed_binary WHERE binary_id = ?", (binary_id,))
        if entries is not None:
            self._erase_index_rows(record)
            self._parts.index.put(self._connection, record, entries)
        self._parts.outbox.stage(self._pending, record, before=had, now=self._now)

    def beside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run statements on the tables of an index beside the database, which the rows that wait do not touch.

        They are not undone where the work that runs them is refused afterwards: let them come last.
        """
        return work(self._connection)

    def mend(self, *, claims: bool) -> None:
        self._require_written()
        if not is_sound(self._connection):
            index_anew(self._connection)
        texts_sql.equip(self._connection)
        for statement in (*_MEND_INDEX, *texts_sql.MEND, *_MEND_REACHES, *(_MEND_CLAIMS if claims else ())):
            self._connection.execute(statement)

    def _erase_index_rows(self, record: Record) -> None:
        execute = self._connection.execute
        execute("DELETE FROM idx_patient WHERE type = ? AND id = ?", record.key)
        found = execute("SELECT rid FROM res_row WHERE type = ? AND id = ?", record.key).fetchone()
        if found is not None:
            execute("DELETE FROM res_row WHERE rid = ?", found)
            self._erase_values(found[0], found[0])
        # The new row goes here, where one that was lost may have left its own.
        first = record.sequence * (TYPES_AT_MOST + 1)
        self._erase_values(first, first + TYPES_AT_MOST)

    def _erase_values(self, first: int, last: int) -> None:
        for table in VALUES:
            self._connection.execute(f"DELETE FROM {table} WHERE rid BETWEEN ? AND ?", (first, last))
        self._connection.execute("DELETE FROM idx_words WHERE rowid BETWEEN ? AND ?", (first, last))


def _legible(facts: bytes) -> Facts:
    """The stored facts; none where they cannot be read."""
    try:
        return decode_facts(facts)
    except ValueError:
        return Facts()
