"""Inspection of a folder's database: everything in order, in batches of one snapshot each, beside whoever writes.

The database is attached, read-only, to one in memory that has the tables of the search index. What a resource's index
rows should be is found by writing them there with the very code that writes the stored ones, and SQL compares the two.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fhirmedia.backends import texts_sql
from fhirmedia.backends.facts_codec import decode_facts
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.maintenance_sql import (
    MISSING_REACHES,
    MISSING_REFERRERS,
    MISSING_UNCLAIMED,
    STRAY_PATIENTS,
    STRAY_REACHES,
    STRAY_REFERRERS,
    STRAY_RESOURCES,
    STRAY_UNCLAIMED,
    STRAY_VALUES,
    STRAY_WORDS,
    VALUES,
)
from fhirmedia.backends.sqlite import NO_ROOM, open_reader
from fhirmedia.backends.tables import RecordVersion
from fhirmedia.backends.words_check import TABLES as WORDS_TABLES
from fhirmedia.backends.words_check import words_agree
from fhirmedia.core.digests import Digest, parse_digest
from fhirmedia.core.records import Facts, Key, Method, Record
from fhirmedia.ports.maintenance import Cure, Earlier, Finding, Part, Stored
from fhirmedia.ports.records import Blob
from fhirmedia.r4.values import IndexEntries

_BATCH = 500
_VERSIONS = """
    SELECT v.type, v.id, v.version, v.sequence, v.changed_at, v.method, v.body, v.facts,
        coalesce((SELECT max(e.version) FROM record_version e
            WHERE e.type = v.type AND e.id = v.id AND e.version < v.version), 0),
        (SELECT min(n.sequence) FROM record_version n
            WHERE n.type = v.type AND n.id = v.id AND n.version > v.version)
    FROM record_version v WHERE v.sequence > ? ORDER BY v.sequence LIMIT ?"""
_BEFORE = "SELECT sequence, body FROM record_version WHERE type = ? AND id = ? {0} ORDER BY version DESC LIMIT 1"
_TABLES = (
    "SELECT name, sql FROM stored.sqlite_schema WHERE type = 'table'"
    " AND (name = 'res_row' OR name LIKE 'idx\\_%' ESCAPE '\\') AND name <> 'idx_state'"
    " AND name NOT LIKE 'idx\\_words\\_%' ESCAPE '\\'"
)
_WORDS = "idx_words"
_UNLIKE_WORDS = (
    "SELECT r.rid FROM main.res_row r LEFT JOIN main.idx_words a ON a.rowid = r.rid"
    " LEFT JOIN stored.idx_words b ON b.rowid = r.rid WHERE a.body IS NOT b.body"
)
_SPELLINGS = "idx_spelling"
"""What was first met stays: that a code has a spelling is compared, not which."""
_SAME_SPELLING = ("system", "code")
_SEED = "INSERT INTO main.res_row SELECT * FROM stored.res_row WHERE type = ? AND id = ?"
_BLOBS = "SELECT digest, size, sha1, crcs FROM blob WHERE digest > ? ORDER BY digest LIMIT ?"


class _Rows(NamedTuple):
    """Rows that agree with no others: what to name, where they are, what is wrong, and what cures it."""

    part: Part
    name: str
    rows: str
    text: str
    cure: Cure = "mend"


_VERSION = "v.type || '/' || v.id || '/_history/' || v.version"
_BINARY_VERSION = "'Binary/' || {0} || '/_history/' || {1}.version"
_WITHOUT_BYTES = "FROM binary_content c WHERE NOT EXISTS (SELECT 1 FROM blob b WHERE b.digest = c.digest)"
_GONE_REFERRER = (
    "FROM binary_referrer r WHERE NOT EXISTS (SELECT 1 FROM record_version v WHERE v.sequence = r.sequence)"
)
_WITHOUT_VERSION = (
    "FROM binary_content c WHERE NOT EXISTS (SELECT 1 FROM record_version v WHERE v.type = 'Binary'"
    " AND v.id = c.binary_id AND v.version = c.version AND v.method <> 'delete')"
)
_WITHOUT_CONTENT = (
    "FROM record_version v WHERE v.type = 'Binary' AND v.method <> 'delete' AND NOT EXISTS (SELECT 1"
    " FROM binary_content c WHERE c.binary_id = v.id AND c.version = v.version) AND NOT EXISTS (SELECT 1"
    " FROM record_version d WHERE d.type = v.type AND d.id = v.id AND d.version > v.version AND d.method = 'delete')"
)
_ROWS = (
    _Rows("index", "r.type || '/' || r.id", STRAY_RESOURCES, "is in the search index and not current"),
    *(
        _Rows("index", f"'row ' || t.rid || ' of {table}'", stray, "has no resource")
        for table, stray in zip(VALUES, STRAY_VALUES, strict=True)
    ),
    _Rows("index", "'row ' || t.rowid || ' of idx_words'", STRAY_WORDS, "has no resource"),
    _Rows("index", "p.type || '/' || p.id", STRAY_PATIENTS, "is in the timeline of a patient it is not about"),
    _Rows("index", _VERSION, MISSING_REACHES, "is missing in a history"),
    _Rows("index", _VERSION, STRAY_REACHES, "is in a history it does not belong to"),
    _Rows("records", _VERSION, MISSING_REFERRERS, "holds no claim on its Binary"),
    _Rows("records", "'Binary/' || r.binary_id", STRAY_REFERRERS, "counts as claimed by what does not refer to it"),
    _Rows("records", "'Binary/' || c.binary_id", MISSING_UNCLAIMED, "is claimed by nobody and not listed as such"),
    _Rows("records", "'Binary/' || u.binary_id", STRAY_UNCLAIMED, "is listed as unclaimed and is not"),
    _Rows("records", "'Binary/' || r.binary_id", _GONE_REFERRER, "is claimed by a version that is gone", cure="none"),
    _Rows("index", "t.digest", texts_sql.STRAY_TEXTS, "has a text and stands for nothing"),
    _Rows("index", "'Binary/' || c.binary_id", texts_sql.MISSING_TEXTS, "has a text that nobody reads"),
    _Rows("bytes", _BINARY_VERSION.format("c.binary_id", "c"), _WITHOUT_BYTES, "stands for unknown bytes", cure="none"),
    _Rows(
        "records", _BINARY_VERSION.format("c.binary_id", "c"), _WITHOUT_VERSION, "has content, no version", cure="none"
    ),
    _Rows("bytes", _BINARY_VERSION.format("v.id", "v"), _WITHOUT_CONTENT, "has lost what it stands for", cure="none"),
)


STEPS = 3 + len(_ROWS)
"""How many steps `damages` takes."""


class SqliteInspection:
    """Inspection of the database at `path`; one thread at a time.

    `filling` are types whose index is being filled for a search parameter: their rows are not compared meanwhile.
    """

    def __init__(self, path: Path, *, filling: Collection[str] = ()) -> None:
        self._path = path
        self._filling = filling
        self._connection = sqlite3.connect(":memory:", isolation_level=None, uri=True, cached_statements=512)
        self._connection.execute("ATTACH ? AS stored", (f"file:{path}?mode=ro",))
        tables = self._make_tables()
        self._rows = {name: columns for name, columns in tables.items() if "rid" in columns}
        self._numbers = {name: columns for name, columns in tables.items() if "rid" not in columns}
        self._index = IndexWriter()

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    @property
    def last_sequence(self) -> int:
        (last,) = self._connection.execute("SELECT coalesce(max(sequence), 0) FROM stored.record_version").fetchone()
        return int(last)

    @property
    def blob_count(self) -> int:
        """How many contents `blobs` will yield."""
        return int(self._connection.execute("SELECT count(*) FROM stored.blob").fetchone()[0])

    def versions(self) -> Iterator[Sequence[Stored]]:
        last = 0
        while True:
            self._connection.execute("BEGIN")
            try:
                batch = [_stored(*row) for row in self._connection.execute(_VERSIONS, (last, _BATCH))]
                if not batch:
                    return
                yield batch
            finally:
                self._connection.execute("ROLLBACK")
            last = batch[-1].record.sequence

    def before(self, key: Key, sequence: int | None) -> Earlier | None:
        if sequence is None:
            row = self._connection.execute(_BEFORE.format(""), key).fetchone()
        else:
            row = self._connection.execute(_BEFORE.format("AND sequence < ?"), (*key, sequence)).fetchone()
        return None if row is None else Earlier(*row)

    def unlike_index(self, resources: Sequence[tuple[Record, IndexEntries]]) -> Collection[Key]:
        execute = self._connection.execute
        for name in (*self._rows, *self._numbers, _WORDS):
            execute(f"DELETE FROM main.{name}")
        for name in {*self._numbers} - {_SPELLINGS}:
            execute(f"INSERT INTO main.{name} SELECT * FROM stored.{name}")
        self._index.begin(self._connection)
        keys: dict[int, Key] = {}
        for record, entries in resources:
            if record.key.type in self._filling or texts_sql.waits_for_words(self._connection, record):
                continue  # it is just being given rows
            execute(_SEED, record.key)  # so that the number of the row is the stored one
            self._index.put(self._connection, record, entries)
            (rid,) = execute("SELECT rid FROM main.res_row WHERE type = ? AND id = ?", record.key).fetchone()
            keys[rid] = record.key
        comparisons = (statement for table in self._rows.items() for statement in _comparisons(*table))
        unlike = {keys[rid] for statement in (*comparisons, _UNLIKE_WORDS) for (rid,) in execute(statement)}
        if all(execute(_only_here("1", *table)).fetchone() is None for table in self._numbers.items()):
            return unlike
        if len(resources) == 1:
            return set(keys.values())
        middle = len(resources) // 2
        return {*self.unlike_index(resources[:middle]), *self.unlike_index(resources[middle:])}

    def blobs(self) -> Iterator[Sequence[Blob]]:
        last = ""
        while rows := self._connection.execute(_BLOBS, (last, _BATCH)).fetchall():
            last = rows[-1][0]
            yield [Blob(parse_digest(digest), size, sha1, _numbers(crcs)) for digest, size, sha1, crcs in rows]

    def known(self, digests: Sequence[Digest]) -> Collection[Digest]:
        marks = ",".join("?" * len(digests))
        found = self._connection.execute(f"SELECT digest FROM stored.blob WHERE digest IN ({marks})", tuple(digests))
        return {parse_digest(digest) for (digest,) in found}

    def damages(self, *, done: Callable[[], None]) -> Iterator[Finding]:
        connection = open_reader(self._path)
        try:
            for (text,) in connection.execute("PRAGMA integrity_check(100)"):
                if text != "ok" and "FTS5" not in text:  # which is what `_judge_words` is for
                    yield Finding("database", self._path.name, text)
            made = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            missing = sorted({*RecordVersion.metadata.tables, *WORDS_TABLES} - made)
            yield from (Finding("database", table, "is a table that is missing") for table in missing)
            if missing:
                return
            done()
            texts_sql.equip(connection)
            yield from self._judge_words()
            done()
            for rows in _ROWS:
                for (where,) in connection.execute(f"SELECT DISTINCT {rows.name} {rows.rows}"):
                    yield Finding(rows.part, where, rows.text, cure=rows.cure)
                done()
            for format, outcome, number in connection.execute(texts_sql.UNREAD):
                text = f"could not be read of {number:,} contents ({outcome}): no search finds what they say"
                yield Finding("index", f"text of {format}", text, "note")
            done()
        except sqlite3.DatabaseError:
            yield Finding("database", self._path.name, "cannot be read to its end")
        finally:
            connection.close()

    def _judge_words(self) -> Iterator[Finding]:
        try:
            if not words_agree(self._path):
                yield Finding("index", _WORDS, "does not find the words it holds", cure="mend")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) not in {*NO_ROOM, sqlite3.SQLITE_CANTOPEN}:
                raise
            yield Finding("index", _WORDS, "was not judged: there is no room for a copy", "note")

    def _make_tables(self) -> dict[str, list[str]]:
        """Make the tables of the index in memory; their columns, by name."""
        made = self._connection.execute(_TABLES).fetchall()
        for _, sql in made:
            self._connection.execute(sql)
        return {
            name: [column[1] for column in self._connection.execute(f"PRAGMA main.table_info({name})")]
            for name, _ in made
            if name != _WORDS
        }


def _only_here(wanted: str, name: str, columns: Sequence[str]) -> str:
    compared = _SAME_SPELLING if name == _SPELLINGS else columns
    same = " AND ".join(f"a.{column} IS b.{column}" for column in compared)
    return f"SELECT {wanted} FROM main.{name} a WHERE NOT EXISTS (SELECT 1 FROM stored.{name} b WHERE {same})"


def _comparisons(name: str, columns: Sequence[str]) -> Iterator[str]:
    """Statements that yield the `rid` of every row that only one side has."""
    yield _only_here("a.rid", name, columns)
    if name != "idx_patient":  # not ordered by resource: `damages` looks for rows too many
        same = " AND ".join(f"a.{column} IS b.{column}" for column in columns)
        yield (
            f"SELECT b.rid FROM main.res_row r CROSS JOIN stored.{name} b ON b.rid = r.rid"
            f" WHERE NOT EXISTS (SELECT 1 FROM main.{name} a WHERE {same})"
        )


def _stored(
    type: str,
    id: str,
    version: int,
    sequence: int,
    changed_at: int,
    method: Method,
    body: bytes | None,
    facts: bytes,
    follows: int,
    replaced_at: int | None,
) -> Stored:
    try:
        read, legible = decode_facts(facts), True
    except ValueError:
        read, legible = Facts(), False
    record = Record(Key(type, id), version, sequence, changed_at, method, body, read)
    return Stored(record, legible, follows, replaced_at)


def _numbers(crcs: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(crcs[at : at + 4]) for at in range(0, len(crcs), 4))
