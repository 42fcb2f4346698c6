"""Histories on SQLite: streams of sequences merged from the newest down, each version judged as it is met."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from heapq import merge
from pathlib import Path
from queue import LifoQueue

from fhirmedia.backends.facts_codec import decode_facts
from fhirmedia.backends.reach import reach_text
from fhirmedia.backends.sqlite import failure_of, open_reader
from fhirmedia.core.records import Facts, Key, Method, Record
from fhirmedia.ports.changes import ChangePage, Changes, Period, Stream

_OF_KEY = (
    "SELECT sequence FROM record_version INDEXED BY record_version_key"
    " WHERE type = ? AND id = ? AND sequence < ? ORDER BY version DESC LIMIT ?"
)
_OF_TYPE = (
    "SELECT sequence FROM record_version INDEXED BY record_version_type"
    " WHERE type = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?"
)
_OF_REACH = (
    "SELECT sequence FROM version_reach WHERE reach = ? AND type = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?"
)
_VERSION = (
    "SELECT v.type, v.id, v.version, v.changed_at, v.method, v.facts, (SELECT n.sequence FROM record_version n"
    " WHERE n.type = v.type AND n.id = v.id ORDER BY n.version DESC LIMIT 1) FROM record_version v WHERE v.sequence = ?"
)
_FACTS = "SELECT facts FROM record_version WHERE sequence = ?"
_NEXT = "SELECT changed_at FROM record_version WHERE type = ? AND id = ? AND version > ? ORDER BY version LIMIT 1"
_BODY = "SELECT body FROM record_version WHERE sequence = ?"
_LAST = "SELECT coalesce(max(sequence), 0) FROM record_version"
_CHANGED_AT = "SELECT changed_at FROM record_version WHERE sequence >= ? ORDER BY sequence LIMIT 1"
_FEW, _MANY = 64, 1024


class SqliteChanges:
    """Walks through the versions of one database, on read-only connections of its own; writers may be at work."""

    def __init__(self, path: Path, *, readers: int = 2) -> None:
        self._connections: LifoQueue[sqlite3.Connection] = LifoQueue()
        for _ in range(readers):
            self._connections.put(open_reader(path))
        self._readers = readers
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="history")

    async def walk(self, page: ChangePage) -> Changes:
        """One page, of one state of the database. Raises Failure UNAVAILABLE."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._walk, page)

    def close(self) -> None:
        """Wait for what is under way and let go of the file."""
        self._pool.shutdown()
        for _ in range(self._readers):
            self._connections.get().close()

    def _walk(self, page: ChangePage) -> Changes:
        connection = self._connections.get()
        try:
            connection.execute("BEGIN")
            try:
                return _Walk(connection, page).run()
            finally:
                connection.rollback()
        except sqlite3.Error as error:
            raise failure_of(error) from error
        finally:
            self._connections.put(connection)


class _Walk:
    """One page on its way down."""

    def __init__(self, connection: sqlite3.Connection, page: ChangePage) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._page = page

    def run(self) -> Changes:
        page = self._page
        floor = 0 if page.since is None else self._first_since(page.since)
        before = page.before if page.at is None else min(page.before, self._first_since(page.at.hi))
        found: list[Record] = []
        below: int | None = None
        total = visits = 0
        for sequence in self._descend(before):
            if sequence < floor:
                break
            visits += 1
            if visits > page.visits or total > page.count + page.ahead:
                return Changes(self._with_bodies(found), sequence + 1 if below is None else below, None)
            record = self._judged(sequence)
            if record is None:
                continue
            total += 1
            if len(found) < page.count:
                found.append(record)
            elif below is None:
                below = sequence + 1
        return Changes(self._with_bodies(found), below, total)

    def _descend(self, before: int) -> Iterator[int]:
        """The sequences of all streams below one, downwards and each once."""
        streams = [_sequences(self._connection, stream, before) for stream in dict.fromkeys(self._page.streams)]
        last = None
        for sequence in merge(*streams, reverse=True) if len(streams) != 1 else streams[0]:
            if sequence != last:
                yield sequence
            last = sequence

    def _judged(self, sequence: int) -> Record | None:
        """The version, without its body, if it belongs to the history and the caller may see it."""
        row = self._execute(_VERSION, (sequence,)).fetchone()
        if row is None:  # damage, which a check names
            return None
        kind, identity, version, changed_at, method, facts, newest = row
        key, admits = Key(kind, identity), self._page.admits
        if self._page.at is not None and not self._was_current(key, version, changed_at, method, at=self._page.at):
            return None
        own = _facts(facts)
        if own is None or not admits(key, own):
            return None
        if newest != sequence:
            present = _facts(self._execute(_FACTS, (newest,)).fetchone()[0])
            if present is None or not admits(key, present):
                return None
        return Record(key, version, sequence, changed_at, method, None, own)

    def _was_current(self, key: Key, version: int, changed_at: int, method: Method, *, at: Period) -> bool:
        if changed_at >= at.lo:
            return True  # and before `hi`: the walk began below that
        if method == "delete":
            return False
        following = self._execute(_NEXT, (*key, version)).fetchone()
        return following is None or bool(following[0] > at.lo)

    def _with_bodies(self, found: Sequence[Record]) -> list[Record]:
        execute = self._execute
        return [replace(record, body=execute(_BODY, (record.sequence,)).fetchone()[0]) for record in found]

    def _first_since(self, time: int) -> int:
        """The first sequence that was written at or after a time; times never fall as sequences rise."""
        low, high = 1, int(self._execute(_LAST).fetchone()[0]) + 1
        while low < high:
            middle = (low + high) // 2
            changed_at = self._execute(_CHANGED_AT, (middle,)).fetchone()
            if changed_at is None or changed_at[0] >= time:
                high = middle
            else:
                low = middle + 1
        return low


def _sequences(connection: sqlite3.Connection, stream: Stream, before: int) -> Iterator[int]:
    """The sequences of a stream below one, downwards, fetched a run at a time."""
    if isinstance(stream, Key):
        statement, of = _OF_KEY, tuple(stream)
    elif stream.reach is None:
        statement, of = _OF_TYPE, (stream.type,)
    else:
        statement, of = _OF_REACH, (reach_text(stream.reach), stream.type)
    run = _FEW
    while True:
        rows = connection.execute(statement, (*of, before, run)).fetchall()
        yield from (sequence for (sequence,) in rows)
        if len(rows) < run:
            return
        before, run = rows[-1][0], _MANY


def _facts(content: bytes) -> Facts | None:
    """None where they cannot be read: nobody may be shown what nothing is known of."""
    try:
        return decode_facts(content)
    except ValueError:
        return None
