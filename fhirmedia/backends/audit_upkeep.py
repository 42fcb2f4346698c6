"""What one process of a folder does for all: attests the log of changes, and fills the audit's index."""

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.chained_table import ChangeChain
from fhirmedia.backends.disclosures_sql import LogLimits
from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.audit_chain import GENESIS, Head
from fhirmedia.core.errors import Failure
from fhirmedia.ports.disclosures import Witness

_ROUND_S = 1.0
_DRAIN_S = 0.02
"""How long the index may be worked on in each round: a fiftieth of one processor."""


class AuditUpkeep:
    """A thread that works while it holds the lock file, and otherwise waits for the process that does to end."""

    def __init__(
        self,
        lock_file: Path,
        *,
        head: Callable[[], Head],
        witness: Witness,
        index: AuditIndexSql,
        limits: LogLimits | None = None,
    ) -> None:
        self._lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._head = head
        self._witness = witness
        self._index = index
        self._limits = limits or LogLimits()
        self._attested = Head("", 0, GENESIS)
        self._attested_at = -self._limits.attest_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Have the last change attested, if this process is the one to do it, and end the thread."""
        self._closing.set()
        self._thread.join()
        os.close(self._lock)

    def _run(self) -> None:
        while not self._is_ours():
            if self._closing.wait(_ROUND_S):
                return
        while not self._closing.wait(min(_ROUND_S, self._limits.attest_s)):
            self._attest(at_once=False)
            self._drain()
        self._attest(at_once=True)

    def _is_ours(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _attest(self, *, at_once: bool) -> None:
        try:
            head = self._head()
            rows = head.sequence - self._attested.sequence
            is_time = at_once or time.monotonic() - self._attested_at >= self._limits.attest_s
            if rows >= self._limits.attest_rows or (rows > 0 and is_time):
                self._witness.attest(head)
                self._attested, self._attested_at = head, time.monotonic()
        except Exception:  # noqa: BLE001 (the thread must live: it tries again in the next round)
            logging.getLogger(__name__).error("the head of the log of changes could not be attested")

    def _drain(self) -> None:
        try:
            self._index.drain(seconds=_DRAIN_S)
        except (sqlite3.Error, Failure):
            logging.getLogger(__name__).error("the index of the audit could not be filled")


def changes_head(records: Path) -> Head:
    """Where the log of changes of a database ends."""
    with closing(open_reader(records)) as connection:
        return ChangeChain().head(connection)
