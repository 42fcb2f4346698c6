"""RecordStore on SQLite: reads inline on a read-only connection, writes in shared transactions of one thread."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import bindparam, select

from fhirmedia.backends import texts_sql
from fhirmedia.backends.changes_sql import SqliteChanges
from fhirmedia.backends.facts_codec import decode_facts
from fhirmedia.backends.group_commit import GroupCommit
from fhirmedia.backends.maintenance_sql import UNCLAIMED, SqliteUpkeepTransaction
from fhirmedia.backends.records_transaction import TransactionParts, content_of
from fhirmedia.backends.room import has_room
from fhirmedia.backends.sqlite import disk_failed, failure_of, open_reader, open_writer
from fhirmedia.backends.statements import sqlite_text
from fhirmedia.backends.tables import BinaryContent, BinaryReferrer, Blob, RecordVersion, table_of
from fhirmedia.backends.wal_checkpoints import WalCheckpoints
from fhirmedia.core.clock import Clock
from fhirmedia.core.digests import Digest, parse_digest
from fhirmedia.core.records import Key, Record
from fhirmedia.ports.changes import ChangePage, Changes
from fhirmedia.ports.records import Content
from fhirmedia.ports.texts import WaitingText

T = TypeVar("T")
Work = Callable[[SqliteUpkeepTransaction], Any]

_version = table_of(RecordVersion)
_columns = (
    _version.c.type,
    _version.c.id,
    _version.c.version,
    _version.c.sequence,
    _version.c.changed_at,
    _version.c.method,
    _version.c.body,
    _version.c.facts,
)
_of_key = (_version.c.type == bindparam("type"), _version.c.id == bindparam("id"))
_blob, _content, _referrer = table_of(Blob), table_of(BinaryContent), table_of(BinaryReferrer)

CURRENT = sqlite_text(select(*_columns).where(*_of_key).order_by(_version.c.version.desc()).limit(1))
CURRENT_OF_MANY = (
    f"SELECT {', '.join(f'found.{column.name}' for column in _columns)}"
    " FROM json_each(:keys) AS asked CROSS JOIN record_version AS found"
    " WHERE found.sequence = (SELECT newest.sequence FROM record_version AS newest"
    " WHERE newest.type = json_extract(asked.value, '$[0]') AND newest.id = json_extract(asked.value, '$[1]')"
    " ORDER BY newest.version DESC LIMIT 1)"
)
"""One statement for a page of Keys: a statement for each costs the driver twice as much."""
VERSION = sqlite_text(select(*_columns).where(*_of_key, _version.c.version == bindparam("version")))
CONTENT = sqlite_text(
    select(_content.c.content_type, _blob.c.digest, _blob.c.size, _blob.c.sha1, _blob.c.crcs)
    .join(_blob, _blob.c.digest == _content.c.digest)
    .where(_content.c.binary_id == bindparam("binary_id"), _content.c.version == bindparam("version"))
)
REFERRERS = sqlite_text(
    select(*_columns)
    .join(_referrer, _referrer.c.sequence == _version.c.sequence)
    .where(_referrer.c.binary_id == bindparam("binary_id"))
    .order_by(_version.c.sequence.desc())
)


_PAGES_KIB = 4_096
"""What the connection that reads many records keeps: enough to find them, while few of them are read again."""


def record_of(row: tuple[Any, ...]) -> Record:
    """A row of `record_version` as a Record."""
    kind, identity, version, sequence, changed_at, method, body, facts = row
    return Record(Key(kind, identity), version, sequence, changed_at, method, body, decode_facts(facts))


class SqliteRecordStore:
    """The records of one folder; several processes may each hold one.

    `parts` are what a transaction writes through besides the version itself; `on_broken` is called, in the writer's
    thread, when a write could not be synced: the process must then end, since a retry may report success for data
    that is gone.
    """

    def __init__(
        self, path: Path, *, lock_file: Path, parts: TransactionParts, clock: Clock, on_broken: Callable[[], None]
    ) -> None:
        self._reader, self._pages = open_reader(path, mapped=True), open_reader(path, cache_kib=_PAGES_KIB)
        self._changes = SqliteChanges(path)
        self._writer = open_writer(path)
        self._lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._folder = path.parent
        self._parts = parts
        self._clock = clock
        self._on_broken = on_broken
        self._commits: GroupCommit[Work, Any] = GroupCommit(self._commit_group, name="records-writer", turn=self._turn)
        self._checkpoints = WalCheckpoints(path, on_broken=on_broken)

    async def read(self, keys: Sequence[Key]) -> Sequence[Record | None]:
        if len(keys) == 1:
            row = self._reader.execute(CURRENT, {"type": keys[0].type, "id": keys[0].id}).fetchone()
            return [None if row is None else record_of(row)]
        rows = self._pages.execute(CURRENT_OF_MANY, {"keys": json.dumps(keys)})
        found = {record.key: record for record in map(record_of, rows)}
        return [found.get(key) for key in keys]

    async def version(self, key: Key, version: int) -> Record | None:
        row = self._reader.execute(VERSION, {"type": key.type, "id": key.id, "version": version}).fetchone()
        return None if row is None else record_of(row)

    async def changes(self, page: ChangePage) -> Changes:
        return await self._changes.walk(page)

    async def content(self, binary_id: str, version: int) -> Content | None:
        row = self._reader.execute(CONTENT, {"binary_id": binary_id, "version": version}).fetchone()
        return None if row is None else content_of(row)

    async def referrers(self, binary_id: str) -> Sequence[Record]:
        return [record_of(row) for row in self._reader.execute(REFERRERS, {"binary_id": binary_id})]

    async def unclaimed(self, *, before: int, after: str, limit: int) -> Sequence[str]:
        return [binary_id for (binary_id,) in self._reader.execute(UNCLAIMED, (before, after, limit))]

    async def described(self, digests: Sequence[Digest]) -> Collection[Digest]:
        marks = ",".join("?" * len(digests))
        found = self._reader.execute(f"SELECT digest FROM blob WHERE digest IN ({marks})", tuple(digests))
        return {parse_digest(digest) for (digest,) in found}

    async def waiting_text(self) -> WaitingText | None:
        row = self._reader.execute(texts_sql.WAITING).fetchone()
        if row is None:
            return None
        binary_id, number, attempts, after, *content = row
        return WaitingText(binary_id, number, attempts, after, content_of(tuple(content)))

    async def has_older_texts(self) -> bool:
        return texts_sql.has_older(self._reader)

    async def texts_waiting(self) -> int:
        return int(self._reader.execute(texts_sql.NUMBER_WAITING).fetchone()[0])

    async def write(self, work: Callable[[SqliteUpkeepTransaction], T]) -> T:
        result: T = await self._commits.submit(work)
        return result

    async def close(self) -> None:
        self._commits.close()
        self._checkpoints.close()
        self._writer.close()
        self._reader.close()
        self._pages.close()
        self._changes.close()
        os.close(self._lock)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """No other process writes meanwhile."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _commit_group(self, group: Sequence[Work]) -> Sequence[Any]:
        try:
            outcomes = self._run_group(group)
            self._checkpoints.committed(self._writer)
        except sqlite3.Error as error:
            if disk_failed(error):
                self._on_broken()
            raise failure_of(error) from error
        else:
            return outcomes

    def _run_group(self, group: Sequence[Work]) -> Sequence[Any]:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            transaction = SqliteUpkeepTransaction(
                self._writer, self._parts, now=self._clock(), has_room=has_room(self._folder)
            )
            outcomes = [self._run(work, transaction) for work in group]
            if not all(isinstance(outcome, BaseException) for outcome in outcomes):
                transaction.write_all()
                self._writer.execute("COMMIT")
                self._parts.outbox.committed()
            return outcomes
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _run(self, work: Work, transaction: SqliteUpkeepTransaction) -> Any:
        try:
            outcome = work(transaction)
        except (sqlite3.Error, MemoryError):
            raise
        except Exception as refused:  # noqa: BLE001 (it is handed to the caller whose work it was)
            self._require_transaction()
            transaction.undo()
            return refused
        self._require_transaction()
        transaction.end()
        return outcome

    def _require_transaction(self) -> None:
        """Some errors end a transaction; whatever was written after one would be committed row by row."""
        if not self._writer.in_transaction:
            raise sqlite3.OperationalError("the transaction has ended before its group")
