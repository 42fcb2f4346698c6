"""DisclosureLog on SQLite: a log per worker slot, so that readers never wait for writers of another process."""

import asyncio
import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fhirmedia.backends.audit_files import open_segment, segment_path, segments, take_slot
from fhirmedia.backends.chained_table import ChangeChain
from fhirmedia.backends.group_commit import GroupCommit
from fhirmedia.backends.sqlite import NO_ROOM, failure_of, open_reader, open_writer
from fhirmedia.core.audit_chain import Head, RowName, chain_hash
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.disclosures import Witness

Entry = tuple[bytes, bytes | None]
"""A disclosure and, where there is one, its salted raw query."""

_GROUP_MOST = 64


@dataclass(frozen=True, slots=True)
class LogLimits:
    """When a head is attested, how many rows a file holds, and how long its write-ahead log may get."""

    attest_rows: int = 1_000
    attest_s: float = 60.0
    segment_rows: int = 1_000_000
    wal_pages: int = 16_384


class DisclosureLogSql:
    """The log of one slot: the lowest number whose lock file this process could take.

    A process that takes the slot of one that ended continues its chain. `on_broken` is called, in the writer's
    thread, when a write could not be synced: the process must then end, since a retry may report success for rows
    that are gone.
    """

    def __init__(
        self, folder: Path, *, witness: Witness, on_broken: Callable[[], None], limits: LogLimits | None = None
    ) -> None:
        self.limits = limits or LogLimits()
        self._folder = folder
        self._on_broken = on_broken
        self._broken = False
        folder.mkdir(mode=0o700, exist_ok=True)
        slot, self._lock = take_slot(folder)
        self._log_id = f"disclosures-{slot}"
        files = segments(folder, self._log_id)
        self._first = files[-1][0] if files else 1
        self._connection = open_segment(self.path)
        self._head = self._last([path for _, path in files[:-1]])
        self._commits: GroupCommit[Entry, RowName] = GroupCommit(
            self._commit_group, name="disclosures", most=_GROUP_MOST
        )
        self._upkeep = Upkeep(self, witness)

    @property
    def head(self) -> Head:
        """The last durable row."""
        return self._head

    @property
    def attested(self) -> int:
        """The last sequence a witness has stated."""
        return self._upkeep.attested

    @property
    def path(self) -> Path:
        """The file that rows go to now."""
        return segment_path(self._folder, self._log_id, self._first)

    async def append(self, disclosure: bytes, raw_query: bytes | None = None) -> RowName:
        return await self._commits.submit((disclosure, raw_query))

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._commits.close()
        self._upkeep.close()
        self._connection.close()
        os.close(self._lock)

    def _last(self, earlier: Sequence[Path]) -> Head:
        head = ChangeChain(self._log_id).head(self._connection)
        if head.sequence == 0 and earlier:
            with closing(open_reader(earlier[-1])) as connection:
                head = ChangeChain(self._log_id).head(connection)
        if head.sequence < self._first - 1:
            raise Failure(Category.CORRUPT, "The audit log ends before its newest file begins; see `audit verify`.")
        return head

    def _commit_group(self, group: Sequence[Entry]) -> Sequence[RowName]:
        if self._broken:
            raise Failure(Category.UNAVAILABLE, "The audit log cannot be written.", retry_after_s=5)
        first = self._head.sequence + 1
        try:
            self._head = self._insert(group)
        except sqlite3.Error as error:
            raise self._judge(error) from error
        try:
            self._after_commit()
        except (sqlite3.Error, OSError) as error:
            self._judge(error)
        return [RowName(self._log_id, first + at) for at in range(len(group))]

    def _insert(self, group: Sequence[Entry]) -> Head:
        """Chain the group with as few statements as can be.

        The driver lets go of the interpreter at each step of a statement and must win it back from a busy event loop,
        which may take milliseconds: a row per statement would double the time of a read under load.
        """
        log_id, sequence, previous = self._log_id, self._head.sequence, self._head.hash
        rows: list[str | int | bytes] = []
        queries: list[str | int | bytes] = []
        for disclosure, raw_query in group:
            sequence += 1
            chained = chain_hash(log_id, sequence, previous, disclosure)
            rows += (log_id, sequence, previous, chained, disclosure)
            if raw_query is not None:
                queries += (log_id, sequence, raw_query)
            previous = chained
        execute = self._connection.execute
        if not queries:
            execute(_insertion("audit_row", len(group), columns=5), rows)  # commits by itself
            return Head(log_id, sequence, previous)
        try:
            execute("BEGIN IMMEDIATE")
            execute(_insertion("audit_row", len(group), columns=5), rows)
            execute(_insertion("raw_query", len(queries) // 3, columns=3), queries)
            execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise
        return Head(log_id, sequence, previous)

    def _after_commit(self) -> None:
        self._upkeep.committed(self._head)
        if self._upkeep.wal_pages > self.limits.wal_pages:
            # Upkeep cannot catch up with a writer that never rests; what it left over is little.
            self._upkeep.wal_pages = 0
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if self._head.sequence - self._first + 1 >= self.limits.segment_rows:
            first = self._head.sequence + 1
            following = open_segment(segment_path(self._folder, self._log_id, first))
            finished, self._connection, self._first = self._connection, following, first
            self._upkeep.want(self._head)
            finished.close()

    def _judge(self, error: sqlite3.Error | OSError) -> Failure:
        """What waiters are told; calls `on_broken` where the file can no longer be trusted."""
        code = getattr(error, "sqlite_errorcode", 0)  # errors of the driver itself have none
        if isinstance(error, OSError) or code in NO_ROOM:
            return Failure(Category.DISK_FULL, "The storage is full; nothing was disclosed.")
        if code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT):
            self._broken = True
            self._on_broken()
        return failure_of(error)


class Upkeep:
    """A thread that has heads attested and copies the write-ahead log into the database; no waiter waits for it."""

    def __init__(self, log: DisclosureLogSql, witness: Witness) -> None:
        self.wal_pages = 0
        self.attested = 0
        self._log = log
        self._witness = witness
        self._wanted: deque[Head] = deque()
        self._asked = log.head.sequence
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="disclosures-upkeep", daemon=True)
        self._thread.start()

    def committed(self, head: Head) -> None:
        """Told after each commit."""
        if head.sequence - self._asked >= self._log.limits.attest_rows:
            self.want(head)

    def want(self, head: Head) -> None:
        """Have this head attested now."""
        self._asked = head.sequence
        self._wanted.append(head)
        self._wake.set()

    def close(self) -> None:
        """Have the last head attested, then end the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            ending = self._closing
            if self._log.head.sequence > self.attested:  # at once, too: a predecessor may have been cut short
                self._attest_wanted()
                self._copy_back()
            if not ending:
                self._wake.wait(self._log.limits.attest_s)
                self._wake.clear()

    def _attest_wanted(self) -> None:
        try:
            while self._wanted:
                self._attest(self._wanted[0])
                self._wanted.popleft()
            self._attest(self._log.head)
        except Exception:  # noqa: BLE001 (the thread must live: it tries again, and `attested` lags for all to see)
            logging.getLogger(__name__).error("an audit head could not be attested")

    def _attest(self, head: Head) -> None:
        if head.sequence > self.attested:
            self._witness.attest(head)
            self.attested = head.sequence

    def _copy_back(self) -> None:
        with suppress(sqlite3.Error), closing(open_writer(self._log.path)) as connection:
            self.wal_pages = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]


@cache
def _insertion(table: str, rows: int, *, columns: int) -> str:
    row = f"({','.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {','.join([row] * rows)}"
