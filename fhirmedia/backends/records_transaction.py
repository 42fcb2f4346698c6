"""One shared write transaction: versions, facts, index rows, contents and the change log go in together."""

import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import bindparam, delete, insert, select

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.attached_words import format_of
from fhirmedia.backends.chained_table import INSERT_QUERY, INSERT_ROW
from fhirmedia.backends.facts_codec import decode_facts, encode_facts
from fhirmedia.backends.following.outbox_rows import OutboxRows
from fhirmedia.backends.pending_rows import PendingRows, Statement
from fhirmedia.backends.reach import INSERT as INSERT_REACH
from fhirmedia.backends.reach import reach_rows
from fhirmedia.backends.statements import sqlite_text
from fhirmedia.backends.tables import BinaryContent, BinaryReferrer, Blob, RecordVersion, UnclaimedBinary, table_of
from fhirmedia.backends.texts_sql import QUEUE as QUEUE_TEXT
from fhirmedia.core.audit_chain import Head
from fhirmedia.core.digests import parse_digest
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.index import Hits, Page
from fhirmedia.ports.records import Blob as BlobValue
from fhirmedia.ports.records import Content, Draft
from fhirmedia.r4.values import IndexEntries

_version, _blob, _content = table_of(RecordVersion), table_of(Blob), table_of(BinaryContent)
_referrer, _unclaimed = table_of(BinaryReferrer), table_of(UnclaimedBinary)

_HEAD = sqlite_text(select(_version.c.sequence, _version.c.changed_at).order_by(_version.c.sequence.desc()).limit(1))
_CURRENT = sqlite_text(
    select(
        _version.c.version,
        _version.c.sequence,
        _version.c.changed_at,
        _version.c.method,
        _version.c.body,
        _version.c.facts,
    )
    .where(_version.c.type == bindparam("type"), _version.c.id == bindparam("id"))
    .order_by(_version.c.version.desc())
    .limit(1)
)
_INSERT_VERSION = Statement(0, sqlite_text(insert(_version)))
_INSERT_REACH = Statement(1, INSERT_REACH)
_INSERT_BLOB = Statement(2, sqlite_text(insert(_blob).prefix_with("OR IGNORE")))
_INSERT_CONTENT = Statement(3, sqlite_text(insert(_content)))
_INSERT_UNCLAIMED = Statement(4, sqlite_text(insert(_unclaimed).prefix_with("OR REPLACE")))
_INSERT_REFERRER = Statement(5, sqlite_text(insert(_referrer).prefix_with("OR IGNORE")))
_DELETE_UNCLAIMED = Statement(
    6, sqlite_text(delete(_unclaimed).where(_unclaimed.c.binary_id == bindparam("binary_id")))
)
_INSERT_AUDIT, _INSERT_QUERY = Statement(90, INSERT_ROW), Statement(91, INSERT_QUERY)
_CURRENT_CONTENT = sqlite_text(
    select(_content.c.content_type, _blob.c.digest, _blob.c.size, _blob.c.sha1, _blob.c.crcs)
    .join(_blob, _blob.c.digest == _content.c.digest)
    .where(_content.c.binary_id == bindparam("binary_id"))
    .order_by(_content.c.version.desc())
    .limit(1)
)
_REFERRERS = sqlite_text(
    select(
        _version.c.type,
        _version.c.id,
        _version.c.version,
        _version.c.sequence,
        _version.c.changed_at,
        _version.c.method,
        _version.c.facts,
    )
    .join(_referrer, _referrer.c.sequence == _version.c.sequence)
    .where(_referrer.c.binary_id == bindparam("binary_id"))
)


class IndexRows(Protocol):
    """The search index as far as a write transaction is concerned."""

    def begin(self, connection: sqlite3.Connection) -> None:
        """Called first in each transaction."""

    def put(self, connection: sqlite3.Connection, record: Record, entries: IndexEntries) -> None:
        """Make these the index rows of the record's Key, now."""

    def stage(
        self,
        connection: sqlite3.Connection,
        pending: PendingRows,
        record: Record,
        entries: IndexEntries,
        *,
        is_first: bool = False,
    ) -> None:
        """The same, once what waits is written; `is_first` says that no version came before."""

    def stage_removal(self, connection: sqlite3.Connection, pending: PendingRows, key: Key) -> None:
        """Leave no index row of the Key, once what waits is written."""

    def search(self, connection: sqlite3.Connection, query: NarrowedQuery, *, page: Page) -> Hits:
        """As `RecordTransaction.search`."""

    def end_work(self) -> None:
        """A work is over, done or undone; what follows is of another."""

    def has_dependents(self, connection: sqlite3.Connection, patient_id: str) -> bool:
        """Whether a live record other than the Patient itself is in this Patient's compartment."""


class ChangeLog(Protocol):
    """The chained log of changes inside the records' own database."""

    def head(self, connection: sqlite3.Connection) -> Head:
        """Where the log ends."""

    def following(self, head: Head, disclosure: bytes) -> Head:
        """Where it ends with one more row."""

    def row(self, head: Head, following: Head, disclosure: bytes) -> tuple[str, int, bytes, bytes, bytes]:
        """That row."""


@dataclass(frozen=True, slots=True)
class TransactionParts:
    """What a transaction writes through besides the version itself."""

    index: IndexRows
    changes: ChangeLog
    outbox: OutboxRows = field(default_factory=OutboxRows)


def content_of(row: tuple[Any, ...]) -> Content:
    """A row of content type and blob columns as a Content."""
    content_type, digest, size, sha1, crcs = row
    checks = struct.unpack(f">{len(crcs) // 4}I", crcs)
    return Content(content_type, BlobValue(parse_digest(digest), size, sha1, checks))


class SqliteRecordTransaction:
    """RecordTransaction over the writer's connection; it lives as long as one group commit.

    What works put waits in `PendingRows`, and is written when all have ended, or when something has to see it. After
    each work `end` or `undo` is called, and `write_all` before the commit.
    """

    def __init__(self, connection: sqlite3.Connection, parts: TransactionParts, *, now: int, has_room: bool) -> None:
        self._connection = connection
        self._parts = parts
        self._has_room = has_room
        self._pending = PendingRows(connection)
        self._newest: dict[Key, Record | None] = {}
        self._before: dict[Key, Record | None] = {}
        self._waiting: set[str | Key] = set()
        self._has_savepoint = False
        parts.index.begin(connection)
        parts.outbox.begin(connection)
        row = connection.execute(_HEAD).fetchone()
        self._next_sequence = self._first_sequence = 1 if row is None else row[0] + 1
        self._now = now if row is None else max(now, row[1])
        self._head = self._first_head = parts.changes.head(connection)

    def end(self) -> None:
        """The work that ran last is part of the transaction."""
        if self._has_savepoint:
            self._connection.execute("RELEASE work")
            self._has_savepoint = False
        self._pending.keep()
        self._parts.index.end_work()
        self._first_sequence, self._first_head = self._next_sequence, self._head
        self._before = {}

    def undo(self) -> None:
        """The work that ran last has done nothing: numbers handed out in it are free again."""
        if self._has_savepoint:
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            self._has_savepoint = False
            # What `_before` holds may be what the work itself had corrected.
            self._newest.clear()
        else:
            self._newest |= self._before
        self._before = {}
        self._pending.drop()
        self._parts.index.end_work()
        self._next_sequence, self._head = self._first_sequence, self._first_head

    def write_all(self) -> None:
        """Write what waits."""
        self._pending.write_kept()
        self._waiting.clear()

    def _require_written(self) -> None:
        """Let statements see all that was put, in a way that `undo` can take back."""
        if not self._has_savepoint:
            self.write_all()
            self._connection.execute("SAVEPOINT work")
            self._has_savepoint = True
        self._pending.write_own()
        self._waiting.clear()

    def current(self, key: Key) -> Record | None:
        if key in self._newest:
            return self._newest[key]
        row = self._connection.execute(_CURRENT, {"type": key.type, "id": key.id}).fetchone()
        found = None
        if row is not None:
            version, sequence, changed_at, method, body, facts = row
            found = Record(key, version, sequence, changed_at, method, body, decode_facts(facts))
        self._newest[key] = found
        return found

    def content(self, binary_id: str) -> Content | None:
        self._require_seen(binary_id)
        row = self._connection.execute(_CURRENT_CONTENT, {"binary_id": binary_id}).fetchone()
        return None if row is None else content_of(row)

    def referrers(self, binary_id: str) -> Sequence[Record]:
        self._require_seen(binary_id)
        rows = self._connection.execute(_REFERRERS, {"binary_id": binary_id})
        return [
            Record(Key(kind, identity), version, sequence, changed_at, method, None, decode_facts(facts))
            for kind, identity, version, sequence, changed_at, method, facts in rows
        ]

    def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        if self._pending:
            self._require_written()
        return self._parts.index.search(self._connection, query, page=page)

    def has_dependents(self, patient_id: str) -> bool:
        if self._pending:
            self._require_written()
        return self._parts.index.has_dependents(self._connection, patient_id)

    def put(self, draft: Draft) -> Record:
        if draft.body is not None and not self._has_room:
            raise Failure(Category.DISK_FULL, "The storage is full; nothing was changed.")
        key, sequence = draft.key, self._next_sequence
        last = self.current(key)
        version = 1 if last is None else last.version + 1
        body = None if draft.body is None else draft.body.render(key.id, version, self._now)
        record = Record(key, version, sequence, self._now, draft.method, body, draft.facts)
        pending = self._pending
        pending.add(
            _INSERT_VERSION,
            {
                "sequence": sequence,
                "type": key.type,
                "id": key.id,
                "version": version,
                "changed_at": self._now,
                "method": draft.method,
                "facts": encode_facts(draft.facts),
                "body": body,
            },
        )
        found_by = reach_rows(draft.facts, type=key.type, sequence=sequence)
        pending.extend(_INSERT_REACH, found_by)
        self._waiting.update(reach for reach, _, _ in found_by)
        if draft.content is not None:
            self._put_content(record, draft.content)
        for binary_id in draft.facts.binaries:
            pending.add(_INSERT_REFERRER, {"binary_id": binary_id, "sequence": sequence})
            pending.add(_DELETE_UNCLAIMED, {"binary_id": binary_id})
            self._waiting.add(binary_id)
        self._index(record, draft.entries)
        self._parts.outbox.stage(pending, record, before=None if last is None else last.facts, now=self._now)
        self._next_sequence = sequence + 1
        self._before.setdefault(key, last)
        self._newest[key] = record
        return record

    def audit(self, disclosure: bytes, raw_query: bytes | None = None) -> None:
        changes, head = self._parts.changes, self._head
        self._head = changes.following(head, disclosure)
        row = changes.row(head, self._head, disclosure)
        self._pending.add(_INSERT_AUDIT, row)
        if raw_query is not None:
            self._pending.add(_INSERT_QUERY, (*row[:2], raw_query))

    def _index(self, record: Record, entries: IndexEntries | None) -> None:
        key = record.key
        if key in self._waiting:
            self._require_written()
        if entries is not None:
            is_first = record.version == 1
            self._parts.index.stage(self._connection, self._pending, record, entries, is_first=is_first)
            self._waiting.add(key)
        elif record.version > 1:
            self._parts.index.stage_removal(self._connection, self._pending, key)
            self._waiting.add(key)

    def _require_seen(self, binary_id: str) -> None:
        if binary_id in self._waiting:
            self._require_written()

    def _put_content(self, record: Record, content: Content) -> None:
        blob, pending = content.blob, self._pending
        pending.add(
            _INSERT_BLOB,
            {
                "digest": blob.digest,
                "size": blob.size,
                "sha1": blob.sha1,
                "crcs": b"".join(crc.to_bytes(4) for crc in blob.crcs),
                "stored_at": self._now,
            },
        )
        pending.add(
            _INSERT_CONTENT,
            {
                "binary_id": record.key.id,
                "version": record.version,
                "content_type": content.content_type,
                "digest": blob.digest,
            },
        )
        pending.add(_INSERT_UNCLAIMED, {"binary_id": record.key.id, "uploaded_at": self._now})
        if format_of(content.content_type) is not None:
            pending.add(QUEUE_TEXT, {"binary_id": record.key.id, "number": record.sequence})
        self._waiting.add(record.key.id)
