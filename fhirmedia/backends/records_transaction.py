"""One shared write transaction: versions, facts, index rows, contents and the change log go in together."""

import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import bindparam, delete, func, insert, select

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.facts_codec import decode_facts, encode_facts
from fhirmedia.backends.reach import put_reaches
from fhirmedia.backends.statements import sqlite_text
from fhirmedia.backends.tables import BinaryContent, BinaryReferrer, Blob, RecordVersion, UnclaimedBinary, table_of
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
_NUMBER = sqlite_text(
    select(func.max(_version.c.version)).where(_version.c.type == bindparam("type"), _version.c.id == bindparam("id"))
)
_INSERT_VERSION = sqlite_text(insert(_version))
_INSERT_BLOB = sqlite_text(insert(_blob).prefix_with("OR IGNORE"))
_INSERT_CONTENT = sqlite_text(insert(_content))
_INSERT_REFERRER = sqlite_text(insert(_referrer).prefix_with("OR IGNORE"))
_INSERT_UNCLAIMED = sqlite_text(insert(_unclaimed).prefix_with("OR REPLACE"))
_DELETE_UNCLAIMED = sqlite_text(delete(_unclaimed).where(_unclaimed.c.binary_id == bindparam("binary_id")))
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
        """Make these the index rows of the record's Key."""

    def remove(self, connection: sqlite3.Connection, key: Key) -> None:
        """Leave no index row of the Key."""

    def search(self, connection: sqlite3.Connection, query: NarrowedQuery, *, page: Page) -> Hits:
        """As `RecordTransaction.search`."""

    def has_dependents(self, connection: sqlite3.Connection, patient_id: str) -> bool:
        """Whether a live record other than the Patient itself is in this Patient's compartment."""


class ChangeLog(Protocol):
    """The chained log of changes inside the records' own database."""

    def append(self, connection: sqlite3.Connection, disclosure: bytes, raw_query: bytes | None) -> int:
        """Chain one row and return its number."""


@dataclass(frozen=True, slots=True)
class TransactionParts:
    """What a transaction writes through besides the version itself."""

    index: IndexRows
    changes: ChangeLog


def content_of(row: tuple[Any, ...]) -> Content:
    """A row of content type and blob columns as a Content."""
    content_type, digest, size, sha1, crcs = row
    checks = struct.unpack(f">{len(crcs) // 4}I", crcs)
    return Content(content_type, BlobValue(parse_digest(digest), size, sha1, checks))


class SqliteRecordTransaction:
    """RecordTransaction over the writer's connection; it lives as long as one group commit."""

    def __init__(self, connection: sqlite3.Connection, parts: TransactionParts, *, now: int, has_room: bool) -> None:
        self._connection = connection
        self._parts = parts
        self._now = now
        self._has_room = has_room
        self._next_sequence = 0
        parts.index.begin(connection)
        self.forget()

    def forget(self) -> None:
        """Called after part of the transaction was undone: numbers handed out since are free again."""
        row = self._connection.execute(_HEAD).fetchone()
        if row is None:
            self._next_sequence = 1
        else:
            self._next_sequence = row[0] + 1
            self._now = max(self._now, row[1])

    def current(self, key: Key) -> Record | None:
        row = self._connection.execute(_CURRENT, {"type": key.type, "id": key.id}).fetchone()
        if row is None:
            return None
        version, sequence, changed_at, method, body, facts = row
        return Record(key, version, sequence, changed_at, method, body, decode_facts(facts))

    def content(self, binary_id: str) -> Content | None:
        row = self._connection.execute(_CURRENT_CONTENT, {"binary_id": binary_id}).fetchone()
        return None if row is None else content_of(row)

    def referrers(self, binary_id: str) -> Sequence[Record]:
        rows = self._connection.execute(_REFERRERS, {"binary_id": binary_id})
        return [
            Record(Key(kind, identity), version, sequence, changed_at, method, None, decode_facts(facts))
            for kind, identity, version, sequence, changed_at, method, facts in rows
        ]

    def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        return self._parts.index.search(self._connection, query, page=page)

    def has_dependents(self, patient_id: str) -> bool:
        return self._parts.index.has_dependents(self._connection, patient_id)

    def put(self, draft: Draft) -> Record:
        if draft.body is not None and not self._has_room:
            raise Failure(Category.DISK_FULL, "The storage is full; nothing was changed.")
        key, sequence = draft.key, self._next_sequence
        last = self._connection.execute(_NUMBER, {"type": key.type, "id": key.id}).fetchone()[0]
        version = 1 if last is None else last + 1
        body = None if draft.body is None else draft.body.render(key.id, version, self._now)
        record = Record(key, version, sequence, self._now, draft.method, body, draft.facts)
        self._connection.execute(
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
        put_reaches(self._connection, draft.facts, type=key.type, sequence=sequence)
        self._next_sequence = sequence + 1
        if draft.content is not None:
            self._put_content(record, draft.content)
        for binary_id in draft.facts.binaries:
            self._connection.execute(_INSERT_REFERRER, {"binary_id": binary_id, "sequence": sequence})
            self._connection.execute(_DELETE_UNCLAIMED, {"binary_id": binary_id})
        if draft.entries is not None:
            self._parts.index.put(self._connection, record, draft.entries)
        elif version > 1:
            self._parts.index.remove(self._connection, key)
        return record

    def audit(self, disclosure: bytes, raw_query: bytes | None = None) -> None:
        self._parts.changes.append(self._connection, disclosure, raw_query)

    def _put_content(self, record: Record, content: Content) -> None:
        blob = content.blob
        self._connection.execute(
            _INSERT_BLOB,
            {
                "digest": blob.digest,
                "size": blob.size,
                "sha1": blob.sha1,
                "crcs": b"".join(crc.to_bytes(4) for crc in blob.crcs),
                "stored_at": self._now,
            },
        )
        self._connection.execute(
            _INSERT_CONTENT,
            {
                "binary_id": record.key.id,
                "version": record.version,
                "content_type": content.content_type,
                "digest": blob.digest,
            },
        )
        self._connection.execute(_INSERT_UNCLAIMED, {"binary_id": record.key.id, "uploaded_at": self._now})
