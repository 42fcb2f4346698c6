"""Indexing what is stored by one more search parameter, beside whoever serves the folder.

Whoever writes after the transaction that begins it indexes by the parameter himself (`r4.added.Latecomers`), so what
was written until then is all there is to do. It is done in the order of the log, a few resources in each transaction
with the place where it stands; so it can be stopped at any time, and goes on from there.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from fhirmedia.backends.added_sql import FOLLOW_S, Fill, added_text, fill_of, put_added, put_fill
from fhirmedia.backends.facts_codec import decode_facts
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.pending_rows import PendingRows
from fhirmedia.backends.records_sql import record_of
from fhirmedia.backends.sqlite import failure_of, open_reader, open_writer
from fhirmedia.core.records import Record
from fhirmedia.r4.added import AddedParameter, dump_added, load_added, require_own_name
from fhirmedia.r4.registry import Registry
from fhirmedia.r4.values import IndexEntries

AT_ONCE = 50
"""Resources in one transaction, for which writers wait: some 30 ms."""

TURN_S = 0.1
"""A transaction ends earlier where its resources take longer than this, as those with long texts do."""

_CHECKPOINT_EVERY = 40
_END = "SELECT coalesce(max(sequence), 0) FROM record_version"
_STRETCH = "v.type = ? AND v.sequence > ? AND v.sequence <= ? AND v.method <> 'delete' AND v.body IS NOT NULL"
_NEWEST = "NOT EXISTS (SELECT 1 FROM record_version n WHERE n.type = v.type AND n.id = v.id AND n.version > v.version)"
_CURRENT = (
    "SELECT v.type, v.id, v.version, v.sequence, v.changed_at, v.method, v.body, v.facts FROM record_version v"
    f" WHERE {_STRETCH} AND {_NEWEST} ORDER BY v.sequence LIMIT ?"
)
_LEFT = f"SELECT count(*) FROM record_version v WHERE {_STRETCH} AND {_NEWEST}"
_STILL = (
    "SELECT v.facts FROM res_row r JOIN record_version v ON v.sequence = r.sequence"
    " WHERE r.type = ? AND r.id = ? AND r.sequence = ?"
)


class Filling:
    """One parameter on its way into the index of a folder that is held open; `own` is the program's own Registry."""

    def __init__(self, folder: Folder, parameter: AddedParameter, *, own: Registry) -> None:
        self._parameter, self._own = parameter, own
        self._types = sorted(parameter.parameters)
        self._writer, self._reader = open_writer(folder.records), open_reader(folder.records)
        self._lock = os.open(folder.write_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._index = IndexWriter()
        self._fill = Fill(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._writer.close()
        os.close(self._lock)

    def begin(self) -> int:
        """Have every later write indexed by the parameter, and nobody search by it; how many resources are to be done.

        One that was begun with the same definition goes on where it stopped. Raises Failure INVALID as
        `require_own_name`, and DISK_FULL or UNAVAILABLE, as all of them do.
        """
        with self._turn() as connection:
            added = load_added(added_text(connection), self._own)
            before = next((each for each in added if each.code == self._parameter.code), None)
            others = [each for each in added if each.code != self._parameter.code]
            require_own_name(self._parameter, others)
            found = fill_of(connection, self._parameter.code)
            is_resumed = found is not None and before is not None and before.resource == self._parameter.resource
            if found is None or not is_resumed:
                (end,) = connection.execute(_END).fetchone()
                found = Fill(end, dropped=_dropped(before, found, self._parameter))
                put_added(connection, dump_added([*others, replace(self._parameter, ready=False)]))
                put_fill(connection, self._parameter.code, found)
            self._fill = found
            self._types = sorted({*self._parameter.parameters, *found.dropped})
        if before is not None and before.ready:
            time.sleep(3 * FOLLOW_S)  # until everybody has stopped searching by the old definition
        return self._left()

    def run(self, entries_of: Callable[[Record], IndexEntries], *, done: Callable[[int], None]) -> None:
        """Do it; `entries_of` knows the parameter, `done` is told of resources as their rows are durable."""
        for number, records in enumerate(self._batches(), 1):
            waiting = [(record, entries_of(record)) for record in records]
            while waiting:
                begun = time.monotonic()
                del waiting[: self._index_some(waiting)]
                if waiting:
                    time.sleep(time.monotonic() - begun)  # others want to write, too
            if number % _CHECKPOINT_EVERY == 0:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            done(len(records))

    def _index_some(self, waiting: Sequence[tuple[Record, IndexEntries]]) -> int:
        """Index the first of them in one transaction; how many."""
        with self._turn() as connection:
            self._index.begin(connection)
            pending = PendingRows(connection)
            number, until = 0, time.monotonic() + TURN_S
            while number < len(waiting) and (number == 0 or time.monotonic() < until):
                self._stage(connection, pending, *waiting[number])
                number += 1
            pending.write_own()
            last = waiting[number - 1][0]
            self._fill = self._fill._replace(type=last.key.type, after=last.sequence)
            put_fill(connection, self._parameter.code, self._fill)
        return number

    def finish(self) -> None:
        """Have it searched by, from now on."""
        with self._turn() as connection:
            added = load_added(added_text(connection), self._own)
            ready = [replace(each, ready=each.ready or each.code == self._parameter.code) for each in added]
            put_added(connection, dump_added(ready))
            put_fill(connection, self._parameter.code, None)

    def _stage(
        self, connection: sqlite3.Connection, pending: PendingRows, record: Record, entries: IndexEntries
    ) -> None:
        """What has changed since it was read was indexed by whoever changed it; facts may change without a version."""
        found = connection.execute(_STILL, (*record.key, record.sequence)).fetchone()
        if found is not None:
            self._index.stage(connection, pending, replace(record, facts=decode_facts(found[0])), entries)

    def _batches(self) -> Iterator[Sequence[Record]]:
        for type, after in self._stretches():
            last = after
            while rows := self._read(_CURRENT, (type, last, self._fill.until, AT_ONCE)):
                yield [record_of(row) for row in rows]
                last = rows[-1][3]

    def _stretches(self) -> Iterator[tuple[str, int]]:
        for type in self._types:
            if type >= self._fill.type:
                yield type, self._fill.after if type == self._fill.type else 0

    def _left(self) -> int:
        return sum(self._read(_LEFT, (type, after, self._fill.until))[0][0] for type, after in self._stretches())

    def _read(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._reader.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise failure_of(error) from error

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        """The writer's transaction of the folder, committed at the end."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._writer
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            raise failure_of(error) from error
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def _dropped(before: AddedParameter | None, fill: Fill | None, now: AddedParameter) -> list[str]:
    """Types that may have values of an earlier definition, whether that was filled in or not, and none of this one."""
    had = {*(() if before is None else before.parameters), *(() if fill is None else fill.dropped)}
    return sorted(had - now.parameters.keys())
